/** What became of each object of a move: rows of the report, and the end of the command. */
import { Fault } from '#lib/fault.ts'
import type { Item, Output } from '../command.ts'
import { describe, SomeFailed } from '../report.ts'

export interface Moved {
  /** `node`, `chassis` … */
  readonly kind: string
  readonly name: string
  readonly uuid: string
  /** Of nodes. */
  readonly state: string
  readonly outcome: 'moved' | 'would be moved' | 'there already' | 'not moved'
  /** What was left behind, or why all of it. */
  readonly notes: string
}

const columns = ['kind', 'name', 'uuid', 'state', 'outcome', 'notes'] as const

/** Words by which an operator knows an object. */
export function labelled(kind: string, { uuid, name, description, provision_state }: Item) {
  const known = name ?? description ?? ''
  return { kind, name: String(known), uuid: String(uuid), state: String(provision_state ?? '') }
}

/** The row of one object: `act` says what else there is to tell. A fault ends that object and no other. */
export async function moving(
  kind: string,
  item: Item,
  act: () => Promise<Pick<Moved, 'outcome' | 'notes'>>,
): Promise<Moved> {
  try {
    return { ...labelled(kind, item), ...(await act()) }
  } catch (error) {
    // A service that is away is away for the next one too.
    if (!(error instanceof Fault) || error.code === 'api-unreachable') throw error
    return { ...labelled(kind, item), outcome: 'not moved', notes: describe(error) }
  }
}

/** The report; it fails when something was not moved. */
export function report(moved: readonly Moved[]): Output {
  const left = moved.filter(({ outcome }) => outcome === 'not moved')
  const failure = new SomeFailed(`${left.length} of ${moved.length} objects were not moved; the notes say why`)
  return { kind: 'list', columns, items: moved.map(one => ({ ...one })), ...(left.length > 0 && { failure }) }
}
