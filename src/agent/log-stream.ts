/**
 * Tells the conductor what this ramdisk says while it says it: the kernel's messages and those of init and agent, from
 * the boot's first second on. It shares nothing with the other loops, begins before any of them, and nothing depends on
 * it: what cannot be sent is tried again for as long as there is room, and then forgotten.
 *
 * It needs nothing of the agent's start, so that a start that fails is told, too. It runs only where a kernel parameter
 * names an address, so that no other service hears of it. Secrets are masked here as far as they are known, and once
 * more by the receiver.
 */
import { closeSync, constants, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { messageOf } from '#lib/fault.ts'
import { maskText } from '#lib/mask.ts'
import { LookupAnswer } from '#protocol/agent.ts'
import { type LogPiece, logUrlParameter } from '#protocol/ramdisk-log.ts'
import { readText, request } from './http.ts'
import { defaultOptions, kernelParameters, type Options } from './options.ts'
import { readSettings, type Settings } from './settings.ts'
import { lookupFile, Store, tokenFile } from './store.ts'

const STATE = 'log-stream.json'
const LOOK_EVERY_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
/** Of what has not been sent yet; the oldest goes. */
const MOST_WAITING = 1024 * 1024
const PIECE_CHARACTERS = 32_768
const LAST_WORDS_MS = 500

/** Where the last acknowledged piece ended, for a process that is started again. */
const State = Type.Object({ piece: Type.Integer(), fileOffset: Type.Integer(), kernelSequence: Type.Integer() })
type State = { piece: number; fileOffset: number; kernelSequence: number }

/** How long a process that ends waits for its last words to be taken. */
const FINISH_MS = 10_000

export class LogStream {
  readonly #settings: Settings
  readonly #store: Store
  #options: Options
  /** What has been read and not taken yet. */
  #waiting = ''
  /** Set when all that is left to do is to tell what there is. */
  #isEnding = false
  #ended: Promise<void> = Promise.resolve()

  private constructor(settings: Settings, options: Options) {
    this.#settings = settings
    this.#options = options
    this.#store = new Store(settings.stateDir)
  }

  /** Begins at once, with as much of the options as can be had without any risk. */
  static start(args: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): LogStream {
    const settings = readSettings(args, env)
    const stream = new LogStream(settings, { ...defaultOptions(), logUrl: urlOfKernel(settings) })
    stream.#ended = stream.#run(signal).catch(error => {
      process.stderr.write(`ferrite-agent: the log is not told any more: ${messageOf(error)}\n`)
    })
    return stream
  }

  /** All options, once they are known: with virtual media the kernel's command line does not have the address. */
  learn(options: Options): void {
    this.#options = options
  }

  /** Tells what is left, for a short time, and ends. */
  async finish(): Promise<void> {
    this.#isEnding = true
    const late = new AbortController()
    await Promise.race([this.#ended, sleep(FINISH_MS, undefined, { signal: late.signal }).catch(() => {})])
    late.abort()
  }

  async #run(signal: AbortSignal): Promise<void> {
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const kept: State = this.#store.read(STATE, State) ?? { piece: 0, fileOffset: 0, kernelSequence: -1 }
    let { piece } = kept
    const file = new FileTail(this.#settings.bootLogFile ?? this.#store.path('agent.log'), kept.fileOffset)
    const kernel = this.#settings.ownsMachine ? KernelTail.open(kept.kernelSequence) : null
    for (let pauseMs = LOOK_EVERY_MS, isLast = false; !signal.aborted && !isLast; ) {
      // Last words pass through init before they are in the file.
      if (this.#isEnding) await sleep(LAST_WORDS_MS)
      isLast = this.#isEnding
      if (this.#options.logUrl !== null) {
        this.#waiting = (this.#waiting + inOrder([...(kernel?.read() ?? []), ...file.read()])).slice(-MOST_WAITING)
      }
      while (this.#waiting !== '' && !signal.aborted) {
        const text = firstLines(this.#waiting)
        const answer = await this.#post({ boot_id: bootId, piece, text }, signal)
        if (answer === 'unwanted') return
        pauseMs = answer === 'later' ? Math.min(LONGEST_PAUSE_MS, pauseMs * 2) : LOOK_EVERY_MS
        if (answer === 'later') break
        piece += 1
        this.#waiting = this.#waiting.slice(text.length)
        if (this.#waiting !== '') continue
        this.#store.write(STATE, { piece, fileOffset: file.offset, kernelSequence: kernel?.sequence ?? -1 })
      }
      for (let passedMs = 0; passedMs < pauseMs && !signal.aborted && !this.#isEnding; passedMs += LOOK_EVERY_MS) {
        await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {})
      }
    }
  }

  /** `later`: not reached, or the node does not wait for us yet. */
  async #post(
    { text, ...piece }: Pick<LogPiece, 'boot_id' | 'piece' | 'text'>,
    signal: AbortSignal,
  ): Promise<'taken' | 'later' | 'unwanted'> {
    const options = this.#options
    // Who we are is learnt by others meanwhile, and kept for a process that goes on.
    const token = this.#store.readText(tokenFile) ?? options.agentToken
    const node = this.#store.read(lookupFile, LookupAnswer)?.node
    const json: LogPiece = {
      ...piece,
      text: maskText(text, token === null ? [] : [token]),
      addresses: macAddresses(),
      ...(node === undefined ? {} : { node_uuid: node.uuid }),
      ...(token === null ? {} : { agent_token: token }),
    }
    try {
      const url = options.logUrl ?? ''
      const answer = await request(options, { method: 'POST', url, json, timeoutMs: options.httpTimeoutMs, signal })
      await readText(answer)
      if (answer.status === 202) return 'taken'
      return answer.status === 403 || answer.status === 405 ? 'unwanted' : 'later'
    } catch {
      // Into the log it must not go: that would be sent, too.
      return 'later'
    }
  }
}

/** Null where there is none, or no command line that can be read. */
function urlOfKernel({ cmdlineFile }: Settings): string | null {
  try {
    return kernelParameters(readFileSync(cmdlineFile, 'utf8')).get(logUrlParameter) ?? null
  } catch {
    return null
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

  private constructor(fd: number, sequence: number) {
    this.#fd = fd
    this.sequence = sequence
  }

  /** Null where there are none to be had. */
  static open(sequence: number): KernelTail | null {
    try {
      return new KernelTail(openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK), sequence)
    } catch {
      return null
    }
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
