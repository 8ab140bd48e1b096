/**
 * One question to a BMC over a line that loses packets: sent, awaited, sent again after growing pauses, until an answer
 * fits or the time is up. How long packets take is measured in real time. It does not know what is asked.
 */
import type { Packet } from '#protocol/ipmi/packet.ts'
import type { Line } from './hub.ts'

export interface Pace {
  /** How long the first answer is awaited. */
  firstMs: number
  /** The longest pause between two sendings; each is half as long again as the one before. */
  longestMs: number
}

export interface Question<T> {
  /** The datagram; called for each sending, since a sealed one may not be sent twice. */
  make(): Buffer
  /** What the packet answers; undefined where it is no answer to this. */
  read(packet: Packet): T | undefined
  pace: Pace
  /** By `performance.now()`. */
  endMs: number
  /** Sendings at most; absent: as many as there is time for. */
  sendings?: number
  signal: AbortSignal
}

/** Undefined when nobody answered in time. @throws what `read` throws, and the reason of the signal */
export function exchange<T>(line: Line, question: Question<T>): Promise<T | undefined> {
  const { make, read, pace, endMs, sendings = Number.POSITIVE_INFINITY, signal } = question
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    let pauseMs = pace.firstMs
    let sent = 0
    const end = (settle: () => void) => {
      clearTimeout(timer)
      line.listen(null)
      signal.removeEventListener('abort', abort)
      settle()
    }
    const abort = () => end(() => reject(signal.reason))
    const send = () => {
      const leftMs = endMs - performance.now()
      if (leftMs <= 0 || sent >= sendings) return end(() => resolve(undefined))
      sent += 1
      line.send(make())
      timer = setTimeout(send, Math.min(pauseMs, leftMs))
      pauseMs = Math.min(pauseMs * 1.5, pace.longestMs)
    }
    signal.addEventListener('abort', abort, { once: true })
    line.listen(packet => {
      try {
        const answer = read(packet)
        if (answer !== undefined) end(() => resolve(answer))
      } catch (error) {
        end(() => reject(error))
      }
    })
    send()
  })
}
