/**
 * A process of its own that listens for LLDP on network cards and prints each frame as a line of JSON. Node has no packet
 * sockets, so it calls the C library by Node's foreign function interface; that is experimental and needs a flag, which is
 * why it is not done in the agent's process. This file is both ends: imported it starts the process, run with its flag it
 * listens. It sends nothing, and a card that it cannot listen on is left out.
 *
 * Source: packet(7); IEEE 802.1AB (EtherType 0x88cc).
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

/** First argument of the process that listens. */
export const lldpListenerFlag = '--listen-for-lldp'

const pollMs = 50

/**
 * Frames as they come, without their end; ends when the time is over or `signal` is aborted.
 * @throws Error when this Node cannot do it
 */
export async function* lldpFrames(
  names: readonly string[],
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): AsyncGenerator<{ name: string; frame: Buffer }> {
  const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning']
  const args = [...flags, fileURLToPath(import.meta.url), lldpListenerFlag, String(timeoutMs), ...names]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const end = () => child.kill('SIGKILL')
  signal.addEventListener('abort', end)
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  // Looked at below, after the last line.
  ended.catch(() => {})
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const { name, frame } = JSON.parse(line) as { name: string; frame: string } // our own other end
      yield { name, frame: Buffer.from(frame, 'hex') }
    }
    const code = await ended
    if (code !== 0 && !signal.aborted) {
      throw new Error(`Listening for LLDP ended with ${code}: ${said.trim().split('\n').at(-1)}`)
    }
  } finally {
    signal.removeEventListener('abort', end)
    end()
  }
}

/** What is used of `node:ffi`, which the types of Node do not have yet. */
interface Ffi {
  dlopen(
    library: string,
    symbols: Record<string, { arguments: readonly string[]; return: string }>,
  ): { functions: Record<'socket' | 'bind' | 'setsockopt' | 'recv', (...args: (number | Uint8Array)[]) => number> }
}

const AF_PACKET = 17
const SOCK_RAW = 3
const SOL_PACKET = 263
const PACKET_ADD_MEMBERSHIP = 1
const PACKET_MR_PROMISC = 1
const MSG_DONTWAIT = 0x40
const ETHER_TYPE = 0x88cc

async function listen([timeout, ...names]: string[]): Promise<void> {
  const ffi = process.getBuiltinModule('node:ffi' as 'fs') as unknown as Ffi | undefined // see Ffi
  if (ffi === undefined) throw new Error('this Node has no foreign function interface; expected version 26 or newer')
  const { functions: libc } = ffi.dlopen('libc.so.6', {
    socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    bind: { arguments: ['int32', 'buffer', 'int32'], return: 'int32' },
    setsockopt: { arguments: ['int32', 'int32', 'int32', 'buffer', 'int32'], return: 'int32' },
    recv: { arguments: ['int32', 'buffer', 'int32', 'int32'], return: 'int32' },
  })
  const sockets = names.flatMap(name => {
    const index = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'))
    const protocol = Buffer.alloc(2)
    protocol.writeUInt16BE(ETHER_TYPE)
    const socket = libc.socket(AF_PACKET, SOCK_RAW, protocol.readUInt16LE())
    // struct sockaddr_ll: family, protocol, index of the interface, 12 bytes that are not looked at
    const address = Buffer.alloc(20)
    address.writeUInt16LE(AF_PACKET, 0)
    protocol.copy(address, 2)
    address.writeInt32LE(index, 4)
    // struct packet_mreq: index, type, length and bytes of an address that is not looked at
    const request = Buffer.alloc(16)
    request.writeInt32LE(index, 0)
    request.writeUInt16LE(PACKET_MR_PROMISC, 4)
    const failed =
      socket < 0 ||
      libc.bind(socket, address, address.length) < 0 ||
      libc.setsockopt(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, request.length) < 0
    return failed ? [] : [{ name, socket }]
  })
  if (sockets.length === 0 && names.length > 0) throw new Error(`cannot listen on ${names.join(', ')}`)
  const buffer = Buffer.alloc(65_536)
  const endAt = performance.now() + Number(timeout)
  while (performance.now() < endAt) {
    for (const { name, socket } of sockets) {
      const length = libc.recv(socket, buffer, buffer.length, MSG_DONTWAIT)
      if (length > 0) process.stdout.write(`${JSON.stringify({ name, frame: buffer.toString('hex', 0, length) })}\n`)
    }
    await sleep(pollMs)
  }
}

if (isMainThread && process.argv[2] === lldpListenerFlag) await listen(process.argv.slice(3))
