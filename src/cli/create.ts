/**
 * `ferrite create FILE ...`: registers chassis, nodes, port groups and ports that files describe, each with what belongs
 * to it inside: nodes in a chassis, ports and port groups in a node, ports in a port group. The other keys go to the API
 * as they are. What could be created stays when something else could not; the exit status tells.
 */
import { readFile } from 'node:fs/promises'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import { segment } from './client.ts'
import { type Commands, type Context, command, type Item } from './command.ts'
import { describe, SomeFailed } from './report.ts'
import { parseDocument } from './values.ts'

interface Kind {
  readonly name: string
  readonly path: string
  /** Keys that hold what belongs to it, and the field in which that names it. */
  readonly inside: Readonly<Record<string, { readonly kind: () => Kind; readonly field: string }>>
}

const port: Kind = { name: 'port', path: '/v1/ports', inside: {} }
const portGroup: Kind = {
  name: 'port group',
  path: '/v1/portgroups',
  inside: { ports: { kind: () => port, field: 'portgroup_uuid' } },
}
const node: Kind = {
  name: 'node',
  path: '/v1/nodes',
  inside: {
    portgroups: { kind: () => portGroup, field: 'node_uuid' },
    ports: { kind: () => port, field: 'node_uuid' },
  },
}
const chassis: Kind = {
  name: 'chassis',
  path: '/v1/chassis',
  inside: { nodes: { kind: () => node, field: 'chassis_uuid' } },
}
/** What may stand at the top of a file. */
const top: Readonly<Record<string, Kind>> = { chassis, nodes: node }

export const commands: Commands = {
  '': command({
    about: 'Register the chassis and nodes that files describe, with their ports',
    args: { files: { metavar: 'file', many: true, about: 'YAML or JSON with the keys chassis and nodes' } },
    options: {},
    async run({ args }, context) {
      // All files are read before anything is created.
      const files = await Promise.all(args.files.map(readDescription))
      const failures: string[] = []
      for (const file of files) {
        for (const [key, kind] of Object.entries(top)) {
          for (const one of file[key] ?? []) await createWithInside(kind, one, {}, { context, failures })
        }
      }
      if (failures.length > 0) throw new SomeFailed(failures.join('\n'))
      return undefined
    },
  }),
}

type Description = Readonly<Record<string, readonly Item[]>>

/** @throws InvalidInput */
async function readDescription(path: string): Promise<Description> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new InvalidInput(`Cannot read ${path}: ${messageOf(error)}`)
  })
  const found = await parseDocument('the description', `file ${path}`, text)
  const expected = `expected an object with lists under ${Object.keys(top).join(' and ')}`
  if (!isItem(found)) throw new InvalidInput(`Cannot use ${path}: ${expected}`)
  for (const [key, list] of Object.entries(found)) {
    if (!Object.hasOwn(top, key)) throw new InvalidInput(`Cannot use ${path}: found the key "${key}", ${expected}`)
    if (!isList(list)) throw new InvalidInput(`Cannot use ${path}: ${key} is no list of objects, ${expected}`)
  }
  return found as Description // checked just now
}

interface Making {
  readonly context: Context
  /** Takes what could not be created, in words. */
  readonly failures: string[]
}

/** @param owners fields that name what it belongs to */
async function createWithInside(kind: Kind, described: Item, owners: Item, making: Making): Promise<void> {
  const { context, failures } = making
  const { traits, ...rest } = described
  const own = Object.fromEntries(Object.entries(rest).filter(([key]) => !Object.hasOwn(kind.inside, key)))
  const label = labelOf(kind, own)
  try {
    const uuid = await create(kind, { ...own, ...owners }, owners, own, context)
    context.terminal.out.write(`Created ${label} as ${uuid}\n`)
    if (kind === node && traits !== undefined) {
      await context.api.put(`/v1/nodes/${segment(uuid)}/traits`, { traits })
    }
    for (const [key, { kind: inner, field }] of Object.entries(kind.inside)) {
      const list = rest[key] ?? []
      if (!isList(list)) throw new InvalidInput(`${key} is no list of objects`)
      // Ports of a port group are ports of its node.
      const passed = kind === portGroup ? owners : {}
      for (const one of list) await createWithInside(inner(), one, { ...passed, [field]: uuid }, making)
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    failures.push(`Cannot create ${label}: ${describe(error)}`)
  }
}

async function create(kind: Kind, body: Item, owners: Item, own: Item, { api }: Context): Promise<string> {
  for (const [field, value] of Object.entries(owners)) {
    if (own[field] !== undefined && own[field] !== value) {
      throw new InvalidInput(`it stands inside another object, but its ${field} is ${String(own[field])}`)
    }
  }
  return String((await api.create(kind.path, body)).uuid)
}

/** Told by what an operator knows it by; its other values may be secret. */
function labelOf({ name }: Kind, own: Item): string {
  const known = own.name ?? own.address ?? own.uuid ?? own.description
  return typeof known === 'string' ? `${name} ${known}` : `a ${name}`
}

function isItem(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isList(value: unknown): value is Item[] {
  return Array.isArray(value) && value.every(isItem)
}
