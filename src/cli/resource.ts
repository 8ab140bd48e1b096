/**
 * Create, list, show, set, unset and delete for any resource of the API, made from its declaration: one row per thing
 * that can be set says the option, the field and the kind of value, and the three commands that write follow from it.
 * What only one resource has (power, deploy ...) is written in that resource's file.
 */

import { type Query, segment } from './client.ts'
import {
  type AnyCommand,
  type AnyInput,
  type Context,
  command,
  type Item,
  type Option,
  type Options,
} from './command.ts'
import { compare } from './output.ts'
import { UsageError } from './parse.ts'
import { forEach } from './report.ts'
import { document, pair, pairs, yesOrNo } from './values.ts'

type Verb = 'create' | 'set' | 'unset'

export interface Setting {
  readonly option: string
  /** The API's field. */
  readonly field: string
  /**
   * `text`; `pairs`: an object, given as key=value one by one; `json`: typed in, a file, or `-`; `boolean`: true or
   * false as text; `true`, `false`: a switch; `removal`: a switch of `set` that takes the field back to its default.
   */
  readonly holds: 'text' | 'pairs' | 'json' | 'boolean' | 'true' | 'false' | 'removal'
  /** Continues "sets ..." in the help. */
  readonly about: string
  readonly metavar?: string
  /** The commands that have it; default all three. */
  readonly on?: readonly Verb[]
  /** `create` demands it. */
  readonly required?: true
  readonly group?: string
  /** The field to use instead when the value is no UUID. */
  readonly nameField?: string
}

/** An option of `list` that becomes a query parameter. */
export interface Filter extends Option {
  readonly parameter: string
  /** What a switch stands for; default true. */
  readonly value?: boolean
}

export interface Resource {
  /** In messages: `node`, `port`. */
  readonly name: string
  /** Path of the collection, and the key of its answers. */
  readonly path: string
  readonly key: string
  /** Name of the positional argument, e.g. `node`. */
  readonly argument: string
  readonly columns: readonly string[]
  readonly longColumns: readonly string[]
  readonly settings: readonly Setting[]
  readonly filters: Readonly<Record<string, Filter>>
  /** Where the long list is: `/detail` below the collection, or `?detail=True`. */
  readonly detail: 'path' | 'query'
  /** Whether set and unset take several objects in one call. */
  readonly setsMany: boolean
}

/** Fields that only link to other resources; never shown. */
const linkFields = ['links', 'ports', 'portgroups', 'states', 'volume', 'nodes']

export function withoutLinks(item: Item, extra: readonly string[] = []): Item {
  return Object.fromEntries(Object.entries(item).filter(([key]) => !linkFields.includes(key) && !extra.includes(key)))
}

const fieldsOption = {
  takes: 'words',
  metavar: 'field',
  about: 'ask for these fields only',
} satisfies Option

export function createCommand(resource: Resource, args: AnyCommand['args'] = {}): AnyCommand {
  return command({
    about: `Register a new ${resource.name}`,
    args,
    options: settingOptions(resource, 'create'),
    shows: 'one',
    async run(input: AnyInput, context) {
      const body: Record<string, unknown> = { ...input.args }
      for (const setting of resource.settings) {
        const given = input.options[setting.option]
        if (given === undefined || !isOn(setting, 'create')) continue
        body[fieldOf(setting, given)] = await settingValue(setting, given, context)
      }
      const created = await context.api.create(resource.path, body)
      return { kind: 'one', item: withoutLinks(created) }
    },
  })
}

