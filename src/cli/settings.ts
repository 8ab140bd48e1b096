/**
 * What can be set on a resource, as options of create, set and unset: read off the API's own fields (#protocol), so that
 * a field which the API gains gets its options here by itself. A resource says only where its options differ. Holds no
 * knowledge of any one resource and never talks to the API.
 */
import type { Field } from '#protocol/field.ts'
import type { Option, Options } from './command.ts'

export type Verb = 'create' | 'set' | 'unset'

export interface Setting {
  readonly option: string
  /** The API's field. */
  readonly field: string
  /**
   * `text`, `number`; `pairs`: an object, given as key=value one by one; `list`: words, one by one; `json`: typed in, a
   * file, or `-`; `boolean`: true or false as text; `yes?`: the same, where nothing stands for true; `true`, `false`: a
   * switch; `removal`: a switch of `set` that takes the field back to its default; `item`: the place in a list, for
   * `unset`.
   */
  readonly holds:
    | 'text'
    | 'number'
    | 'pairs'
    | 'list'
    | 'json'
    | 'boolean'
    | 'yes?'
    | 'true'
    | 'false'
    | 'removal'
    | 'item'
  /** Shown in the help. */
  readonly about: string
  readonly metavar?: string
  readonly choices?: readonly string[]
  /** The commands that have it. */
  readonly on: readonly Verb[]
  /** `create` demands it. */
  readonly required?: true
  readonly group?: string
  /** Path of the collection that the value names an object of: a name is looked up, since the field wants a UUID. */
  readonly names?: string
}

/** Where the options of a field differ from what its declaration says; false: it has none. */
export type Difference = Partial<Omit<Setting, 'field'>> | false

export interface Settable {
  /** The API's fields; loaded only by commands that set them. */
  readonly fields: () => Promise<Readonly<Record<string, Field>>>
  readonly differences?: Readonly<Record<string, Difference>>
  /** Further options: switches that come in pairs, single items of lists. */
  readonly more?: readonly Setting[]
  /** Fields that `create` takes as arguments, in this order. */
  readonly positional?: readonly string[]
}

/** Every setting of a resource, in the order of its fields. */
export async function settingsOf({
  fields,
  differences = {},
  more = [],
  positional = [],
}: Settable): Promise<Setting[]> {
  const declared = Object.entries(await fields())
  const settings = declared.flatMap(([name, field]) => {
    const difference = differences[name]
    if (difference === false || (!field.create && !field.patch)) return []
    const setting = { ...settingOf(name, field), ...difference }
    return [positional.includes(name) ? { ...setting, on: setting.on.filter(verb => verb !== 'create') } : setting]
  })
  return [...settings, ...more]
}

/** What a field's declaration alone says. */
function settingOf(name: string, field: Field): Setting {
  const on: Verb[] = []
  if (field.create) on.push('create')
  if (field.patch) on.push('set')
  if (field.patch && !field.required) on.push('unset')
  return {
    option: name.replaceAll('_', '-'),
    field: name,
    holds: kindOf(field),
    on,
    about: field.doc ?? name,
    ...(field.required && { required: true }),
  }
}

/** As JSON Schema spells it; `anyOf` where null is allowed too. */
interface Shape {
  readonly type?: string
  readonly anyOf?: readonly Shape[]
  readonly items?: Shape
}

function kindOf({ schema, initial }: Field): Setting['holds'] {
  const shape: Shape = schema // a TypeBox schema is its JSON Schema
  const { type, items } = shape.anyOf?.find(({ type }) => type !== 'null') ?? shape
  switch (type) {
    case 'object':
      return 'pairs'
    case 'array':
      return items?.type === 'string' ? 'list' : 'json'
    case 'boolean':
      return initial === true ? 'boolean' : 'true'
    case 'integer':
      return 'number'
    default:
      return 'text'
  }
}

export function isOn({ on }: Setting, verb: Verb): boolean {
  return on.includes(verb)
}

export function settingOptions(settings: readonly Setting[], verb: Verb): Options {
  return Object.fromEntries(
    settings.filter(setting => isOn(setting, verb)).map(setting => [setting.option, optionOf(setting, verb)]),
  )
}

function optionOf(setting: Setting, verb: Verb): Option {
  const { holds, about, metavar, choices, group, required } = setting
  const common = { about, ...(group && { group }), ...(required && verb === 'create' && { required }) }
  const value = { ...common, ...(metavar && { metavar }), ...(choices && { choices }) }
  const several = `${about}; may be repeated`
  if (holds === 'item') return { ...common, takes: 'repeat', metavar: 'index', about: several }
  if (holds === 'pairs')
    return { ...common, takes: 'repeat', metavar: verb === 'unset' ? 'key' : 'key=value', about: several }
  if (verb === 'unset' || holds === 'true' || holds === 'false' || holds === 'removal')
    return { ...common, takes: 'nothing' }
  switch (holds) {
    case 'list':
      return { ...value, takes: 'repeat', about: several }
    case 'number':
      return { ...value, takes: 'number', least: 0 }
    case 'yes?':
      return { ...common, takes: 'yes?', metavar: 'true|false' }
    case 'boolean':
      return { ...common, takes: 'text', metavar: 'true|false' }
    default:
      return { ...value, takes: 'text' }
  }
}
