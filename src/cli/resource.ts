/**
 * Create, list, show, set, unset and delete for any resource of the API, made from its declaration. What can be set is
 * read off the API's fields (settings.ts); a resource adds its columns, its filters and where its options differ. What
 * only one resource has (power, deploy ...) is written in that resource's file.
 */
import { NotFound } from '#lib/fault.ts'
import { type Api, type Query, segment } from './client.ts'
import {
  type AnyCommand,
  type AnyInput,
  type Context,
  command,
  type Item,
  type LaterCommand,
  type Option,
  type Options,
} from './command.ts'
import { compare } from './output.ts'
import { UsageError } from './parse.ts'
import { forEach } from './report.ts'
import { isOn, type Settable, type Setting, settingOptions, settingsOf, type Verb } from './settings.ts'
import { document, pair, pairs, yesOrNo } from './values.ts'

/** An option of `list` that becomes a query parameter. */
export interface Filter extends Option {
  readonly parameter: string
  /** What a switch stands for; default true. */
  readonly value?: boolean
  /** As with settings: where a name is looked up, since the API wants a UUID. */
  readonly names?: string
}

export interface Resource extends Settable {
  /** In messages: `node`, `port group`. */
  readonly name: string
  /** Many of them; default: the name with an s. */
  readonly plural?: string
  /** Path of the collection, and the key of its answers. */
  readonly path: string
  readonly key: string
  /** Columns of a list. */
  readonly columns: readonly string[]
  /** Columns with --long; their order is the one of the baremetal client, which scripts may count on. */
  readonly longColumns: readonly string[]
  readonly filters?: Readonly<Record<string, Filter>>
  /** Where the long list is: `/detail` below the collection, `?detail=True`, or there is no other list. */
  readonly detail: 'path' | 'query' | 'only'
  /** Whether set and unset take several objects in one call. */
  readonly setsMany?: true
}

/** Fields that only link to other resources; never shown. */
const linkFields = ['links', 'ports', 'portgroups', 'states', 'volume', 'nodes']

export function withoutLinks(item: Item, extra: readonly string[] = []): Item {
  return Object.fromEntries(Object.entries(item).filter(([key]) => !linkFields.includes(key) && !extra.includes(key)))
}

export const fieldsOption = {
  takes: 'words',
  metavar: 'field',
  about: 'ask for these fields only',
} satisfies Option

function pluralOf({ name, plural }: Resource): string {
  return plural ?? `${name}s`
}

/** The positional argument: `<port-group>`. */
function argumentOf({ name }: Resource) {
  return { metavar: name.replaceAll(' ', '-'), about: `the ${name}` }
}

interface Creation {
  /** Options beside the settings. */
  readonly options?: Options
  /** Looks at the command line before the request. @throws UsageError */
  check?(input: AnyInput): void
  /** What is shown: the new object, or what became of it. */
  after?(created: Item, input: AnyInput, context: Context): Promise<Item>
}

export function createCommand(resource: Resource, { options = {}, check, after }: Creation = {}): LaterCommand {
  const about = `Register a new ${resource.name}`
  const load = async () => {
    const settings = await settingsOf(resource)
    const args = (resource.positional ?? []).map(field => [
      field,
      { about: `the ${field} of the new ${resource.name}` },
    ])
    return command({
      about,
      args: Object.fromEntries(args),
      options: { ...settingOptions(settings, 'create'), ...options },
      shows: 'one',
      async run(input: AnyInput, context) {
        check?.(input)
        const body: Record<string, unknown> = { ...input.args }
        for (const setting of settings) {
          const given = input.options[setting.option]
          if (given === undefined || !isOn(setting, 'create')) continue
          body[setting.field] = await settingValue(setting, given, context)
        }
        const created = await context.api.create(resource.path, body)
        return { kind: 'one', item: withoutLinks((await after?.(created, input, context)) ?? created) }
      },
    })
  }
  return { about, load }
}

