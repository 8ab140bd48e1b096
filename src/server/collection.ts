/**
 * Lists: their parameters, which page and which fields a request asks for, and the document with its link to the next
 * page. The same for every resource. Source: REST API reference, "Lists".
 */
import { type TSchema, Type } from 'typebox'
import type { Page, Paged } from '#db/page.ts'
import { InvalidInput } from '#lib/fault.ts'
import { Nullable } from '#protocol/field.ts'
import type { Call } from './endpoint.ts'
import { boolean, integer, list, text, uuid, word } from './parameters.ts'
import type { Selection, View, ViewContext } from './view.ts'

/** Parameters of every paged list. */
export const paging = {
  limit: integer({ min: 1, doc: 'most entries; cut to [api] max_limit' }),
  marker: uuid({ doc: 'UUID of the last entry seen' }),
  sort_key: text({ doc: 'field to sort by' }),
  sort_dir: word(['asc', 'desc'], {}),
}
/** Which fields: for lists that have a short and a long form. */
export const choosing = {
  fields: list({ from: '1.8', doc: 'names of fields, comma separated' }),
  detail: boolean({ from: '1.43', below: 400, doc: 'true: all fields' }),
}

export interface Collection {
  /** Key of the list in the document. */
  readonly key: string
  readonly view: View
  /** Column that markers name. */
  readonly marker: string
}

interface PagingValues {
  readonly limit?: number | undefined
  readonly marker?: string | undefined
  readonly sort_key?: string | undefined
  readonly sort_dir?: 'asc' | 'desc' | undefined
}

/** The page that a request asks for. */
export function pageOf(call: Pick<Call, 'version' | 'config'>, query: PagingValues, view: View): Page {
  return {
    limit: Math.min(query.limit ?? call.config.api.max_limit, call.config.api.max_limit),
    marker: query.marker,
    sortKey: query.sort_key === undefined ? 'id' : view.sortKey(query.sort_key, call.version),
    descending: query.sort_dir === 'desc',
  }
}

/** The fields that a request asks for: named ones, all, or the short form. */
export function selectionOf(
  call: Pick<Call, 'version'>,
  query: { readonly fields?: readonly string[] | undefined; readonly detail?: boolean | undefined },
  view: View,
): Selection {
  if (query.fields !== undefined) {
    if (query.detail === true) throw new InvalidInput('Cannot list with both fields and detail; expected one of them')
    return view.chosen(query.fields, call.version)
  }
  return query.detail === true ? view.full(call.version) : view.short(call.version)
}

/** The document of a page. `next` repeats everything that the page was asked with. */
export function listJson(
  call: Pick<Call, 'links' | 'path' | 'given'>,
  collection: Collection,
  selection: Selection,
  context: ViewContext,
  paged: Paged,
  page: Page,
): Buffer {
  // In pieces of some rows: short-lived texts cost the collector of garbage far less than one of many megabytes.
  const pieces: Buffer[] = []
  let out = `{"${collection.key}":[`
  for (const [index, row] of paged.rows.entries()) {
    out += (index === 0 ? '' : ',') + selection.print(row, context)
    if (index % rowsInPiece === rowsInPiece - 1) {
      pieces.push(Buffer.from(out))
      out = ''
    }
  }
  const next = paged.next && nextUrl(call, page.limit, String(paged.next[collection.marker]))
  pieces.push(Buffer.from(next === undefined ? `${out}]}` : `${out}],"next":${JSON.stringify(next)}}`))
  return Buffer.concat(pieces)
}

const rowsInPiece = 64

/** Schema of a page's document. */
export function listSchema(key: string, item: TSchema): TSchema {
  return Type.Object({ [key]: Type.Array(item), next: Type.Optional(Nullable(Type.String())) })
}

/** The same list after `marker`, asked for with all that this one was asked with. */
export function nextUrl(call: Pick<Call, 'links' | 'path' | 'given'>, limit: number, marker: string): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(call.given)) {
    if (name === 'limit' || name === 'marker') continue
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one))
  }
  query.set('limit', String(limit))
  query.set('marker', marker)
  return `${call.links.base}${call.path}?${query}`
}
