/** What the matrix of policies is tried on: a node with everything that can belong to one, and the things beside nodes. */
import { insertFlow } from '#db/flows.ts'
import { keepPiece } from '#db/ramdisk-logs.ts'
import type { Tables } from '#db/tables.ts'
import { type Identity, nobody } from '../auth.ts'
import type { TestApi } from '../test-api.ts'

/** Roles that a person with a role has: each holds those below it. */
const implied: Readonly<Record<string, readonly string[]>> = {
  admin: ['admin', 'manager', 'member', 'reader'],
  manager: ['manager', 'member', 'reader'],
  member: ['member', 'reader'],
  reader: ['reader'],
  service: ['service'],
}

/** `system admin`, `owner reader`: of the whole system, or of the project of that name. */
export function personOf(name: string): Identity {
  const [scope = '', role = ''] = name.split(' ')
  const person = { ...nobody, userId: name, userName: name, roles: implied[role] ?? [] }
  if (scope === 'system') return { ...person, system: true }
  return { ...person, projectId: scope, projectName: `${scope} project`, projectDomainId: 'default' }
}

/** UUIDs and names of the things, by the names of path parameters. */
export interface World {
  readonly node: string
  readonly [parameter: string]: string
}

/** Makes everything, as the administrator. */
export async function makeWorld(api: TestApi): Promise<World> {
  const make = async (path: string, body: Record<string, unknown>): Promise<string> => {
    const { status, json, fault } = await api.call('POST', `/v1/${path}`, { body })
    if (status !== 201) throw new Error(`${path}: ${fault}`)
    return (json as { uuid: string }).uuid // objects of the API have one
  }
  const chassis = await make('chassis', {})
  const owned = { owner: 'owner', lessee: 'lessee', raid_interface: 'fake', console_interface: 'fake' }
  const node = await api.node({ ...owned, chassis_uuid: chassis, extra: { x: 1 } })
  await api.set(node, { provision_state: 'manageable', power_state: 'power off', traits: ['CUSTOM_T'] })
  const used = await api.node(owned)
  await api.set(used, { provision_state: 'available', power_state: 'power off' })
  const portgroup = await make('portgroups', { node_uuid: node })
  const steps = [{ interface: 'raid', step: 'delete_configuration', order: 1 }]
  const world = {
    node,
    node_ident: node,
    used,
    chassis_uuid: await make('chassis', {}),
    usedChassis: chassis,
    portgroup_ident: portgroup,
    port_ident: await make('ports', { node_uuid: node, portgroup_uuid: portgroup, address: '52:54:00:00:00:01' }),
    connector_uuid: await make('volume/connectors', { node_uuid: node, type: 'iqn', connector_id: 'c' }),
    target_uuid: await make('volume/targets', { node_uuid: node, volume_type: 'iscsi', boot_index: 0, volume_id: 'v' }),
    template_ident: await make('deploy_templates', {
      name: 'CUSTOM_TEMPLATE',
      steps: [{ interface: 'raid', step: 'delete_configuration', args: {}, priority: 1 }],
    }),
    runbook_ident: await make('runbooks', { name: 'ours', steps, owner: 'owner' }),
    publicRunbook: await make('runbooks', { name: 'everybodys', steps, public: true }),
    rule_uuid: await make('inspection_rules', { actions: [{ op: 'fail', args: { msg: 'x' } }] }),
    allocation_ident: await make('allocations', { resource_class: 'baremetal', owner: 'owner' }),
    driver_name: 'fake-hardware',
    hostname: api.conductor.hostname,
    setting_name: 'Virtualization',
    vif_id: 'vif',
    trait: 'CUSTOM_T',
    indicator: 'led@system',
    method: 'eject',
    boot: '0f7a1d7e-2222-4333-8444-555555555555',
  }
  await api.call('PUT', `/v1/runbooks/${world.runbook_ident}/traits`, { body: { traits: ['CUSTOM_T'] } })
  await addRows(api, world)
  const { json } = await api.call('GET', `/v1/nodes/${node}/history`)
  const [event] = (json as { history: { uuid: string }[] }).history // by the schema of histories
  return { ...world, event_uuid: event?.uuid ?? '', port_uuid: world.port_ident }
}

const at = '2026-11-21T05:47:09.128000+00:00'

/** What no endpoint makes. */
async function addRows({ db }: TestApi, { node, used, allocation_ident, boot }: Readonly<Record<string, string>>) {
  const node_uuid = String(node)
  const times = { created_at: at, updated_at: null }
  const limits = { lower_bound: null, upper_bound: null, min_length: null, max_length: null }
  await db
    .insertInto('bios_settings')
    .values({
      ...{ node_uuid, ...times, ...limits, name: 'Virtualization', value: 'Enabled', attribute_type: 'Enumeration' },
      ...{ allowable_values: '["Enabled"]', read_only: 0, reset_required: 1, unique: 0 },
    })
    .execute()
  const data = JSON.stringify({ from: 'enroll', to: 'verifying' })
  await db.insertInto('events').values({ at, node_uuid, flow_id: null, kind: 'provision state', data }).execute()
  const asked = { requested_by: null, requested_project: null, request_id: null }
  const flow = { node_uuid, kind: 'inspect', args: {}, conductor: 'host-1', lease_token: 1, nowMs: Date.parse(at) }
  await insertFlow(db, { ...flow, ...asked })
  const piece = { bootId: String(boot), piece: 0, text: 'x', at }
  await keepPiece(db, { nodeUuid: node_uuid, ...piece }, 1000)
  const inventory = JSON.stringify({ inventory: {}, plugin_data: {} })
  await db.updateTable('nodes').set({ inventory }).where('uuid', '=', node_uuid).execute()
  // The other node is the one that the allocation found.
  const allocation = { instance_uuid: String(allocation_ident) }
  await db.updateTable('nodes').set(allocation).where('uuid', '=', String(used)).execute()
  await db
    .updateTable('allocations')
    .set({ node_uuid: String(used), state: 'active' })
    .where('uuid', '=', String(allocation_ident))
    .execute()
}

/** In an order in which they may be emptied; filled the other way round. */
const tables = [
  'ramdisk_logs',
  'events',
  'flows',
  'bios_settings',
  'firmware_components',
  'agents',
  'allocations',
  'volume_targets',
  'volume_connectors',
  'ports',
  'portgroups',
  'runbooks',
  'deploy_templates',
  'inspection_rules',
  'nodes',
  'chassis',
] as const satisfies readonly (keyof Tables)[]

/** Remembers all rows; the function that it gives back puts them there again. */
export async function snapshot({ db }: TestApi): Promise<() => Promise<void>> {
  const saved: (readonly [(typeof tables)[number], object[]])[] = []
  for (const table of tables) saved.push([table, await db.selectFrom(table).selectAll().execute()])
  return () =>
    db.transaction().execute(async trx => {
      for (const [table] of saved) await trx.deleteFrom(table).execute()
      for (const [table, rows] of [...saved].reverse()) {
        // They came out of this very table.
        if (rows.length > 0)
          await trx
            .insertInto(table)
            .values(rows as never)
            .execute()
      }
    })
}
