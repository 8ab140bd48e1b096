/**
 * The real command line clients of Ironic, run as an operator runs them: `baremetal` of python-ironicclient, and
 * `openstack baremetal`, its other door. Nothing of the user's settings reaches them. Every command line is recorded
 * when FERRITE_CLIENT_RECORD names a file, so that `npm run interop:clients` can tell what was driven.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFileSync } from 'node:fs'

/** One object as `-f json` prints it. */
export type Row = Readonly<Record<string, unknown>>

export interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** A line of the record. */
export interface RecordedCommand {
  readonly words: readonly string[]
  readonly status: number
  /** Asked only to see that there is an answer. */
  readonly probe: boolean
  /** The service said that it does not have this. */
  readonly absent: boolean
}

/** How the service says that a resource, or a verb, is not there. */
const saysAbsent = /Nothing is served at \/v1\/\S+ \(HTTP 404\)|is not implemented in this version/

/** A wait of the client polls every ten seconds, and the machine may be busy with other things. */
const limitMs = 180_000

export class Baremetal {
  readonly endpoint: string
  readonly #program: readonly string[]
  readonly #options: readonly string[]

  /** @param options global ones, before the command */
  constructor(endpoint: string, program: readonly string[] = ['baremetal'], options: readonly string[] = []) {
    this.endpoint = endpoint
    this.#program = program
    this.#options = options
  }

  /** The same client with `--os-baremetal-api-version`. */
  at(version: string): Baremetal {
    return new Baremetal(this.endpoint, this.#program, ['--os-baremetal-api-version', version])
  }

  /** The same client that asks only once: a 409 is tried again otherwise, up to five times. */
  get once(): Baremetal {
    return new Baremetal(this.endpoint, this.#program, ['--max-retries', '0', ...this.#options])
  }

  /** Runs a command, whatever its end. A word that holds blanks comes as an element of its own. */
  async run(command: string, ...more: string[]): Promise<Ran> {
    const words = [...command.split(' '), ...more]
    const ran = await this.#run(words)
    record({ words, status: ran.status, probe: false, absent: false })
    return ran
  }

  /** As `run`, but it does not count as driving the command. */
  async probe(command: string): Promise<Ran> {
    const words = command.split(' ')
    const ran = await this.#run(words)
    record({ words, status: ran.status, probe: true, absent: saysAbsent.test(ran.err) })
    return ran
  }

  async #run(words: readonly string[]): Promise<Ran> {
    const [program = '', ...prefix] = this.#program
    const args = [...this.#options, ...prefix, ...words]
    const env = {
      PATH: '/usr/bin:/bin',
      HOME: '/nonexistent',
      LANG: 'C.UTF-8',
      OS_AUTH_TYPE: 'none',
      OS_ENDPOINT: this.endpoint,
    }
    return await new Promise<Ran>((resolve, reject) =>
      execFile(program, args, { env, timeout: limitMs, maxBuffer: 2 ** 26 }, (error, out, err) => {
        if (error === null) resolve({ status: 0, out, err })
        else if (typeof error.code === 'number') resolve({ status: error.code, out, err })
        else reject(new Error(`${program} ${args.join(' ')} did not end by itself: ${error.message}`, { cause: error }))
      }),
    )
  }

  /** Runs a command that must succeed. @returns what it printed */
  async ok(command: string, ...more: string[]): Promise<string> {
    const { status, out, err } = await this.run(command, ...more)
    assert.equal(status, 0, `${command} ${more.join(' ')} ended with ${status}: ${err}${out}`)
    return out
  }

  /** Runs a command that must succeed, and reads the object that it prints with `-f json`. */
  async show(command: string, ...more: string[]): Promise<Row> {
    const read: unknown = JSON.parse(await this.ok(command, ...more, '-f', 'json'))
    assert.ok(isRow(read), `${command} printed an object`)
    return read
  }

  /** As `show`, for commands that print a list. */
  async list(command: string, ...more: string[]): Promise<Row[]> {
    const read: unknown = JSON.parse(await this.ok(command, ...more, '-f', 'json'))
    assert.ok(Array.isArray(read) && read.every(isRow), `${command} printed a list of objects`)
    return read
  }

  /** Runs a command that must end with status 1 (or 2, its own refusal) and say something that matches. */
  async fails(expected: RegExp, command: string, ...more: string[]): Promise<void> {
    const { status, out, err } = await this.run(command, ...more)
    assert.ok(status === 1 || status === 2, `${command} ${more.join(' ')} ended with ${status}: ${out}${err}`)
    assert.match(err, expected)
    assertReadable(err)
  }
}

/** The client shows the text of our error; what it could not read ends in one of these. */
export function assertReadable(err: string): void {
  assert.doesNotMatch(err, /Traceback|HTTP 5\d\d|Unknown [Ee]rror/)
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function record(line: RecordedCommand): void {
  const file = process.env.FERRITE_CLIENT_RECORD
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`)
}
