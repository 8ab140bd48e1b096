/**
 * The ComputerSystem resource: what we read of it, and the one GET from which power, boot device, boot mode and health
 * are answered.
 *
 * Source: DMTF DSP0268, ComputerSystem.
 */
import { type Static, Type } from 'typebox'
import type { NodeContext } from '../driver.ts'
import { allowableValues } from './action-info.ts'
import type { Asker } from './asker.ts'
import { type RedfishClient, Reference, reader } from './client.ts'
import { clientOf } from './clients.ts'
import { systemIdOf } from './driver-info.ts'
import { Maybe, Text } from './maybe.ts'

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
  Bios: Maybe(Reference),
  SecureBoot: Maybe(Reference),
  VirtualMedia: Maybe(Reference),
  BiosVersion: Text,
  BootProgress: Maybe(Type.Object({ LastState: Text })),
  IndicatorLED: Text,
  LocationIndicatorActive: Maybe(Type.Boolean()),
  Links: Maybe(Type.Object({ Chassis: Maybe(Type.Array(Reference)), ManagedBy: Maybe(Type.Array(Reference)) })),
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

/** Paths of the managers of the system: those it names, else all of the BMC. */
export async function managersOf({ client, system }: Located, asker: Asker): Promise<string[]> {
  const own = system.Links?.ManagedBy ?? []
  if (own.length > 0) return own.map(link => link['@odata.id'])
  return asker.members((await client.root(asker.signal)).Managers)
}

/** Where to ask for a reset, and which types the BMC admits; null when it does not say. */
export async function resetAction(
  { client, path, system }: Located,
  signal: AbortSignal,
): Promise<{ target: string; allowed: readonly string[] | null }> {
  const action = system.Actions?.['#ComputerSystem.Reset']
  const target = action?.target ?? `${path.replace(/\/$/, '')}/Actions/ComputerSystem.Reset`
  return { target, allowed: await allowableValues(client, action, 'ResetType', signal) }
}