export function listCommand(resource: Resource): AnyCommand {
  return command({
    about: `List ${resource.key}`,
    args: {},
    options: {
      limit: { takes: 'number', about: `how many ${resource.key} to list; 0 for all, default one page of the service` },
      marker: { takes: 'text', about: `begin after this ${resource.name}` },
      sort: { takes: 'text', metavar: 'field[:asc|desc],...', about: 'sort what was listed by these fields' },
      ...resource.filters,
      long: { takes: 'nothing', group: 'columns', about: 'show all fields' },
      fields: { ...fieldsOption, group: 'columns' },
    },
    shows: 'list',
    async run({ options }, { api }) {
      const { limit, marker, sort, long, fields } = options
      if (limit !== undefined && limit < 0) throw new UsageError(`Option --limit needs 0 or more, found ${limit}`)
      const order = sort === undefined ? undefined : sorting(sort)
      const query: Record<string, string | boolean> = {}
      if (marker !== undefined) query.marker = marker
      Object.assign(query, filterQuery(resource.filters, options))
      if (fields) query.fields = fields.join(',')
      if (long && resource.detail === 'query') query.detail = 'True'
      const path = long && resource.detail === 'path' ? `${resource.path}/detail` : resource.path
      const items = await api.list(path, resource.key, { query, limit })
      const columns = fields ?? (long ? resource.longColumns : resource.columns)
      return { kind: 'list', columns, items: order ? items.toSorted(order) : items }
    },
  })
}

export function showCommand(resource: Resource): AnyCommand {
  return command({
    about: `Show one ${resource.name}`,
    args: { name: { metavar: resource.argument, about: `the ${resource.name}` } },
    options: { fields: fieldsOption },
    shows: 'one',
    async run({ args, options }, { api }) {
      return { kind: 'one', item: await show(resource, args.name, options.fields, api) }
    },
  })
}

export async function show(
  resource: Resource,
  name: string,
  fields: readonly string[] | undefined,
  api: Context['api'],
): Promise<Item> {
  return withoutLinks(await api.get(`${resource.path}/${segment(name)}`, { fields: fields?.join(',') }))
}

interface Update {
  readonly verb: 'set' | 'unset'
  /** Options beside the settings, and what they do before the patch; true when there was something to do. */
  readonly options?: Options
  before?(input: AnyInput, names: readonly string[], context: Context): Promise<boolean>
  query?(input: AnyInput): Query
}

/** `set` and `unset`: one patch for all given objects. */
export function updateCommand(resource: Resource, { verb, options = {}, before, query }: Update): AnyCommand {
  const about = `${verb === 'set' ? 'Change' : 'Clear'} properties of ${resource.setsMany ? resource.key : `a ${resource.name}`}`
  const argument = { metavar: resource.argument, about: `the ${resource.name}` }
  return command({
    about,
    args: { names: resource.setsMany ? ({ ...argument, many: true } as const) : argument },
    options: { ...settingOptions(resource, verb), ...options },
    async run(input: AnyInput, context) {
      const names = [input.args.names ?? []].flat()
      const did = (await before?.(input, names, context)) ?? false
      const patch = await patchOf(resource, verb, input, context)
      if (patch.length === 0) {
        if (did) return undefined
        throw new UsageError(`Nothing to ${verb}: name at least one property`)
      }
      await forEach(names, `${verb} properties of ${resource.name}`, async name => {
        await context.api.patch(`${resource.path}/${segment(name)}`, patch, query?.(input))
      })
      return undefined
    },
  })
}

export function deleteCommand(resource: Resource): AnyCommand {
  return command({
    about: `Unregister ${resource.key}`,
    args: { names: { metavar: resource.argument, many: true, about: `the ${resource.name}` } },
    options: {},
    async run({ args }, { api, terminal }) {
      await forEach(args.names, `delete ${resource.name}`, async name => {
        await api.delete(`${resource.path}/${segment(name)}`)
        terminal.out.write(`Deleted ${resource.name} ${name}\n`)
      })
      return undefined
    },
  })
}

function isOn(setting: Setting, verb: Verb): boolean {
  return setting.on?.includes(verb) ?? true
}

function settingOptions(resource: Resource, verb: Verb): Options {
  const rows = resource.settings.filter(setting => isOn(setting, verb))
  return Object.fromEntries(rows.map(setting => [setting.option, settingOption(setting, verb)]))
}

