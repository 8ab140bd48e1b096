/**
 * The ComputerSystem resource: what we read of it, and the one GET from which power, boot device, boot mode and health
 * are answered.
 *
 * Source: DMTF DSP0268, ComputerSystem.
 */
import { type Static, Type } from 'typebox'
import type { NodeContext } from '../driver.ts'
import { type RedfishClient, Reference, reader } from './client.ts'
import { clientOf } from './clients.ts'
import { systemIdOf } from './driver-info.ts'

/** Firmware leaves fields out or sends null; only what we rely on is looked at. */
const Maybe = <const S extends Parameters<typeof Type.Optional>[0]>(schema: S) =>
  Type.Optional(Type.Union([schema, Type.Null()]))

const Text = Maybe(Type.String())

const ResetAction = Type.Object({
  target: Type.Optional(Type.String()),
  'ResetType@Redfish.AllowableValues': Type.Optional(Type.Array(Type.String())),
  '@Redfish.ActionInfo': Type.Optional(Type.String()),
})

export const System = Type.Object({
  '@odata.id': Type.Optional(Type.String()),
  PowerState: Text,
  Manufacturer: Text,
  Model: Text,
  Status: Maybe(Type.Object({ Health: Text, HealthRollup: Text, State: Text })),
  Boot: Maybe(
    Type.Object({
      BootSourceOverrideEnabled: Text,
      BootSourceOverrideTarget: Text,
      BootSourceOverrideMode: Text,
      'BootSourceOverrideTarget@Redfish.AllowableValues': Maybe(Type.Array(Type.String())),
    }),
  ),
  EthernetInterfaces: Maybe(Reference),
  Storage: Maybe(Reference),
  Links: Maybe(Type.Object({ Chassis: Maybe(Type.Array(Reference)) })),
  Actions: Maybe(Type.Object({ '#ComputerSystem.Reset': Maybe(ResetAction) })),
})
export type System = Static<typeof System>
export type Boot = NonNullable<System['Boot']>

const system = reader('system', System)

/** The node's system as the BMC tells it now. */
export interface Located {
  client: RedfishClient
  path: string
  system: System
  etag: string | null
}

/** One GET once the path is known; an answer less than a second old will do unless `fresh`. */
export async function readSystem(ctx: NodeContext, options: { fresh?: boolean } = {}): Promise<Located> {
  const client = clientOf(ctx)
  const path = await client.systemPath(systemIdOf(ctx.node), ctx.signal)
  const { resource, etag } = await client.get(path, system, { signal: ctx.signal, ...options })
  return { client, path, system: resource, etag }
}

const actionInfo = reader(
  'action info',
  Type.Object({
    Parameters: Type.Optional(
      Type.Array(
        Type.Object({
          Name: Type.Optional(Type.String()),
          AllowableValues: Type.Optional(Type.Array(Type.String())),
        }),
      ),
    ),
  }),
)

/** Where to ask for a reset, and which types the BMC admits; null when it does not say. */
export async function resetAction(
  { client, path, system }: Located,
  signal: AbortSignal,
): Promise<{ target: string; allowed: readonly string[] | null }> {
  const action = system.Actions?.['#ComputerSystem.Reset']
  const target = action?.target ?? `${path.replace(/\/$/, '')}/Actions/ComputerSystem.Reset`
  const values = action?.['ResetType@Redfish.AllowableValues']
  if (values) return { target, allowed: values }
  const info = action?.['@Redfish.ActionInfo']
  if (info === undefined) return { target, allowed: null }
  const { resource } = await client.get(info, actionInfo, { signal })
  const parameter = resource.Parameters?.find(({ Name }) => Name === 'ResetType')
  return { target, allowed: parameter?.AllowableValues ?? null }
}
