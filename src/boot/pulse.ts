/**
 * Notices that dnsmasq hangs: asks its TFTP server now and then for a file that nobody has, which costs it nothing, and
 * tells when no answer comes any more. One that never answered is left alone, for it may serve where we cannot ask.
 *
 * Source: RFC 1350 (TFTP): a read request is answered by data or by an error, at once.
 */
import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { Clock } from '#lib/clock.ts'

const everyMs = 10_000
const answerMs = 5000
/** As many in a row are no chance. */
const limit = 2
const request = Buffer.from('\0\x01ferrite-pulse\0octet\0', 'latin1')

export interface Pulse {
  /** Of the interface that it serves. */
  address: string
  /** Default 69. */
  port?: number
  clock: Clock
  /** Ends the watching. */
  signal: AbortSignal
}

/** Resolves with true when it answered before and does not any more; with false when `signal` ended the watching. */
export async function hangs({ address, port = 69, clock, signal }: Pulse): Promise<boolean> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  let answers = 0
  socket.on('message', () => answers++)
  socket.on('error', () => {}) // no answer either
  try {
    for (let silent = 0; silent < limit; ) {
      await clock.sleep(everyMs, signal)
      const before = answers
      socket.send(request, port, address)
      await clock.sleep(answerMs, signal)
      silent = answers > 0 && answers === before ? silent + 1 : 0
    }
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  } finally {
    socket.close()
  }
}
