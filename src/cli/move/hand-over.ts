/**
 * Nodes of this service into an Ironic, by its public API, which has no call for "a node in this state". So each node is
 * led there: made under an old version of the API, in which new nodes are available, and adopted where it is active.
 * While it is on its way it is in maintenance and driven by `fake-hardware`, which reaches no machine; its own driver
 * comes last. A node that was left half-way is marked as such, and begun anew by the next run.
 */
import type { Field } from '#protocol/field.ts'
import { interfaceTypes } from '#protocol/interfaces.ts'
import { minorOf } from '#protocol/microversion.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import { portgroupFields } from '#protocol/portgroup.ts'
import { volumeConnectorFields, volumeTargetFields } from '#protocol/volume.ts'
import { type Api, ApiError, segment } from '../client.ts'
import type { Item } from '../command.ts'
import { describe } from '../report.ts'
import type { Terminal } from '../terminal.ts'
import { arrived } from './arrived.ts'
import { byNode, type Fleet, readFleet } from './fleet.ts'
import { type Moved, moving } from './moved.ts'
import type { OtherService } from './other-service.ts'
import { type Secrets, unmask } from './secrets.ts'
import { creatable } from './shared-objects.ts'
import { differencesOf, underWay } from './take-over.ts'

export interface HandOver {
  readonly fleet: Fleet
  readonly target: OtherService
  readonly secrets: Secrets
  readonly withoutSecrets: boolean
  readonly plan: boolean
  readonly terminal: Pick<Terminal, 'now' | 'sleep'>
  told(done: number, all: number): void
}

/** Key of `extra` of a node that is not finished. */
export const markKey = 'ferrite_export'

/** In which of its interfaces the driver that reaches no machine must be enabled. */
const standInDriver = 'fake-hardware'
const standInTypes = ['boot', 'deploy', 'management', 'power'] as const

/** What a public API can be led to. */
const reachable: readonly unknown[] = ['enroll', 'manageable', 'available', 'active']

/** @returns a row for each node, in the order in which they were made */
export async function handOverNodes(move: HandOver): Promise<Moved[]> {
  const { fleet, target } = move
  const { nodes: there } = await readFleet(target.api, target.newest, ['nodes'])
  const known = new Map(there.map(node => [String(node.uuid), node]))
  const world: World = { move, standIn: await hasStandIn(target.api), belonging: belongingOf(fleet) }
  const ordered = fleet.nodes.toSorted((a, b) => Number(a.parent_node != null) - Number(b.parent_node != null))
  const rows: Moved[] = []
  for (const node of ordered) {
    const row = await moving('node', node, async () => {
      const present = known.get(String(node.uuid))
      if (present && !isHalfWay(present)) return { outcome: 'there already', notes: differencesOf(node, present) }
      return await handOverNode(node, present !== undefined, world)
    })
    rows.push(row)
    move.told(rows.length, ordered.length)
  }
  return rows
}

interface World {
  readonly move: HandOver
  /** Whether the other service has a driver that reaches no machine. */
  readonly standIn: boolean
  readonly belonging: ReturnType<typeof belongingOf>
}

function belongingOf(fleet: Fleet) {
  return {
    portgroups: byNode(fleet.portgroups),
    ports: byNode(fleet.ports),
    volume_connectors: byNode(fleet.volume_connectors),
    volume_targets: byNode(fleet.volume_targets),
    allocations: byNode(fleet.allocations),
  }
}

async function hasStandIn(api: Api): Promise<boolean> {
  try {
    const driver = await api.get(`/v1/drivers/${standInDriver}`)
    return standInTypes.every(type => {
      const enabled = driver[`enabled_${type}_interfaces`]
      return Array.isArray(enabled) && enabled.includes('fake')
    })
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false
    throw error
  }
}

function isHalfWay({ extra }: Item): boolean {
  return typeof extra === 'object' && extra !== null && markKey in extra
}

