/**
 * Nodes of another service into this one, by `POST /v1/takeover`: each with all that hangs on it in one transaction of
 * the service, in the state that it is in. The machines are not touched, and the other service is only read.
 */
import { allocationFields } from '#protocol/allocation.ts'
import type { Field } from '#protocol/field.ts'
import { biosFields, firmwareFields } from '#protocol/firmware.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import { portgroupFields } from '#protocol/portgroup.ts'
import { isProvisionState, isUnstable } from '#protocol/states.ts'
import { volumeConnectorFields, volumeTargetFields } from '#protocol/volume.ts'
import type { Api } from '../client.ts'
import type { Item } from '../command.ts'
import { byNode, type Fleet, readFleet, readHardware } from './fleet.ts'
import { type Moved, moving } from './moved.ts'
import { type Secrets, unmask } from './secrets.ts'

export interface TakeOver {
  readonly source: Api
  /** The newest version of the source. */
  readonly newest: string
  readonly target: Api
  readonly targetNewest: string
  readonly fleet: Fleet
  readonly secrets: Secrets
  /** Take nodes whose secrets nobody gave, without them. */
  readonly withoutSecrets: boolean
  /** Only say what would be done. */
  readonly plan: boolean
  told(done: number, all: number): void
}

/** @returns a row for each node, in the order in which they were taken */
export async function takeOverNodes(move: TakeOver): Promise<Moved[]> {
  const { fleet, target } = move
  const belonging = {
    portgroups: byNode(fleet.portgroups),
    ports: byNode(fleet.ports),
    volume_connectors: byNode(fleet.volume_connectors),
    volume_targets: byNode(fleet.volume_targets),
    allocations: byNode(fleet.allocations),
  }
  const { nodes: there } = await readFleet(target, move.targetNewest, ['nodes'])
  const known = new Map(there.map(node => [String(node.uuid), node]))
  // What contains others comes before them.
  const ordered = fleet.nodes.toSorted((a, b) => Number(a.parent_node != null) - Number(b.parent_node != null))
  const rows: Moved[] = []
  for (const node of ordered) {
    const row = await moving('node', node, async () => {
      const present = known.get(String(node.uuid))
      if (present) return { outcome: 'there already', notes: differencesOf(node, present) }
      return await takeOverNode(node, belonging, move)
    })
    rows.push(row)
    move.told(rows.length, ordered.length)
  }
  return rows
}

type Belonging = Readonly<
  Record<
    'portgroups' | 'ports' | 'volume_connectors' | 'volume_targets' | 'allocations',
    ReadonlyMap<string, readonly Item[]>
  >
>

async function takeOverNode(
  listed: Item,
  belonging: Belonging,
  move: TakeOver,
): Promise<Pick<Moved, 'outcome' | 'notes'>> {
  const { source, newest, target, plan } = move
  const uuid = String(listed.uuid)
  const busy = underWay(listed)
  if (busy !== undefined) return { outcome: 'not moved', notes: busy }
  const node = unmask(listed, move.secrets)
  const volumes = (belonging.volume_targets.get(uuid) ?? []).map(one => unmask(one, move.secrets))
  const needed = [
    ...node.missing.filter(path => path.startsWith('driver_info.')),
    ...volumes.flatMap(({ item, missing }) => missing.map(path => `volume target ${String(item.uuid)}: ${path}`)),
  ]
  if (needed.length > 0 && !move.withoutSecrets) {
    return { outcome: 'not moved', notes: `secrets are masked: ${needed.join(', ')}; expected them with --secrets` }
  }
  const [allocation] = belonging.allocations.get(uuid) ?? []
  const own = (kind: 'portgroups' | 'ports' | 'volume_connectors', fields: FieldTable) =>
    (belonging[kind].get(uuid) ?? []).map(one => kept(fields, one))
  const hardware = await readHardware(source, newest, uuid)
  const body = {
    node: { ...kept(nodeFields, node.item), ...(plan ? { chassis_uuid: null, parent_node: null } : {}) },
    portgroups: own('portgroups', portgroupFields),
    ports: own('ports', portFields),
    volume_connectors: own('volume_connectors', volumeConnectorFields),
    volume_targets: volumes.map(({ item }) => kept(volumeTargetFields, item)),
    allocation: allocation ? kept(allocationFields, allocation) : null,
    bios: (hardware.bios ?? []).map(one => kept(biosFields, one)),
    firmware: (hardware.firmware ?? []).map(one => kept(firmwareFields, one)),
    inventory: hardware.inventory,
  }
  await target.call('POST', '/v1/takeover', plan ? { check: 'True' } : {}, body)
  const unknown = Object.keys(listed).filter(name => !Object.hasOwn(nodeFields, name))
  const left = [
    // A token of an agent ends with the agent.
    ...node.missing.filter(path => !path.startsWith('driver_internal_info.')).map(path => `${path} (masked)`),
    ...(move.withoutSecrets ? needed.filter(path => path.startsWith('volume')) : []),
    ...unknown.map(name => `${name} (not known here)`),
  ]
  const notes = left.length === 0 ? '' : `left behind: ${left.join(', ')}`
  return { outcome: plan ? 'would be moved' : 'moved', notes }
}

/** Why a node cannot be moved now; undefined when nothing is under way on it. */
export function underWay({ provision_state, reservation, target_power_state }: Item): string | undefined {
  const state = String(provision_state)
  if (!isProvisionState(state)) return `state "${state}" is not known here`
  if (isUnstable(state)) return `it is in state "${state}"; run again when nothing is under way`
  if (reservation) return `${String(reservation)} works on it; run again when nothing is under way`
  return target_power_state ? 'its power state is being changed; run again when nothing is under way' : undefined
}

type FieldTable = Readonly<Record<string, Field>>

/** The fields that are kept; links and what is computed stay behind. */
export function kept(fields: FieldTable, item: Item): Record<string, unknown> {
  const entries = Object.entries(fields).flatMap(([name, { column }]) =>
    column !== undefined && item[name] !== undefined ? [[name, item[name]]] : [],
  )
  return Object.fromEntries(entries)
}

/** What services write by themselves all the time. */
const changing = ['updated_at', 'reservation', 'conductor', 'power_state', 'target_power_state', 'health', 'links']

/** In which fields two services tell otherwise of a node; secrets are masked in both. */
export function differencesOf(theirs: Item, ours: Item): string {
  const names = Object.keys(kept(nodeFields, theirs)).filter(name => !changing.includes(name))
  const other = names.filter(name => name in ours && !same(theirs[name], ours[name]))
  return other.length === 0 ? '' : `differs in ${other.join(', ')}`
}

/** Equal as JSON, whatever the order of keys; what is masked is not compared. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...keys].every(key => same((a as Item)[key], (b as Item)[key])) // objects and arrays alike
}
