/**
 * The takeover: a node as another service left it, with all that hangs on it. Unlike a creation it carries what only a
 * service writes (states, times, internal information), because the machine is not asked.
 */
import { type Static, type TSchema, Type } from 'typebox'
import { allocationFields } from './allocation.ts'
import { type Field, Json, Nullable } from './field.ts'
import { biosFields, firmwareFields } from './firmware.ts'
import { nodeFields } from './node.ts'
import { portFields } from './port.ts'
import { portgroupFields } from './portgroup.ts'
import { volumeConnectorFields, volumeTargetFields } from './volume.ts'

/** What stands in an answer where the secret was; a takeover that holds it is refused. */
export const maskedValue = '******'

/** Every field that is kept; those without which there is no such object must be there. */
function stored(fields: Readonly<Record<string, Field>>, needed: readonly string[]): TSchema {
  const entries = Object.entries(fields).filter(([, { column }]) => column !== undefined)
  const properties = entries.map(([name, { schema }]) => [name, needed.includes(name) ? schema : Type.Optional(schema)])
  return Type.Object(Object.fromEntries(properties), { additionalProperties: false })
}

/** Older services know fewer fields: what is absent has its initial value. */
export const Takeover = Type.Object(
  {
    node: stored(nodeFields, ['uuid', 'driver', 'provision_state', 'created_at']),
    portgroups: Type.Optional(Type.Array(stored(portgroupFields, ['uuid', 'created_at']))),
    ports: Type.Optional(Type.Array(stored(portFields, ['uuid', 'address', 'created_at']))),
    volume_connectors: Type.Optional(
      Type.Array(stored(volumeConnectorFields, ['uuid', 'type', 'connector_id', 'created_at'])),
    ),
    volume_targets: Type.Optional(
      Type.Array(stored(volumeTargetFields, ['uuid', 'volume_type', 'boot_index', 'volume_id', 'created_at'])),
    ),
    /** The one that gave the node to its instance. */
    allocation: Type.Optional(Nullable(stored(allocationFields, ['uuid', 'created_at']))),
    bios: Type.Optional(Type.Array(stored(biosFields, ['name', 'created_at']))),
    firmware: Type.Optional(Type.Array(stored(firmwareFields, ['component', 'initial_version', 'created_at']))),
    /** What the last inspection found. */
    inventory: Type.Optional(Nullable(Type.Object({ inventory: Json, plugin_data: Json }))),
  },
  { additionalProperties: false },
)

type Values = Readonly<Record<string, unknown>>

/** As `Takeover`, whose objects are described by their tables of fields. */
export interface Takeover {
  readonly node: Values & { readonly uuid: string; readonly driver: string }
  readonly portgroups?: readonly Values[]
  readonly ports?: readonly Values[]
  readonly volume_connectors?: readonly Values[]
  readonly volume_targets?: readonly Values[]
  readonly allocation?: Values | null
  readonly bios?: readonly Values[]
  readonly firmware?: readonly Values[]
  readonly inventory?: { readonly inventory: Values; readonly plugin_data: Values } | null
}

/** Every field that is kept, in the order declared, absent ones with their initial value. */
export function wholeObject(fields: Readonly<Record<string, Field>>, values: Values): Record<string, unknown> {
  const whole: Record<string, unknown> = {}
  for (const [name, { column, initial }] of Object.entries(fields)) {
    if (column === undefined) continue
    const value = values[name]
    whole[name] = value === undefined ? structuredClone(initial ?? null) : value
  }
  return whole
}

/** Paths of the values that are masked, such as `driver_info.redfish_password`. */
export function maskedPaths(value: unknown, path = ''): string[] {
  if (typeof value === 'string') return value.includes(maskedValue) ? [path] : []
  if (typeof value !== 'object' || value === null) return []
  const below = (key: string) => (path === '' ? key : `${path}.${key}`)
  return Object.entries(value).flatMap(([key, one]) => maskedPaths(one, below(key)))
}

/** Fields in which services mask secrets; elsewhere six asterisks are what somebody wrote. */
export const maskingFields = ['driver_info', 'driver_internal_info', 'instance_info', 'properties'] as const

export type TakeoverAnswer = Static<typeof TakeoverAnswer>
export const TakeoverAnswer = Type.Object({ uuid: Type.String() })
