/**
 * The outside of the client: streams, environment, clock. The real one is the process; tests hand in their own and
 * read what was written. Nothing else in this folder reads `process` or a clock.
 */
import type { Readable } from 'node:stream'

export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface Keys {
  readonly typed: Readable
  release(): void
}

export interface Terminal {
  readonly out: Output
  readonly err: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** All of standard input, as text. */
  readInput(): Promise<string>
  /** Key by key what is typed, Ctrl-C included; nothing is shown by the terminal itself until it is released. */
  keys(): Keys
  /** Milliseconds that never go back. */
  now(): number
  /** Resolves after `ms`, or at once when the user interrupts. */
  sleep(ms: number): Promise<void>
  /** Aborted by Ctrl-C once somebody asked for it; before that Ctrl-C ends the process as ever. */
  readonly interrupted: AbortSignal
}

export function processTerminal(): Terminal {
  let interrupt: AbortController | undefined
  return {
    out: process.stdout,
    err: process.stderr,
    env: process.env,
    async readInput() {
      const { text } = await import('node:stream/consumers')
      return await text(process.stdin)
    },
    keys() {
      const { stdin } = process
      const raw = (isRaw: boolean) => stdin.isTTY && stdin.setRawMode(isRaw)
      raw(true)
      return {
        typed: stdin,
        release() {
          raw(false)
          stdin.pause()
        },
      }
    },
    now: () => performance.now(),
    sleep(ms) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, ms)
      interrupt?.signal.addEventListener(
        'abort',
        () => {
          clearTimeout(timer)
          resolve()
        },
        { once: true },
      )
      return promise
    },
    get interrupted() {
      if (!interrupt) {
        const controller = new AbortController()
        interrupt = controller
        process.once('SIGINT', () => controller.abort())
      }
      return interrupt.signal
    },
  }
}