function settingOption(setting: Setting, verb: Verb): Option {
  const { holds, about, metavar, group, required } = setting
  const common = { about, ...(group && { group }), ...(required && verb === 'create' && { required }) }
  if (holds === 'pairs') {
    return verb === 'unset'
      ? { ...common, takes: 'repeat', metavar: 'key', about: `${about}: this key; may be repeated` }
      : { ...common, takes: 'repeat', metavar: 'key=value', about: `${about}; may be repeated` }
  }
  const isSwitch = verb === 'unset' || holds === 'true' || holds === 'false' || holds === 'removal'
  if (isSwitch) return { ...common, takes: 'nothing' }
  return { ...common, takes: 'text', ...(metavar && { metavar }) }
}

function fieldOf(setting: Setting, given: unknown): string {
  const isName = typeof given === 'string' && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given)
  return setting.nameField && isName ? setting.nameField : setting.field
}

/** What goes to the API for an option of `create` or `set`. */
async function settingValue(setting: Setting, given: unknown, { terminal }: Context): Promise<unknown> {
  switch (setting.holds) {
    case 'true':
      return true
    case 'false':
      return false
    case 'boolean':
      return yesOrNo(`option --${setting.option}`, String(given))
    case 'json':
      return await document(setting.about, String(given), terminal)
    case 'pairs':
      return pairs(given as string[]) // the option is declared as `repeat`
    case 'text':
    case 'removal':
      return given
  }
}

/**
 * The JSON patch of `set` and `unset`. Keys go into the path as typed, so `--property a/b=1` reaches into an object,
 * as with the baremetal client; the API refuses keys with other characters itself.
 */
async function patchOf(resource: Resource, verb: 'set' | 'unset', input: AnyInput, context: Context) {
  const patch: { op: 'add' | 'remove'; path: string; value?: unknown }[] = []
  for (const setting of resource.settings.filter(it => isOn(it, verb))) {
    const given = input.options[setting.option]
    if (given === undefined) continue
    const path = `/${fieldOf(setting, given)}`
    if (setting.holds === 'pairs') {
      for (const text of [given].flat()) {
        const [key, value] = verb === 'set' ? pair(String(text)) : [String(text), undefined]
        patch.push(
          verb === 'set' ? { op: 'add', path: `${path}/${key}`, value } : { op: 'remove', path: `${path}/${key}` },
        )
      }
    } else if (verb === 'unset' || setting.holds === 'removal') {
      patch.push({ op: 'remove', path })
    } else {
      patch.push({ op: 'add', path, value: await settingValue(setting, given, context) })
    }
  }
  return patch
}

function filterQuery(filters: Resource['filters'], options: AnyInput['options']): Record<string, string | boolean> {
  const query: Record<string, string | boolean> = {}
  for (const [name, { parameter, value = true }] of Object.entries(filters)) {
    const given = options[name]
    if (given === undefined) continue
    // Booleans in Python's spelling, which every server of this API reads.
    query[parameter] = given === true ? (value ? 'True' : 'False') : [given].flat().join(',')
  }
  return query
}

/** `name:desc,uuid` as a comparison of items. */
function sorting(text: string): (a: Item, b: Item) => number {
  const keys = text.split(',').map(part => {
    const [field = '', direction = 'asc'] = part.trim().split(':')
    if (field === '' || (direction !== 'asc' && direction !== 'desc')) {
      throw new UsageError(
        `Wrong value for option --sort: found "${part}", expected <field>, <field>:asc or <field>:desc`,
      )
    }
    return { field, sign: direction === 'desc' ? -1 : 1 }
  })
  return (a, b) => {
    for (const { field, sign } of keys) {
      const order = sign * compare(a[field], b[field])
      if (order !== 0) return order
    }
    return 0
  }
}
