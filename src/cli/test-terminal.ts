/** A terminal for tests: keeps what is written, and its clock moves only when somebody sleeps. */
import { Readable } from 'node:stream'
import type { Terminal } from './terminal.ts'

export interface TestTerminal extends Terminal {
  /** What was written, taken out. */
  takeOut(): string
  takeErr(): string
  interrupt(): void
  /** Called at every sleep, after the clock has moved. */
  onSleep: (() => void | Promise<void>) | undefined
}

interface Given {
  env?: Record<string, string>
  input?: string
  tty?: { columns: number }
}

export function testTerminal({ env = {}, input = '', tty }: Given = {}): TestTerminal {
  const out: string[] = []
  const err: string[] = []
  let nowMs = 0
  const interruption = new AbortController()
  const screen = tty ? { isTTY: true, columns: tty.columns } : {}
  const terminal: TestTerminal = {
    out: { ...screen, write: text => out.push(text) },
    err: { ...screen, write: text => err.push(text) },
    env,
    readInput: async () => input,
    keys: () => ({ typed: Readable.from([Buffer.from(input)]), release: () => {} }),
    now: () => nowMs,
    interrupted: interruption.signal,
    onSleep: undefined,
    async sleep(ms) {
      nowMs += ms
      await terminal.onSleep?.()
    },
    takeOut: () => out.splice(0).join(''),
    takeErr: () => err.splice(0).join(''),
    interrupt: () => interruption.abort(),
  }
  return terminal
}
