/**
 * Resources of a BMC as an inspection reads them: with no schema but that they are objects, since one odd value of one
 * part is to hide that value only. Everything read is asked for its type here.
 */
import { Type } from 'typebox'
import type { Asker, Link } from './asker.ts'
import { reader } from './client.ts'

export type Plain = Readonly<Record<string, unknown>>

export const anyResource = reader('resource', Type.Record(Type.String(), Type.Unknown()))

/** An object; empty where something else was told. */
export function objectOf(value: unknown): Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : {} // as just asked
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** A text that is not empty. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}

/** A number that is no less than nothing. */
export function amountOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined
}

export function linkOf(value: unknown): Link {
  const path = textOf(objectOf(value)['@odata.id'])
  return path === undefined ? undefined : { '@odata.id': path }
}

/** The members of a collection that is linked, or of a list of links. */
export async function membersOf(asker: Asker, value: unknown): Promise<Plain[]> {
  const listed = listOf(value).map(one => linkOf(one)?.['@odata.id'])
  const paths = Array.isArray(value) ? listed.filter(path => path !== undefined) : await asker.members(linkOf(value))
  const found: Plain[] = []
  for (const path of paths.slice(0, 128)) {
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
  const { Health, State, HealthRollup } = objectOf(value)
  const told = known({ health: textOf(Health), state: textOf(State), health_rollup: textOf(HealthRollup) })
  return Object.keys(told).length > 0 ? told : undefined
}
