/** The client for tests: command lines as typed, run in this process against a service at some URL. */
import assert from 'node:assert/strict'
import type { Item } from './command.ts'
import { run } from './main.ts'
import { type TestTerminal, testTerminal } from './test-terminal.ts'

export interface Outcome {
  readonly status: number
  readonly out: string
  readonly err: string
}

export class TestClient {
  readonly #env: Record<string, string>
  /** Called at every sleep of a command that waits. */
  onSleep: TestTerminal['onSleep']

  constructor(env: Record<string, string>) {
    this.#env = env
  }

  async run(line: string, input = ''): Promise<Outcome> {
    const terminal = testTerminal({ env: this.#env, input })
    terminal.onSleep = this.onSleep
    const status = await run(shellWords(line), terminal)
    return { status, out: terminal.takeOut(), err: terminal.takeErr() }
  }

  /** What a command prints that must succeed. */
  async ok(line: string, input?: string): Promise<string> {
    const { status, out, err } = await this.run(line, input)
    assert.equal(status, 0, `${line}: ${err}`)
    return out
  }

  /** The object that a command shows. */
  async one(line: string): Promise<Item> {
    return JSON.parse(await this.ok(`${line} -f json`)) as Item // commands that show one object print one
  }

  /** The rows that a command lists. */
  async list(line: string): Promise<Item[]> {
    return JSON.parse(await this.ok(`${line} -f json`)) as Item[] // lists are printed as arrays
  }

  /** A command that must fail, with this status and in these words. */
  async fails(line: string, status: 1 | 2, said: RegExp): Promise<void> {
    const outcome = await this.run(line)
    assert.equal(outcome.status, status, `${line}: ${outcome.out}${outcome.err}`)
    assert.match(outcome.err, said, line)
    assert.equal(outcome.out, '', line)
  }
}

/** Words of a command line, with single and double quotes. */
export function shellWords(line: string): string[] {
  const words = line.match(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g) ?? []
  return words.map(word => word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double))
}
