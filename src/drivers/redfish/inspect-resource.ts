/**
 * Resources of a BMC as an inspection reads them: with no schema but that they are objects, since one odd value of one
 * part is to hide that value only. Everything read is asked for its type here.
 */
import { Type } from 'typebox'
import { objectIn, textIn } from '../inspection/hook.ts'
import { type Asker, type Link, partLimit } from './asker.ts'
import { reader } from './client.ts'

export type Plain = Readonly<Record<string, unknown>>

export const anyResource = reader('resource', Type.Record(Type.String(), Type.Unknown()))

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** A number that is no less than nothing. */
export function amountOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined
}

export function linkOf(value: unknown): Link {
  const path = textIn(objectIn(value)['@odata.id'])
  return path === undefined ? undefined : { '@odata.id': path }
}

/** The members of a collection that is linked, or of a list of links. */
export async function membersOf(asker: Asker, value: unknown): Promise<Plain[]> {
  const listed = listOf(value).map(one => linkOf(one)?.['@odata.id'])
  const paths = Array.isArray(value) ? listed.filter(path => path !== undefined) : await asker.members(linkOf(value))
  const found: Plain[] = []
  for (const path of paths.slice(0, partLimit)) {
    const one = await asker.get(path, anyResource)
    if (one) found.push(one)
  }
  return found
}

/** Without what is not known. */
export function known(values: Plain): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null))
}

/** As Ironic writes it down: health, state, health_rollup; undefined where nothing is told. */
export function statusOf(value: unknown): Record<string, unknown> | undefined {
  const { Health, State, HealthRollup } = objectIn(value)
  const told = known({ health: textIn(Health), state: textIn(State), health_rollup: textIn(HealthRollup) })
  return Object.keys(told).length > 0 ? told : undefined
}