async function handOverNode(listed: Item, begun: boolean, world: World): Promise<Pick<Moved, 'outcome' | 'notes'>> {
  const { move, belonging } = world
  const uuid = String(listed.uuid)
  const node = unmask(listed, move.secrets)
  const volumes = (belonging.volume_targets.get(uuid) ?? []).map(one => unmask(one, move.secrets))
  const needed = [
    ...node.missing.filter(path => path.startsWith('driver_info.')),
    ...volumes.flatMap(({ item, missing }) => missing.map(path => `volume target ${String(item.uuid)}: ${path}`)),
  ]
  const refusal = underWay(listed) ?? unreachable(listed, world) ?? withoutSecrets(needed, move)
  if (refusal !== undefined) return { outcome: 'not moved', notes: refusal }
  if (move.plan) return { outcome: 'would be moved', notes: leftBehind(node, []) }
  const path = `/v1/nodes/${segment(uuid)}`
  if (begun) {
    await move.target.api.put(`${path}/maintenance`, {})
    await move.target.api.delete(path)
  }
  const problems = await make(
    node.item,
    volumes.map(({ item }) => item),
    world,
  )
  return { outcome: 'moved', notes: leftBehind(node, problems) }
}

function unreachable({ provision_state: state }: Item, { standIn }: World): string | undefined {
  if (!reachable.includes(state)) {
    return `the API of an Ironic leads to no node in state "${String(state)}"; expected ${reachable.join(', ')}`
  }
  if (state !== 'active' || standIn) return undefined
  return `adopting it would reach its machine; enable ${standInDriver} with fake ${standInTypes.join(', ')} in the other service`
}

function withoutSecrets(needed: readonly string[], { withoutSecrets }: HandOver): string | undefined {
  if (needed.length === 0 || withoutSecrets) return undefined
  return `secrets are masked: ${needed.join(', ')}; expected them with --secrets`
}

/** Leads a node to its state. @returns what could not be set */
async function make(node: Item, volumes: readonly Item[], { move, standIn, belonging }: World): Promise<string[]> {
  const { target, terminal } = move
  const { api, newest } = target
  const uuid = String(node.uuid)
  const path = `/v1/nodes/${segment(uuid)}`
  const state = String(node.provision_state)
  const { extra = {}, instance_info } = node
  const problems: string[] = []
  const tried = (what: string, asked: Promise<unknown>) => attempted(what, asked, problems)

  const born = {
    ...creatable(
      onlyFields(['uuid', 'name', 'properties', 'driver_info', 'instance_info', 'chassis_uuid']),
      node,
      newest,
    ),
    driver: standIn ? standInDriver : node.driver,
    extra: { ...(extra as Item), [markKey]: 'not finished' },
    maintenance: true,
  }
  await (state === 'enroll' ? api : target.at(bornAvailable)).create('/v1/nodes', born)
  const first = standIn ? standInTypes.map(type => put(`/${type}_interface`, 'fake')) : interfacesOf(node, newest)
  await api.patch(path, [...first, ...settingsOf(node, newest)])
  if (Array.isArray(node.traits) && node.traits.length > 0) await api.put(`${path}/traits`, { traits: node.traits })
  const belongs = [
    ...(belonging.portgroups.get(uuid) ?? []).map(one => ['/v1/portgroups', portgroupFields, one] as const),
    ...(belonging.ports.get(uuid) ?? []).map(one => ['/v1/ports', portFields, one] as const),
    ...(belonging.volume_connectors.get(uuid) ?? []).map(
      one => ['/v1/volume/connectors', volumeConnectorFields, one] as const,
    ),
    ...volumes.map(one => ['/v1/volume/targets', volumeTargetFields, one] as const),
  ]
  for (const [collection, fields, one] of belongs) await api.create(collection, creatable(fields, one, newest))

  if (standIn && (node.power_state === 'power on' || node.power_state === 'power off')) {
    await api.put(`${path}/states/power`, { target: node.power_state })
    await arrived(api, path, { power_state: node.power_state }, terminal)
  }
  if (state === 'manageable' || state === 'active') {
    await api.put(`${path}/states/provision`, { target: 'manage' })
    await arrived(api, path, { provision_state: 'manageable' }, terminal)
  }
  if (state === 'active') {
    await api.put(`${path}/states/provision`, { target: 'adopt' })
    await arrived(api, path, { provision_state: 'active' }, terminal)
  }
  const [allocation] = belonging.allocations.get(uuid) ?? []
  if (allocation) await tried('its allocation', api.create('/v1/allocations', allocationOf(allocation, uuid)))

  const raid = node.target_raid_config
  const hasRaid = typeof raid === 'object' && raid !== null && Object.keys(raid).length > 0
  await api.patch(path, [
    ...(standIn ? [put('/driver', node.driver), ...interfacesOf(node, newest)] : []),
    // Adoption notes there what it found out about the image.
    put('/instance_info', instance_info ?? {}),
    ...lastOf(node),
  ])
  if (hasRaid) await tried('target_raid_config', api.put(`${path}/states/raid`, raid))
  await api.patch(path, [put('/extra', extra)])
  if (node.maintenance === true) await api.put(`${path}/maintenance`, reasonOf(node))
  else await api.delete(`${path}/maintenance`)
  return problems
}

