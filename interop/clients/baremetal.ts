/**
 * The real command line clients of Ironic, run as an operator runs them: `baremetal` of python-ironicclient, and
 * `openstack baremetal`, its other door. Nothing of the user's settings reaches them. Every command line is recorded
 * when FERRITE_CLIENT_RECORD names a file, so that `npm run interop:clients` can tell what was driven.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientEnvironment } from './access.ts'
import { bareEnvironment, programDirectory } from './programs.ts'
import type { Reachable } from './service.ts'

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
  /** The words of the service, where it has no such thing for the hardware or in the version that was asked. */
  readonly refusal?: string
}

/** A wait of the client polls every ten seconds, and the machine may be busy with other things. */
const limitMs = 180_000

export class Baremetal {
  readonly #service: Reachable
  readonly #program: readonly string[]
  readonly #options: readonly string[]

  /** @param options global ones, before the command */
  constructor(service: Reachable, program: readonly string[] = ['baremetal'], options: readonly string[] = []) {
    this.#service = service
    this.#program = program
    this.#options = options
  }

  /** The same client with `--os-baremetal-api-version`. */
  at(version: string): Baremetal {
    return new Baremetal(this.#service, this.#program, ['--os-baremetal-api-version', version])
  }

  /** The same client that asks only once: a 409 is tried again otherwise, up to five times. */
  get once(): Baremetal {
    return new Baremetal(this.#service, this.#program, ['--max-retries', '0', ...this.#options])
  }

  /** The same client as somebody else. */
  as(environment: ClientEnvironment): Baremetal {
    return new Baremetal({ ...this.#service, environment }, this.#program, this.#options)
  }

  /** Runs a command, whatever its end. A word that holds blanks comes as an element of its own. */
  async run(command: string, ...more: string[]): Promise<Ran> {
    const words = [...wordsOf(command), ...more]
    const ran = await this.#run(words)
    record({ words, status: ran.status })
    return ran
  }

  async #run(words: readonly string[]): Promise<Ran> {
    const [program = '', ...prefix] = this.#program
    const args = [...this.#options, ...prefix, ...words]
    const env = { ...bareEnvironment, ...this.#service.environment }
    return await new Promise<Ran>((resolve, reject) =>
      execFile(
        join(programDirectory, program),
        args,
        { env, timeout: limitMs, maxBuffer: 2 ** 26 },
        (error, out, err) => {
          if (error === null) resolve({ status: 0, out, err })
          else if (typeof error.code === 'number') resolve({ status: error.code, out, err })
          else
            reject(new Error(`${program} ${args.join(' ')} did not end by itself: ${error.message}`, { cause: error }))
        },
      ),
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

  /** As `show`, for commands that print a list. The columns are the API's fields, whatever the client calls them. */
  async list(command: string, ...more: string[]): Promise<Row[]> {
    const read: unknown = JSON.parse(await this.ok(command, ...more, '-f', 'json'))
    assert.ok(Array.isArray(read) && read.every(isRow), `${command} printed a list of objects`)
    return read.map(withFields)
  }

  /**
   * Runs a command that this hardware or this version cannot do: the service must say so in a way the client can show.
   * It counts as asked, not as driven.
   */
  async refused(expected: RegExp, command: string, ...more: string[]): Promise<void> {
    const words = [...wordsOf(command), ...more]
    const { status, out, err } = await this.#run(words)
    const [refusal] = expected.exec(err) ?? []
    record({ words, status, ...(refusal === undefined ? {} : { refusal }) })
    assert.equal(status, 1, `${command} ${more.join(' ')} ended with ${status}: ${out}${err}`)
    assert.match(err, expected)
    assertReadable(err)
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
function assertReadable(err: string): void {
  assert.doesNotMatch(err, /Traceback|HTTP 5\d\d|Unknown [Ee]rror/)
}

function wordsOf(command: string): string[] {
  return command.split(' ').filter(word => word !== '')
}

/** Titles of columns that say more, or less, than the field's name; newer clients print the name. */
const fieldsByTitle: Readonly<Record<string, string>> = {
  'Active host(s)': 'hosts',
  'Description of the event': 'event',
  'Driver Volume Type': 'volume_type',
  'PXE boot enabled': 'pxe_enabled',
  'Provisioning State': 'provision_state',
  'Supported driver(s)': 'name',
}

function withFields(row: Row): Row {
  const pairs = Object.entries(row).map(([title, value]) => [
    fieldsByTitle[title] ?? title.toLowerCase().replaceAll(' ', '_'),
    value,
  ])
  return Object.fromEntries(pairs)
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function record(line: RecordedCommand): void {
  const file = process.env.FERRITE_CLIENT_RECORD
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`)
}
