/**
 * The file of `ferrite apply`: what nodes there are to be, and in which state. Read with the place of every word, so that
 * whatever is wrong in it is told by file, line and field, all of it at once. Nothing here asks a service.
 */
import { readFile } from 'node:fs/promises'
import { Compile, type Validator } from 'typebox/compile'
import { type Document, LineCounter, parseDocument } from 'yaml'
import { closest } from '#lib/closest.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { Field } from '#protocol/field.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import type { Item } from '../command.ts'
import { placeOf } from '../values.ts'

/** The states that a description may ask for, in the order in which a node comes to them. */
export const wantedStates = ['enroll', 'manageable', 'available', 'active'] as const
export type WantedState = (typeof wantedStates)[number]

export interface WantedNode {
  readonly name: string
  /** Fields of the API; of those that hold an object, the keys that are named. */
  readonly fields: Item
  readonly traits: readonly string[] | undefined
  /** By their MAC addresses; others that the node has are left alone. */
  readonly ports: readonly Item[]
  readonly state: WantedState | undefined
  /** Look what the machine is before it goes on from manageable, if nobody has. */
  readonly inspect: boolean
  readonly configdrive: unknown
}

/** Keys of a node that are no fields of it. */
const beside = ['traits', 'ports', 'state', 'inspect', 'configdrive']
const settable = Object.keys(nodeFields).filter(name => isSettable(nodeFields, name))
const portSettable = Object.keys(portFields).filter(name => isSettable(portFields, name) && name !== 'node_uuid')

function isSettable(fields: Readonly<Record<string, Field>>, name: string): boolean {
  return name !== 'uuid' && fields[name]?.create === true && fields[name]?.patch === true
}

/** @param env where `{env: NAME}` is read from @throws InvalidInput with a line for each thing that is wrong */
export async function readDescription(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<WantedNode[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new InvalidInput(`Cannot read ${path}: ${messageOf(error)}`)
  })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [error] = document.errors
  if (error) throw new InvalidInput(`Cannot read ${path}: it is no YAML${placeOf(error)}`)
  const problems = new Problems(path, document, lines)
  const nodes = wantedNodes(document.toJS(), problems, env)
  problems.refuse()
  return nodes
}

type Path = readonly (string | number)[]

/** What is wrong, each with its place. */
class Problems {
  readonly #file: string
  readonly #document: Document
  readonly #lines: LineCounter
  readonly #found: string[] = []

  constructor(file: string, document: Document, lines: LineCounter) {
    this.#file = file
    this.#document = document
    this.#lines = lines
  }

