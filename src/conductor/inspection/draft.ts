/**
 * What inspection rules change, before it is written: the node's fields, its ports, the plugin data. Rules see each
 * other's changes; the database sees them all together, or none where a rule fails. It holds copies and writes nothing.
 *
 * Beyond Ironic: only fields that the API's callers may set can be set, and only to what their schemas allow.
 */
import { Compile, type Validator } from 'typebox/compile'
import type { Node, NodePatch } from '#db/nodes.ts'
import type { Port, PortPatch } from '#db/ports.ts'
import { closest } from '#lib/closest.ts'
import { InvalidInput } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import { capabilitiesOf } from '#protocol/capabilities.ts'
import type { Field } from '#protocol/field.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import { isTrait, maxTraits } from '#protocol/trait.ts'

type Plain = Record<string, unknown>

/** What is done at the end of a path. */
export interface Change {
  /** Makes objects on the way where they are missing; without, there is nothing to do then. */
  readonly makes: boolean
  apply(holder: Plain, key: string): void
}

export class Draft {
  readonly node: { -readonly [K in keyof Node]: Node[K] }
  readonly pluginData: Plain
  readonly #ports: readonly Port[]
  readonly #before: { node: Node; ports: readonly Port[]; pluginData: string }

  constructor(given: { node: Node; ports: readonly Port[]; pluginData: Readonly<Plain> }) {
    this.node = structuredClone(given.node)
    this.#ports = structuredClone(given.ports)
    this.pluginData = structuredClone(given.pluginData)
    this.#before = { node: given.node, ports: given.ports, pluginData: JSON.stringify(given.pluginData) }
  }

  /** @throws InvalidInput where the node has no such field, or none that may be set, or it does not fit */
  changeNode(path: string, change: Change): void {
    changeField({ of: this.node, fields: nodeFields, noun: 'node' }, path, change)
  }

  /** @param ident MAC address or UUID. @throws InvalidInput */
  changePort(ident: string, path: string, change: Change): void {
    const port = this.#ports.find(one => one.uuid === ident || one.address === ident.toLowerCase())
    if (!port)
      throw new InvalidInput(`the node has no port ${ident}, expected the MAC address or UUID of one of its own`)
    changeField({ of: port, fields: portFields, noun: 'port' }, path, change)
  }

  changePluginData(path: string, change: Change): void {
    changeInside(this.pluginData, partsOf(path), path, change)
  }

  /** With the object that held it, where nothing else is in there. */
  unsetPluginData(path: string): void {
    const parts = partsOf(path)
    const remove = (holder: Plain, key: string) => {
      delete holder[key]
    }
    changeInside(this.pluginData, parts, path, { makes: false, apply: remove })
    const removeEmpty = (holder: Plain, key: string) => {
      const left = holder[key]
      if (typeof left === 'object' && left !== null && Object.keys(left).length === 0) delete holder[key]
    }
    if (parts.length > 1) changeInside(this.pluginData, parts.slice(0, -1), path, { makes: false, apply: removeEmpty })
  }

  addTrait(name: string): void {
    if (!isTrait(name))
      throw new InvalidInput(`found the trait ${JSON.stringify(name)}, expected CUSTOM_… or a standard one`)
    const { traits } = this.node
    if (traits.includes(name)) return
    if (traits.length >= maxTraits) throw new InvalidInput(`the node has ${traits.length} traits already`)
    this.node.traits = [...traits, name]
  }

  removeTrait(name: string): void {
    this.node.traits = this.node.traits.filter(one => one !== name)
  }

  /** @param value undefined takes the capability away */
  setCapability(name: string, value: string | undefined): void {
    // They are kept in one text.
    if (/[,:]/.test(name) || value?.includes(',')) {
      throw new InvalidInput(`found the capability ${name} = ${value?.slice(0, 200)}, expected one without commas`)
    }
    const { [name]: _, ...others } = capabilitiesOf(this.node.properties.capabilities)
    const all = value === undefined ? others : { ...others, [name]: value }
    const text = Object.entries(all).map(([key, inner]) => `${key}:${inner}`)
    this.node.properties = { ...this.node.properties, capabilities: text.join(',') }
  }

  /** Fields of the node that are others now. */
  nodePatch(): NodePatch {
    return changed(this.#before.node, this.node, nodeFields)
  }

  portPatches(): { uuid: string; patch: PortPatch }[] {
    return this.#ports
      .map((port, at) => ({ uuid: port.uuid, patch: changed(this.#before.ports[at]!, port, portFields) })) // copies of the same list
      .filter(({ patch }) => Object.keys(patch).length > 0)
  }

  pluginDataChanged(): boolean {
    return JSON.stringify(this.pluginData) !== this.#before.pluginData
  }
}

/** `/driver_info/x`, `driver_info/x` and `driver_info.x` alike. @throws InvalidInput for an empty one */
export function partsOf(path: string): string[] {
  const parts = path.includes('/') ? path.replace(/^\/+|\/+$/g, '').split('/') : path.split('.')
  if (parts.some(part => part === '' || part === '__proto__')) {
    throw new InvalidInput(`found the path ${JSON.stringify(path)}, expected one such as /driver_info/key`)
  }
  return parts
}

/** Applies the change to the object that holds the last part of the path. */
function changeInside(root: Plain, parts: readonly string[], path: string, change: Change): void {
  let holder = root
  for (const part of parts.slice(0, -1)) {
    if (!Object.hasOwn(holder, part) || holder[part] === null) {
      if (!change.makes) return
      holder[part] = {}
    }
    const inner = holder[part]
    if (typeof inner !== 'object' || Array.isArray(inner)) {
      throw new InvalidInput(`found no object at "${part}" of the path ${path}, and nothing can be put inside`)
    }
    holder = inner as Plain // an object that is no list
  }
  change.apply(holder, parts.at(-1) ?? '')
}

function changeField(
  { of, fields, noun }: { of: object; fields: Readonly<Record<string, Field>>; noun: string },
  path: string,
  change: Change,
): void {
  const [root = '', ...rest] = partsOf(path)
  const field = Object.hasOwn(fields, root) ? fields[root] : undefined
  if (!field?.patch || field.column === undefined) {
    const near = closest(
      root,
      Object.keys(fields).filter(name => fields[name]?.patch),
    )
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    throw new InvalidInput(`"${root}" is no field of a ${noun} that may be set${hint}`)
  }
  const object = of as Plain // its fields are the declared ones
  changeInside(object, [root, ...rest], path, change)
  if (!Object.hasOwn(object, root)) object[root] = field.initial ?? null
  object[root] = fitting(field, object[root])
  if (validatorOf(field).Check(object[root])) return
  throw new InvalidInput(`${noun} field ${root} cannot be ${JSON.stringify(object[root]).slice(0, 200)}`)
}

/** Placeholders make texts; what is kept as a flag or a number becomes one. */
function fitting({ column }: Field, value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (column === 'flag') return isTrue(value) ?? value
  return column === 'int' && /^-?\d+$/.test(value) ? Number(value) : value
}

const validators = new Map<Field, Validator>()

function validatorOf(field: Field): Validator {
  const known = validators.get(field) ?? Compile(field.schema)
  validators.set(field, known)
  return known
}

function changed<T extends object>(before: T, after: T, fields: Readonly<Record<string, Field>>): Partial<T> {
  const names = Object.keys(fields).filter(name => fields[name]?.column !== undefined) as (keyof T & string)[] // columns of both
  return Object.fromEntries(
    names.filter(name => JSON.stringify(before[name]) !== JSON.stringify(after[name])).map(name => [name, after[name]]),
  ) as Partial<T> // fields of T
}
