/**
 * Secrets in a move: services show asterisks in their place, so they come from a file. A value with asterisks never goes
 * to the other service: it is filled in, left out, or its object is not moved.
 */
import { InvalidInput } from '#lib/fault.ts'
import { maskedPaths, maskingFields } from '#protocol/takeover.ts'
import type { Item } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { document } from '../values.ts'

/** By UUID or name of the object; `*` stands for every one that has no value of its own. */
export type Secrets = Readonly<Record<string, Item>>

/** @throws InvalidInput when the file is not of the form */
export async function readSecrets(given: string | undefined, terminal: Terminal): Promise<Secrets> {
  if (given === undefined) return {}
  const found = await document('the secrets', given, terminal)
  const expected = 'expected an object of objects: node or volume target, then its fields, such as driver_info'
  if (!isItem(found) || !Object.values(found).every(isItem))
    throw new InvalidInput(`Cannot use the secrets: ${expected}`)
  const stillMasked = maskedPaths(found)
  if (stillMasked.length > 0) {
    throw new InvalidInput(`Cannot use the secrets: found asterisks at ${stillMasked.join(', ')}, ${expected}`)
  }
  return found as Secrets // objects of objects, as was checked just now
}

export interface Unmasked {
  readonly item: Item
  /** Paths whose secrets nobody gave; they are left out of `item`. */
  readonly missing: readonly string[]
}

/** The object with its secrets in place. */
export function unmask(item: Item, secrets: Secrets): Unmasked {
  const keys = [item.uuid, item.name, '*'].map(String)
  const sources = keys.flatMap(key => (Object.hasOwn(secrets, key) ? [secrets[key]] : []))
  const missing: string[] = []
  const next: Record<string, unknown> = { ...item }
  for (const field of maskingFields) {
    if (maskedPaths(item[field], field).length === 0) continue
    next[field] = filled(item[field], [field], sources, missing)
  }
  return { item: next, missing }
}

function filled(value: unknown, path: readonly string[], sources: readonly unknown[], missing: string[]): unknown {
  if (maskedPaths(value).length === 0) return value
  if (typeof value !== 'object' || value === null) {
    for (const source of sources) {
      const given = valueAt(source, path)
      if (given !== undefined) return given
    }
    missing.push(path.join('.'))
    return undefined
  }
  const entries = Object.entries(value).map(
    ([key, one]) => [key, filled(one, [...path, key], sources, missing)] as const,
  )
  const kept = entries.filter(([, one]) => one !== undefined)
  return Array.isArray(value) ? kept.map(([, one]) => one) : Object.fromEntries(kept)
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  let here = value
  for (const key of path) here = isItem(here) && Object.hasOwn(here, key) ? here[key] : undefined
  return here
}

function isItem(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