export function listCommand(resource: Resource): AnyCommand {
  const { filters = {}, detail } = resource
  const plural = pluralOf(resource)
  return command({
    about: `List ${plural}`,
    args: {},
    options: {
      limit: {
        takes: 'number',
        least: 0,
        about: `how many ${plural} to list; 0 for all, default one page of the service`,
      },
      marker: { takes: 'text', metavar: argumentOf(resource).metavar, about: `begin after this ${resource.name}` },
      sort: { takes: 'text', metavar: 'field[:asc|desc],...', about: 'sort what was listed by these fields' },
      ...filters,
      long: { takes: 'nothing', group: 'columns', about: 'show all fields' },
      fields: { ...fieldsOption, group: 'columns' },
    },
    shows: 'list',
    async run({ options }, { api }) {
      const { limit, marker, sort, long, fields } = options
      const order = sort === undefined ? undefined : sorting(sort)
      const query: Record<string, string | boolean> = {}
      if (marker !== undefined) query.marker = marker
      Object.assign(query, await filterQuery(filters, options, api))
      if (fields) query.fields = fields.join(',')
      if (long && detail === 'query') query.detail = 'True'
      const path = long && detail === 'path' ? `${resource.path}/detail` : resource.path
      const items = await api.list(path, resource.key, { query, limit })
      const columns = fields ?? (long ? resource.longColumns : resource.columns)
      return { kind: 'list', columns, items: order ? items.toSorted(order) : items }
    },
  })
}