  add(path: Path, what: string): void {
    const shown = path
      .map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`))
      .join('')
    this.#found.push(`${this.#file}:${this.#lineOf(path)}: ${shown}: ${what}`)
  }

  /** @throws InvalidInput */
  refuse(): void {
    if (this.#found.length > 0) throw new InvalidInput(this.#found.join('\n'))
  }

  /** Of what is there; for what is missing, of the object that lacks it. */
  #lineOf(path: Path): number {
    for (let length = path.length; length > 0; length--) {
      const node: unknown = this.#document.getIn(path.slice(0, length), true)
      const { range } = (node ?? {}) as { range?: readonly number[] } // nodes of a document have one
      if (range?.[0] !== undefined) return this.#lines.linePos(range[0]).line
    }
    return 1
  }
}

function wantedNodes(
  found: unknown,
  problems: Problems,
  env: Readonly<Record<string, string | undefined>>,
): WantedNode[] {
  if (!isItem(found)) {
    problems.add([], 'found no object, expected nodes, and perhaps defaults')
    return []
  }
  for (const key of Object.keys(found)) {
    if (key !== 'nodes' && key !== 'defaults') problems.add([key], `not known${hint(key, ['nodes', 'defaults'])}`)
  }
  const { defaults = {}, nodes } = found
  if (!isItem(defaults)) problems.add(['defaults'], 'expected an object')
  else checkNode(defaults, ['defaults'], problems)
  if (!Array.isArray(nodes)) {
    problems.add(['nodes'], 'expected a list of nodes')
    return []
  }
  const seen = new Set<unknown>()
  return nodes.flatMap((node: unknown, at) => {
    const path = ['nodes', at]
    if (!isItem(node)) {
      problems.add(path, 'expected an object')
      return []
    }
    checkNode(node, path, problems)
    if (typeof node.name !== 'string') problems.add([...path, 'name'], 'missing; a node is known by its name')
    else if (seen.has(node.name)) problems.add([...path, 'name'], `"${node.name}" is there twice`)
    seen.add(node.name)
    const whole = merged(isItem(defaults) ? defaults : {}, node)
    if (typeof whole.driver !== 'string') problems.add([...path, 'driver'], 'missing, here and in defaults')
    return [wantedNode(withEnvironment(whole, path, problems, env))]
  })
}

function wantedNode(whole: Item): WantedNode {
  const fields = Object.fromEntries(Object.entries(whole).filter(([key]) => !beside.includes(key) && key !== 'name'))
  const { name, traits, ports, state, inspect, configdrive } = whole
  return {
    name: String(name),
    fields,
    // As checkNode has found them to be.
    traits: traits as string[] | undefined,
    ports: (ports as Item[] | undefined) ?? [],
    state: state as WantedState | undefined,
    inspect: inspect === true,
    configdrive,
  }
}

function checkNode(node: Item, path: Path, problems: Problems): void {
  for (const [key, value] of Object.entries(node)) {
    const here = [...path, key]
    if (!beside.includes(key)) checkKey(nodeFields, settable, key, value, here, problems)
  }
  const { traits, ports, state, inspect } = node
  if (state !== undefined && !wantedStates.some(known => known === state)) {
    problems.add([...path, 'state'], `found ${shown(state)}, expected ${wantedStates.join(', ')}`)
  }
  if (inspect !== undefined && typeof inspect !== 'boolean')
    problems.add([...path, 'inspect'], 'expected true or false')
  const isList = Array.isArray(traits) && traits.every(trait => typeof trait === 'string')
  if (traits !== undefined && !isList) problems.add([...path, 'traits'], 'expected a list of traits')
  if (ports === undefined) return
  if (!Array.isArray(ports)) {
    problems.add([...path, 'ports'], 'expected a list of ports')
    return
  }
  for (const [at, port] of ports.entries()) {
    const here = [...path, 'ports', at]
    if (!isItem(port)) problems.add(here, 'expected an object')
    else {
      if (port.address === undefined) problems.add([...here, 'address'], 'missing; a port is known by its MAC address')
      for (const [key, value] of Object.entries(port)) {
        checkKey(portFields, portSettable, key, value, [...here, key], problems)
      }
    }
  }
}

function checkKey(
  fields: Readonly<Record<string, Field>>,
  known: readonly string[],
  key: string,
  value: unknown,
  path: Path,
  problems: Problems,
): void {
  const field = known.includes(key) ? fields[key] : undefined
  if (!field) {
    problems.add(path, `not known${hint(key, [...known, ...(fields === portFields ? [] : beside)])}`)
    return
  }
  if (value === null) return
  const validator: Validator = Compile(field.schema)
  if (validator.Check(value)) return
  const [first] = validator.Errors(value)
  // Values may be secrets: only what is no object is told, and never of driver_info.
  const found = typeof value === 'object' ? '' : `found ${shown(value)}, `
  problems.add(path, `${found}${first?.message ?? 'it does not fit'}`)
}

/** Objects key by key, anything else by what stands nearer. */
function merged(base: Item, over: Item): Item {
  const next: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const below = next[key]
    next[key] = isItem(below) && isItem(value) ? merged(below, value) : value
  }
  return next
}

/** `{env: NAME}` anywhere becomes the variable's value: files like these are kept where others read them. */
function withEnvironment(
  item: Item,
  path: Path,
  problems: Problems,
  env: Readonly<Record<string, string | undefined>>,
): Item {
  const read = (value: unknown, here: Path): unknown => {
    if (Array.isArray(value)) return value.map((one, at) => read(one, [...here, at]))
    if (!isItem(value)) return value
    const { env: variable, ...more } = value
    if (typeof variable !== 'string' || Object.keys(more).length > 0) {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, read(one, [...here, key])]))
    }
    const given = env[variable]
    if (given === undefined || given === '') problems.add(here, `the environment variable ${variable} is not set`)
    return given
  }
  return read(item, path) as Item // an object stays one
}

function hint(key: string, known: readonly string[]): string {
  const meant = closest(key, known)
  return meant === undefined ? `; expected ${known.join(', ')}` : `; did you mean ${meant}?`
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 80) ?? 'nothing'
}

function isItem(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