/** Below 1.11 new nodes are available. */
const bornAvailable = '1.10'

async function attempted(what: string, asked: Promise<unknown>, problems: string[]): Promise<void> {
  try {
    await asked
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    problems.push(`${what}: ${describe(error)}`)
  }
}

const put = (path: string, value: unknown) => ({ op: 'add', path, value })

function onlyFields(names: readonly string[]): Readonly<Record<string, Field>> {
  return Object.fromEntries(Object.entries(nodeFields).filter(([name]) => names.includes(name)))
}

function interfacesOf(node: Item, newest: string) {
  const all: Readonly<Record<string, Field>> = nodeFields
  return interfaceTypes
    .map(type => `${type}_interface`)
    .filter(name => node[name] != null && minorOf(all[name]?.from ?? '1.1') <= minorOf(newest))
    .map(name => put(`/${name}`, node[name]))
}

/** Set before, or only at the end. */
const elsewhere = ['uuid', 'name', 'driver', 'driver_info', 'properties', 'extra', 'instance_info', 'chassis_uuid']
const atTheEnd = ['maintenance', 'protected', 'protected_reason', 'retired', 'retired_reason']

/** What may be set of a node in any state, where it is not as in a new node. */
function settingsOf(node: Item, newest: string) {
  return Object.entries(nodeFields as Readonly<Record<string, Field>>).flatMap(
    ([name, { patch, from, initial = null }]) => {
      if (!patch || minorOf(from) > minorOf(newest) || name.endsWith('_interface')) return []
      if (elsewhere.includes(name) || atTheEnd.includes(name)) return []
      const value = node[name]
      const isNew = value === undefined || JSON.stringify(value) === JSON.stringify(initial)
      return isNew ? [] : [put(`/${name}`, value)]
    },
  )
}

/** What only nodes that have arrived take. */
function lastOf(node: Item) {
  const flags = ['protected', 'retired'].filter(name => node[name] === true)
  return flags.flatMap(name => {
    const reason = node[`${name}_reason`]
    return [put(`/${name}`, true), ...(typeof reason === 'string' ? [put(`/${name}_reason`, reason)] : [])]
  })
}

function allocationOf({ uuid, name, resource_class, traits, extra, owner }: Item, node: string): Item {
  const given = { uuid, name, resource_class, traits, extra, owner }
  return { node, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value != null)) }
}

function reasonOf({ maintenance_reason: reason }: Item): Item {
  return typeof reason === 'string' ? { reason } : {}
}

/** Facts that only a service writes of its node, and that this one has. */
const written = ['last_error', 'fault', 'raid_config'] as const

function leftBehind({ item, missing }: ReturnType<typeof unmask>, problems: readonly string[]): string {
  const masked = missing.filter(path => !path.startsWith('driver_internal_info.')).map(path => `${path} (masked)`)
  const own = written.filter(name => {
    const value = item[name]
    return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : value != null
  })
  const left = [...masked, ...own, ...problems]
  return left.length === 0 ? '' : `left behind: ${left.join(', ')}`
}
