/**
 * What every plain resource does alike: a page of its list, one object as JSON, a new object, a patched one. The
 * resource's own file declares its endpoints and holds whatever only it demands.
 */
import { randomUUID } from 'node:crypto'
import type { TSchema } from 'typebox'
import type { Stored } from '#db/codec.ts'
import type { ObjectFilters, ObjectTable } from '#db/objects.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { type Field, namePattern, timestamp } from '#protocol/field.ts'
import { type Collection, listJson, listSchema, pageOf } from './collection.ts'
import type { Answer, Call } from './endpoint.ts'
import { candidates, looksLikeUuid } from './find-node.ts'
import { escaped, selfAndBookmark } from './links.ts'
import { maskerFor } from './resources/node-view.ts'
import { answerSchema } from './schemas.ts'
import { untilWritten } from './until-written.ts'
import { type Computed, type Selection, type View, type ViewContext, viewOf } from './view.ts'

/** An object of such a resource. */
export type StoredObject = Readonly<Record<string, unknown>> & { readonly uuid: string }

interface Asked {
  readonly limit?: number | undefined
  readonly marker?: string | undefined
  readonly sort_key?: string | undefined
  readonly sort_dir?: 'asc' | 'desc' | undefined
}

export interface Resource<F extends Record<string, Field>> {
  readonly view: View
  /** Schemas of one object and of a page. */
  readonly Answer: TSchema
  readonly List: TSchema
  /** What a GET of one asks for. */
  selection(call: Pick<Call, 'version'>, names: readonly string[] | undefined): Selection
  list(call: Call<unknown, Asked>, selection: Selection, filters: ObjectFilters): Promise<Answer>
  /** By UUID or name. @throws NotFound */
  find(call: Pick<Call, 'db' | 'version'>, ident: string): Promise<Stored<F> & StoredObject>
  /** @throws NotFound */
  show(call: Call, uuid: string, selection?: Selection): Promise<Answer>
  /** Stores a new object and answers with it. @throws Conflict */
  add(call: Call, values: Readonly<Record<string, unknown>>): Promise<Answer>
  /**
   * Writes what `plan` makes of the object as it is; it is planned again when somebody else changed it meanwhile.
   * @throws NotFound, Conflict
   */
  patch(
    call: Pick<Call, 'db' | 'version' | 'clock'>,
    uuid: string,
    plan: (found: Stored<F> & StoredObject) => Readonly<Record<string, unknown>>,
  ): Promise<void>
  /** Writes changes to an object that is held by the lease of its node. @throws NotFound, Conflict */
  change(call: Call, uuid: string, changed: Readonly<Record<string, unknown>>): Promise<void>
  /** @throws NotFound */
  remove(call: Call, uuid: string): Promise<void>
  removeAll(call: Pick<Call, 'db'>): Promise<void>
}

export function resourceOf<F extends Record<string, Field>>(options: {
  table: ObjectTable<F>
  fields: F
  /** Fields that answers have. Default: all. */
  shown?: Readonly<Record<string, Field>>
  /** What one is called in messages: `Chassis`. */
  noun: string
  /** Key of the list. */
  key: string
  /** Of the collection, without /v1. */
  path: string
  short: readonly string[]
  computed?: Readonly<Record<string, Computed>>
}): Resource<F> {
  const { table, noun, key, path } = options
  const shown = options.shown ?? options.fields
  const view = viewOf({
    fields: shown,
    key: 'uuid',
    short: options.short,
    computed: {
      links: { columns: ['uuid'], print: ({ uuid }, { base }) => selfAndBookmark(base, `${path}/${uuid}`) },
      ...options.computed,
    },
  })
  const collection: Collection = { key, view, marker: 'uuid' }
  const one = answerSchema(shown)
  const missing = (ident: string) => new NotFound(`${noun} ${ident} could not be found.`)

  const resource: Resource<F> = {
    view,
    Answer: one,
    List: listSchema(key, one),
    selection: ({ version }, names) => (names === undefined ? view.full(version) : view.chosen(names, version)),
    async list(call, selection, filters) {
      const page = pageOf(call, call.query, view)
      const paged = await table.listRows(call.db, selection.own, filters, page)
      return { json: listJson(call, collection, selection, contextOf(call), paged, page) }
    },
    async find(call, ident) {
      for (const spelling of candidates(ident, call.version, 1)) {
        const found = await table.find(call.db, spelling)
        if (found) return found as Stored<F> & StoredObject // every table has a UUID
      }
      throw missing(ident)
    },
    async show(call, uuid, selection = view.full(call.version)) {
      const row = await table.findRow(call.db, selection.own, uuid)
      if (!row) throw missing(uuid)
      return { json: selection.print(row, contextOf(call)) }
    },
    async add(call, values) {
      const uuid = typeof values.uuid === 'string' ? values.uuid : randomUUID()
      await table.insert(call.db, { ...values, uuid, created_at: timestamp(call.clock.now()) })
      return { ...(await resource.show(call, uuid)), location: `${call.links.base}/v1${path}/${uuid}` }
    },
    patch: (call, uuid, plan) =>
      untilWritten(`${noun} ${uuid}`, async () => {
        const found = await resource.find(call, uuid)
        const changed = plan(found)
        if (Object.keys(changed).length === 0) return true
        const { updated_at } = found as { readonly updated_at?: string | null } // every table has the column
        return table.replace(call.db, { uuid, updated_at: updated_at ?? null }, changed, call.clock.now())
      }),
    async change(call, uuid, changed) {
      if (Object.keys(changed).length === 0) return
      if (!(await table.update(call.db, uuid, changed, call.clock.now()))) throw missing(uuid)
    },
    async remove(call, uuid) {
      if (!(await table.delete(call.db, uuid))) throw missing(uuid)
    },
    removeAll: ({ db }) => table.deleteAll(db),
  }
  return resource
}

function contextOf(call: Pick<Call, 'links' | 'conductor' | 'may'>): ViewContext {
  return {
    base: escaped(call.links.base),
    masker: maskerFor(call.conductor.secretKeys()),
    hides: policy => !call.may(policy, null),
  }
}

const nameRegex = new RegExp(namePattern)

/** @throws InvalidInput for a name that paths could not carry, or that reads as a UUID */
export function checkObjectName(noun: string, name: unknown): void {
  if (typeof name !== 'string' || (nameRegex.test(name) && !looksLikeUuid(name))) return
  throw new InvalidInput(
    `Cannot name a ${noun} ${JSON.stringify(name)}: expected letters, digits and - . _ ~, and no UUID`,
  )
}
