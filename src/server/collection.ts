/**
 * Lists: their parameters, which page and which fields a request asks for, and the document with its link to the next
 * page. The same for every resource. Source: REST API reference, "Lists".
 */
import { type TSchema, Type } from 'typebox'
import type { Page, Paged } from '#db/page.ts'
import { InvalidInput } from '#lib/fault.ts'
import { Nullable } from '#protocol/field.ts'
import type { Call } from './endpoint.ts'
import { textBuffer } from './http/text-buffer.ts'
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
  const out = textBuffer((rowBytes.get(selection) ?? 1024) * paged.rows.length)
  out.add(`{"${collection.key}":[`)
  // Some rows at a time: short-lived texts cost the collector of garbage far less than one of many megabytes.
  let text = ''
  for (const [index, row] of paged.rows.entries()) {
    text += (index === 0 ? '' : ',') + selection.print(row, context)
    if (index % rowsInPiece < rowsInPiece - 1) continue
    out.add(text)
    text = ''
  }
  out.add(text)
  if (paged.rows.length > 0) rowBytes.set(selection, Math.ceil(out.length / paged.rows.length))
  const next = paged.next && nextUrl(call, page.limit, String(paged.next[collection.marker]))
  out.add(next === undefined ? ']}' : `],"next":${JSON.stringify(next)}}`)
  return out.bytes()
}

const rowsInPiece = 64
/** How many bytes a row took when such a page was last printed. */
const rowBytes = new WeakMap<Selection, number>()

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
