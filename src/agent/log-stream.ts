/**
 * Tells the conductor what this ramdisk says while it says it: the kernel's messages and those of init and agent, from
 * the boot's first second on. It shares nothing with the other loops, begins before any of them, and nothing depends on
 * it: what cannot be sent is tried again for as long as there is room, and then forgotten.
 *
 * It runs only where the kernel parameter names an address, so that no other service hears of it. Secrets are masked
 * here as far as they are known, and once more by the receiver.
 */
import { closeSync, constants, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { maskText } from '#lib/mask.ts'
import type { LogPiece } from '#protocol/ramdisk-log.ts'
import type { AgentContext } from './context.ts'
import { readText, request } from './http.ts'

const STATE = 'log-stream.json'
const LOOK_EVERY_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
/** Of what has not been sent yet; the oldest goes. */
const MOST_WAITING = 1024 * 1024
const PIECE_CHARACTERS = 32_768

/** Where the last acknowledged piece ended, for a process that is started again. */
const State = Type.Object({ piece: Type.Integer(), fileOffset: Type.Integer(), kernelSequence: Type.Integer() })
type State = { piece: number; fileOffset: number; kernelSequence: number }

/**
 * Runs until `signal` is aborted, or the receiver wants no more.
 * @param token what proves who we are, once there is something
 */
export async function streamLog(
  context: AgentContext,
  { token, signal }: { token: () => string | null; signal: AbortSignal },
): Promise<void> {
  const { options, settings, store } = context
  const url = options.logUrl
  if (url === null) return
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const kept: State = store.read(STATE, State) ?? { piece: 0, fileOffset: 0, kernelSequence: -1 }
  let { piece } = kept
  const file = new FileTail(settings.bootLogFile ?? store.path('agent.log'), kept.fileOffset)
  const kernel = settings.ownsMachine ? new KernelTail(kept.kernelSequence) : null
  let waiting = ''
  let pauseMs = LOOK_EVERY_MS
  while (!signal.aborted) {
    waiting = (waiting + inOrder([...(kernel?.read() ?? []), ...file.read()])).slice(-MOST_WAITING)
    while (waiting !== '' && !signal.aborted) {
      const text = firstLines(waiting)
      const secret = token()
      const answer = await post({
        boot_id: bootId,
        piece,
        text: maskText(text, secret === null ? [] : [secret]),
        addresses: macAddresses(),
        ...(context.node === null ? {} : { node_uuid: context.node.uuid }),
        ...(secret === null ? {} : { agent_token: secret }),
      })
      if (answer === 'unwanted') return
      if (answer === 'later') {
        pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
        break
      }
      pauseMs = LOOK_EVERY_MS
      piece += 1
      waiting = waiting.slice(text.length)
      if (waiting === '') {
        store.write(STATE, { piece, fileOffset: file.offset, kernelSequence: kernel?.sequence ?? -1 })
      }
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }

  /** `later`: not reached, or the node does not wait for us yet. */
  async function post(json: LogPiece): Promise<'taken' | 'later' | 'unwanted'> {
    try {
      const answer = await request(options, {
        method: 'POST',
        url: url ?? '',
        json,
        timeoutMs: options.httpTimeoutMs,
        signal,
      })
      await readText(answer)
      if (answer.status === 202) return 'taken'
      return answer.status === 403 || answer.status === 405 ? 'unwanted' : 'later'
    } catch {
      // Into the log it must not go: that would be sent, too.
      return 'later'
    }
  }
}

/** Whole lines of at most a piece; a line that is longer is cut. */
function firstLines(text: string): string {
  if (text.length <= PIECE_CHARACTERS) return text
  const end = text.lastIndexOf('\n', PIECE_CHARACTERS - 1)
  return text.slice(0, end < 0 ? PIECE_CHARACTERS : end + 1)
}

/** Lines of both sources by the seconds that they begin with; lines without stay behind the one before them. */
function inOrder(lines: readonly string[]): string {
  let last = 0
  const stamped = lines.map(line => {
    const seconds = Number(/^\[ *(\d+\.\d+)\]/.exec(line)?.[1] ?? Number.NaN)
    if (!Number.isNaN(seconds)) last = seconds
    return { line, seconds: last }
  })
  stamped.sort((a, b) => a.seconds - b.seconds)
  return stamped.map(({ line }) => `${line}\n`).join('')
}

function macAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  return [...new Set(all.filter(({ internal }) => !internal).map(({ mac }) => mac))].filter(
    mac => mac !== '00:00:00:00:00:00',
  )
}

/** Lines that are added to a file. One that is begun anew is read from its start. */
class FileTail {
  readonly #file: string
  offset: number

  constructor(file: string, offset: number) {
    this.#file = file
    this.offset = offset
  }

  read(): string[] {
    const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
    if (size < this.offset) this.offset = 0
    if (size === this.offset) return []
    const fd = openSync(this.#file, 'r')
    try {
      const buffer = Buffer.alloc(Math.min(size - this.offset, MOST_WAITING))
      const read = buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, this.offset))
      // A line that is still being written is read when it is whole.
      const end = read.lastIndexOf('\n')
      if (end < 0) return []
      this.offset += end + 1
      return read.subarray(0, end).toString().split('\n')
    } finally {
      closeSync(fd)
    }
  }
}

/**
 * The kernel's messages as they come.
 * Source: Linux Documentation/ABI/testing/dev-kmsg: a record per read, `level,sequence,microseconds,flags;text`.
 */
class KernelTail {
  readonly #fd: number
  sequence: number

  constructor(sequence: number) {
    this.#fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK)
    this.sequence = sequence
  }

  read(): string[] {
    const lines: string[] = []
    const buffer = Buffer.alloc(8192)
    for (;;) {
      let record: string
      try {
        record = buffer.toString('utf8', 0, readSync(this.#fd, buffer))
      } catch (error) {
        // Records that were overwritten before they were read: the next read goes on behind them.
        if (error instanceof Error && 'code' in error && error.code === 'EPIPE') continue
        return lines
      }
      const [, sequence, microseconds, text = ''] = /^\d+,(\d+),(\d+),[^;]*;([^\n]*)/.exec(record) ?? []
      if (sequence === undefined || Number(sequence) <= this.sequence) continue
      this.sequence = Number(sequence)
      lines.push(`[${(Number(microseconds) / 1e6).toFixed(2).padStart(8)}] ${text}`)
    }
  }
}
