/**
 * How rows become answers. From the declarations of a resource's fields a view makes, for a version and a choice of
 * fields, the list of columns to read and a printer that writes a row as JSON text. Plain columns are printed by the
 * engine (db/json-columns.ts), JSON columns pass through as they are stored, so a page of a thousand full nodes is
 * neither parsed nor built as objects.
 *
 * It decides nothing: who may see a row is settled before.
 */

import { type JsonPart, mostParts, type RowColumn } from '#db/json-columns.ts'
import type { RawRow } from '#db/page.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Field } from '#protocol/field.ts'
import { type Minor, minorOf, versionText } from '#protocol/microversion.ts'
import { NotAcceptable } from './faults.ts'
import type { Masker } from './mask.ts'

/** What printers need to know beside the row. */
export interface ViewContext {
  /** Base of links, escaped for JSON. */
  readonly base: string
  readonly masker: Masker
  /** Fields of which this caller may see the secrets. */
  readonly unmasked?: ReadonlySet<string>
  /** Whether a policy keeps this caller from a part of the row; absent where none does. */
  hides?(policy: string, row: RawRow): boolean
  /** Which conductor serves a node; there only where the choice `needsFleet`. */
  conductorOf?(row: RawRow): string | null
}

/** How a field that is no plain column is printed. */
export interface Computed {
  /** Columns it is made from. */
  readonly columns: readonly string[]
  /** It also needs the columns of joined tables. */
  readonly joined?: true
  /** It needs ViewContext.conductorOf. */
  readonly needsFleet?: true
  /** JSON text. */
  print(row: RawRow, context: ViewContext): string
}

/** A choice of fields at a version, ready to be read and printed. */
export interface Selection {
  readonly own: readonly RowColumn[]
  readonly joined: boolean
  readonly needsFleet: boolean
  print(row: RawRow, context: ViewContext): string
}

export interface View {
  /** All fields of the version. */
  full(version: Minor): Selection
  /** The resource's short form. */
  short(version: Minor): Selection
  /** The named fields, and links. @throws InvalidInput, NotAcceptable */
  chosen(names: readonly string[], version: Minor): Selection
  /** Checks a sort_key. @throws InvalidInput, NotAcceptable */
  sortKey(name: string, version: Minor): string
}

/** A field that not everybody may see: who does not pass the policy reads `instead`, JSON data. */
export function guarded(policy: string, instead: unknown, printed: Computed): Computed {
  const text = JSON.stringify(instead)
  return { ...printed, print: (row, context) => (context.hides?.(policy, row) ? text : printed.print(row, context)) }
}

type Print = (row: RawRow, context: ViewContext) => string

export function viewOf(options: {
  fields: Readonly<Record<string, Field>>
  computed: Readonly<Record<string, Computed>>
  /** Names of the short form. */
  short: readonly string[]
  /** Column that names the thing in links and markers; always read. */
  key: string
  /** Further columns that are always read: what decides who may see the row. */
  always?: readonly string[]
}): View {
  const { fields, computed, key } = options
  const known = Object.entries(fields).map(([name, field]) => ({ name, field, minor: minorOf(field.from) }))
  const short = new Set(options.short)
  const fullByVersion = new Map<Minor, Selection>()
  const shortByVersion = new Map<Minor, Selection>()

  const select = (version: Minor, wanted: (name: string) => boolean): Selection => {
    const own = new Set<RowColumn>([key, ...(options.always ?? [])])
    let joined = false
    let needsFleet = false
    const prints: Print[] = []
    let parts: JsonPart[] = []
    let begun = false
    /** What was gathered comes out of the engine as one text. */
    const close = () => {
      if (parts.length === 0) return
      const as = `json_${own.size}`
      own.add({ as, parts })
      prints.push(row => row[as] as string) // printed by the engine
      parts = []
    }
    for (const { name, field, minor } of known) {
      if (minor > version || !wanted(name)) continue
      const made = computed[name]
      const { column: kind } = field
      if (!made && !kind) continue
      const before = `${begun ? ',' : '{'}"${name}":`
      begun = true
      if (!made && kind && !field.secrets) {
        parts.push({ before, column: name, kind, instead: shownInstead(field, version) })
        if (parts.length === mostParts) close()
        continue
      }
      close()
      for (const column of made?.columns ?? [name]) own.add(column)
      joined ||= made?.joined === true
      needsFleet ||= made?.needsFleet === true
      const print = made?.print ?? printerOfSecrets(name, field)
      prints.push((row, context) => before + print(row, context))
    }
    close()
    const print: Print = (row, context) => {
      let out = ''
      for (const one of prints) out += one(row, context)
      return out === '' ? '{}' : `${out}}`
    }
    return { own: [...own], joined, needsFleet, print }
  }

  return {
    full: version => remember(fullByVersion, version, () => select(version, () => true)),
    short: version => remember(shortByVersion, version, () => select(version, name => short.has(name))),
    chosen(names, version) {
      for (const name of names) {
        const field = Object.hasOwn(fields, name) ? fields[name] : undefined
        if (!field || field.select === false) throw new InvalidInput(`Cannot select the field ${name}: there is none`)
        if (minorOf(field.from) > version) throw tooNew(name, field, version)
      }
      const wanted = new Set([...names, 'links'])
      return select(version, name => wanted.has(name))
    },
    sortKey(name, version) {
      if (name === 'id') return name
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined
      if (!field?.sort) throw new InvalidInput(`Cannot sort by ${name}: it is no sortable field`)
      if (minorOf(field.from) > version) throw tooNew(name, field, version)
      return name
    },
  }
}

function tooNew(name: string, field: Field, version: Minor): NotAcceptable {
  return new NotAcceptable(
    `The field ${name} needs version ${field.from}; the request was made with ${versionText(version)}`,
  )
}

/** What a version sees in place of newer values. */
function shownInstead(field: Field, version: Minor): ReadonlyMap<string, string> {
  const older = field.older?.filter(one => version < minorOf(one.below)) ?? []
  return new Map(older.map(one => [one.value, JSON.stringify(one.shown)]))
}

/** Objects that may hold secrets are looked through here, and not printed by the engine. */
function printerOfSecrets(name: string, { secrets }: Field): Print {
  return (row, { masker, unmasked }) => {
    const stored = String(row[name])
    return unmasked?.has(name) ? stored : masker.text(stored, secrets?.hide)
  }
}

function remember<K, V>(cache: Map<K, V>, key: K, make: () => V): V {
  const found = cache.get(key)
  if (found !== undefined) return found
  const made = make()
  cache.set(key, made)
  return made
}
