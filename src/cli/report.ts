/** What the user is told beside the result: errors with their request ids, notices, and the failures of some of many. */
import { Fault, messageOf } from '#lib/fault.ts'
import { ApiError } from './client.ts'
import type { Output } from './terminal.ts'

/** Some of several objects could not be dealt with; the others were. */
export class SomeFailed extends Fault {
  readonly status = 500
  readonly code = 'some-failed'
}

/** What was planned could not begin now. */
export class WouldBeRefused extends Fault {
  readonly status = 409
  readonly code = 'would-be-refused'
}

/** An error in the words for a terminal: with the status and the id under which the service has logged it. */
export function describe(error: unknown): string {
  if (!(error instanceof ApiError)) return messageOf(error)
  const request = error.requestId ? `, request ${error.requestId}` : ''
  return `${error.message} (HTTP ${error.status}${request})`
}

/**
 * Does `act` for every name, whatever becomes of the others.
 * @param attempt completes "Cannot ... NAME", e.g. `delete node`
 * @throws SomeFailed after the last one; the only one's own error when there was one name
 */
export async function forEach(
  names: readonly string[],
  attempt: string,
  act: (name: string) => Promise<void>,
): Promise<void> {
  if (names.length === 1) return await act(names[0] ?? '')
  const failures: string[] = []
  for (const name of names) {
    try {
      await act(name)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      failures.push(`Cannot ${attempt} ${name}: ${describe(error)}`)
    }
  }
  if (failures.length > 0) throw new SomeFailed(failures.join('\n'))
}

/** Notices go to the error stream, above a progress display while there is one. */
export class Reporter {
  readonly #err: Output
  /** Set by a display that owns the last lines of the terminal. */
  above: ((text: string) => void) | undefined

  constructor(err: Output) {
    this.#err = err
  }

  notice(text: string): void {
    if (this.above) this.above(text)
    else this.#err.write(`${text}\n`)
  }
}