export function showCommand(resource: Resource): AnyCommand {
  return command({
    about: `Show one ${resource.name}`,
    args: { name: argumentOf(resource) },
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

/** `show` of what may also be found by its MAC address. */
export function showByAddressCommand(resource: Resource): AnyCommand {
  const { name, path, key } = resource
  return command({
    about: `Show one ${name}`,
    args: {
      name: { ...argumentOf(resource), about: `UUID or name of the ${name}, or with --address its MAC address` },
    },
    options: { address: { takes: 'nothing', about: 'the argument is a MAC address' }, fields: fieldsOption },
    shows: 'one',
    async run({ args, options }, { api }) {
      if (!options.address) return { kind: 'one', item: await show(resource, args.name, options.fields, api) }
      const query = { address: args.name, fields: options.fields?.join(',') }
      const [found] = await api.list(options.fields ? path : `${path}/detail`, key, { query, limit: undefined })
      if (!found) throw new NotFound(`Cannot show the ${name} with address ${args.name}: no ${name} has it`)
      return { kind: 'one', item: withoutLinks(found) }
    },
  })
}

interface Update {
  /** Options beside the settings, and what they do before the patch; true when there was something to do. */
  readonly options?: Options
  before?(input: AnyInput, names: readonly string[], context: Context): Promise<boolean>
  query?(input: AnyInput): Query
}

/** `set` and `unset`: one patch for all given objects. */
export function updateCommand(
  resource: Resource,
  verb: 'set' | 'unset',
  { options = {}, before, query }: Update = {},
): LaterCommand {
  const { name, setsMany, path } = resource
  const about = `${verb === 'set' ? 'Change' : 'Clear'} properties of ${setsMany ? pluralOf(resource) : `one ${name}`}`
  const argument = argumentOf(resource)
  const load = async () => {
    const settings = await settingsOf(resource)
    return command({
      about,
      args: { names: setsMany ? ({ ...argument, many: true } as const) : argument },
      options: { ...settingOptions(settings, verb), ...options },
      async run(input: AnyInput, context) {
        const names = [input.args.names ?? []].flat()
        const did = (await before?.(input, names, context)) ?? false
        const given = settings.filter(setting => isOn(setting, verb))
        const patch = await patchOf(given, verb, input, context)
        if (patch.length === 0) {
          if (did) return undefined
          throw new UsageError(`Nothing to ${verb}: name at least one property`)
        }
        await forEach(names, `${verb} properties of ${name}`, async one => {
          await context.api.patch(`${path}/${segment(one)}`, patch, query?.(input))
        })
        return undefined
      },
    })
  }
  return { about, load }
}

export function deleteCommand(resource: Resource): AnyCommand {
  const { name, path } = resource
  return command({
    about: `Unregister ${pluralOf(resource)}`,
    args: { names: { ...argumentOf(resource), many: true } },
    options: {},
    async run({ args }, { api, terminal }) {
      await forEach(args.names, `delete ${name}`, async one => {
        await api.delete(`${path}/${segment(one)}`)
        terminal.out.write(`Deleted ${name} ${one}\n`)
      })
      return undefined
    },
  })
}

/** The six commands that most resources have. */
export function resourceCommands(resource: Resource) {
  return {
    create: createCommand(resource),
    list: listCommand(resource),
    show: showCommand(resource),
    set: updateCommand(resource, 'set'),
    unset: updateCommand(resource, 'unset'),
    delete: deleteCommand(resource),
  }
}

/** The UUID of an object of a collection, looked up when it was given by name. */
async function uuidOf(given: string, path: string, api: Api): Promise<string> {
  if (/^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i.test(given)) return given
  return String((await api.get(`${path}/${segment(given)}`, { fields: 'uuid' })).uuid)
}

/** What goes to the API for an option of `create` or `set`. */
async function settingValue(setting: Setting, given: unknown, { api, terminal }: Context): Promise<unknown> {
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
      return setting.names === undefined ? given : await uuidOf(String(given), setting.names, api)
    default:
      return given
  }
}

interface Operation {
  readonly op: 'add' | 'remove'
  readonly path: string
  readonly value?: unknown
}

/**
 * The JSON patch of `set` and `unset`. Keys go into the path as typed, so `--property a/b=1` reaches into an object,
 * as with the baremetal client; the API refuses keys with other characters itself.
 */
async function patchOf(
  settings: readonly Setting[],
  verb: Verb,
  input: AnyInput,
  context: Context,
): Promise<Operation[]> {
  const patch: Operation[] = []
  for (const setting of settings) {
    const given = input.options[setting.option]
    if (given === undefined) continue
    const path = `/${setting.field}`
    const words = Array.isArray(given) ? given : []
    if (setting.holds === 'item') patch.push(...removedItems(path, words))
    else if (setting.holds === 'pairs' && verb === 'unset') {
      patch.push(...words.map(key => ({ op: 'remove' as const, path: `${path}/${key}` })))
    } else if (setting.holds === 'pairs') {
      for (const [key, value] of words.map(pair)) patch.push({ op: 'add', path: `${path}/${key}`, value })
    } else if (verb === 'unset' || setting.holds === 'removal') {
      patch.push({ op: 'remove', path })
    } else {
      patch.push({ op: 'add', path, value: await settingValue(setting, given, context) })
    }
  }
  return patch
}

/** The last first, so that taking one away does not move the others. */
function removedItems(path: string, indexes: readonly string[]): Operation[] {
  const last = indexes.toSorted((a, b) => Number(b) - Number(a))
  return last.map(index => ({ op: 'remove', path: `${path}/${index}` }))
}

async function filterQuery(
  filters: Readonly<Record<string, Filter>>,
  options: AnyInput['options'],
  api: Api,
): Promise<Record<string, string | boolean>> {
  const query: Record<string, string | boolean> = {}
  for (const [name, { parameter, names, value = true }] of Object.entries(filters)) {
    const given = options[name]
    if (given === undefined) continue
    const text = [given].flat().join(',')
    // Booleans in Python's spelling, which every server of this API reads.
    if (given === true) query[parameter] = value ? 'True' : 'False'
    else query[parameter] = names === undefined ? text : await uuidOf(text, names, api)
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
