/**
 * For tests: an API that holds one object of every kind, and for every endpoint a request that it grants. The test of
 * the OpenAPI document makes them as they are; the fuzz test spoils them.
 */
import { findAgent, pregenerateToken } from '#db/agents.ts'
import { takeLease, writeInventory } from '#db/nodes.ts'
import { keepPiece } from '#db/ramdisk-logs.ts'
import type { Endpoint } from '../endpoint.ts'

import type { TestApi } from '../test-api.ts'

type Json = Record<string, unknown>

export interface GoodRequest {
  /** Values of the path's parameters, by name. */
  readonly params: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: unknown
}

export interface Furnished {
  /** UUIDs and names by the path parameter that they stand for. */
  readonly params: Readonly<Record<string, string>>
  /** A request that the endpoint grants; undefined for those that refuse everything for now. */
  of(endpoint: Endpoint): GoodRequest | undefined
}

/** What nothing here can do yet: each says so. */
export const refusing = (id: string) => /Vmedia$|callVendor|^node\.[gs]etIndicator$/.test(id)

const at = '2026-11-21T05:47:09.128000+00:00'
const boot = '0f7a1d7e-2222-4333-8444-555555555555'
const step = { interface: 'bios', step: 'apply', args: {} }
const takenOver = {
  ...{
    uuid: '6f0c5a44-0d5e-4a57-8a7b-3d6d1f0a9b11',
    driver: 'fake-hardware',
    provision_state: 'active',
    created_at: at,
  },
  ...{ power_state: 'power on', driver_info: { a: 'b' }, traits: ['CUSTOM_A'] },
}
const rule = { actions: [{ op: 'log', args: { msg: 'seen' } }], conditions: [{ op: 'is-true', args: { value: 1 } }] }

/** Fills an empty API. Names end in a number, so that more than one set fits. */
export async function furnish(api: TestApi, number = 1): Promise<Furnished> {
  const made = async (path: string, body: Json) => {
    const { json, status, fault } = await api.call('POST', `/v1/${path}`, { body })
    if (status !== 201) throw new Error(`${path}: ${fault}`)
    return (json as { uuid: string }).uuid // every object has one
  }
  const mac = (part: string) => `52:54:00:${part}:00:${number.toString(16).padStart(2, '0')}`
  const common = { console_interface: 'fake', raid_interface: 'fake', network_interface: 'flat' }
  const node = await api.node({ name: `node-${number}`, ...common, traits: undefined })
  await api.set(node, { power_state: 'power off', provision_state: 'manageable', traits: ['CUSTOM_OLD'] })
  const port = await made('ports', { node_uuid: node, address: mac('01'), name: `port-${number}` })
  // Out of their node's way, so that they may be deleted one by one.
  const other = await api.node({ name: `other-${number}` })
  await api.set(other, { power_state: 'power off' })
  const group = await made('portgroups', { node_uuid: other, name: `group-${number}` })
  const vif = await made('ports', { node_uuid: node, address: mac('02') })
  await api.call('POST', `/v1/nodes/${node}/vifs`, { body: { id: `vif-${number}`, port_uuid: vif } })
  const free = await made('ports', { node_uuid: node, address: mac('04') })
  const chassis = await made('chassis', { description: `chassis ${number}` })
  const connector = await made('volume/connectors', { node_uuid: other, type: 'iqn', connector_id: `iqn.${number}` })
  const target = await made('volume/targets', {
    ...{ node_uuid: other, volume_type: 'iscsi', boot_index: 0, volume_id: 'v' },
  })
  const template = await made('deploy_templates', { name: `CUSTOM_T${number}`, steps: [{ ...step, priority: 1 }] })
  const runbook = await made('runbooks', { name: `CUSTOM_R${number}`, steps: [{ ...step, order: 1 }] })
  await api.call('PUT', `/v1/runbooks/${runbook}/traits/CUSTOM_OLD`)
  const inspectionRule = await made('inspection_rules', rule)
  const allocation = await made('allocations', { resource_class: 'none', name: `wish-${number}` })
  const used = await api.node({ name: `used-${number}` })
  await api.set(used, { provision_state: 'active', power_state: 'power on' })
  await made('allocations', { node: used })
  await api.set(used, { maintenance: true })

  await storeFacts(api, node)
  const booting = await api.node({ name: `booting-${number}` })
  await made('ports', { node_uuid: booting, address: mac('03') })
  await api.set(booting, { provision_state: 'inspect wait' })
  await pregenerateToken(api.db, booting, 'token')
  const [spare, gone] = [await api.node({ name: `spare-${number}` }), await api.node({ name: `gone-${number}` })]

  const locked = await api.node({ name: `locked-${number}` })
  const held = { holder: 'host-2', purpose: 'deploy', nowMs: Date.now(), forMs: 600_000, visible: true }
  await takeLease(api.db, locked, held)

  const { history } = (await api.call('GET', `/v1/nodes/${node}/history`)).json as { history: { uuid: string }[] } // just stored
  const params = {
    ...{ node_ident: `node-${number}`, port_ident: `port-${number}`, port_uuid: port, portgroup_ident: group },
    ...{ chassis_uuid: chassis, connector_uuid: connector, target_uuid: target, template_ident: template },
    ...{
      runbook_ident: runbook,
      rule_uuid: inspectionRule,
      allocation_ident: allocation,
      driver_name: 'fake-hardware',
    },
    ...{ hostname: 'host-1', setting_name: 'Asset', event_uuid: history[0]?.uuid ?? '', indicator: 'led@system', boot },
    ...{ method: 'none', vif_id: `vif-${number}`, trait: 'CUSTOM_OLD' },
  }
  const token = (await findAgent(api.db, booting))?.token
  const patchExtra = [{ op: 'add', path: '/extra/seen', value: true }]
  const on: Readonly<Record<string, Partial<GoodRequest>>> = {
    'node.create': { body: { driver: 'fake-hardware', extra: { a: [1, { b: null }] }, properties: { cpus: 4 } } },
    'node.update': { body: [{ op: 'replace', path: '/description', value: 'x' }, ...patchExtra] },
    'node.delete': { params: { ...params, node_ident: gone } },
    'node.validateByQuery': { query: `node=${node}` },
    'node.setPower': { body: { target: 'power off', timeout: 5 } },
    'node.setProvision': { params: { ...params, node_ident: spare }, body: { target: 'manage' } },
    'node.plan': { params: { ...params, node_ident: spare }, body: { target: 'manage', instance_info: { a: 'b' } } },
    'node.setRaid': { body: { logical_disks: [{ size_gb: 10, raid_level: '1', is_root_volume: true }] } },
    'node.setBootMode': { body: { target: 'uefi' } },
    'node.setSecureBoot': { body: { target: true } },
    'node.setConsole': { body: { enabled: true } },
    'node.setBootDevice': { body: { boot_device: 'pxe', persistent: true } },
    'node.injectNmi': { body: {} },
    'node.takeOver': { query: 'check=true', body: { node: takenOver, ports: [] } },
    'node.unlock': { params: { ...params, node_ident: locked }, body: {} },
    'node.setMaintenance': { params: { ...params, node_ident: other }, body: { reason: 'looking' } },
    'node.unsetMaintenance': { params: { ...params, node_ident: other } },
    'node.attachVif': { body: { id: `vif-more-${number}`, port_uuid: free } },
    'node.setTraits': { body: { traits: ['CUSTOM_OLD', 'CUSTOM_NEW'] } },
    'node.getAllocation': { params: { ...params, node_ident: used } },
    'node.deleteAllocation': { params: { ...params, node_ident: used } },
    'node.attachVmedia': { body: { device_type: 'cdrom', image_url: 'http://images.example/a.iso' } },
    'node.setIndicator': { body: { state: 'on' } },
    'driver.propertiesByQuery': { query: 'driver_name=fake-hardware' },
    'driver.raidProperties': { params: { ...params, driver_name: 'redfish' } },
    'port.create': { body: { node_uuid: node, address: mac('0a'), extra: {}, is_smartnic: false } },
    'port.update': { body: [{ op: 'replace', path: '/pxe_enabled', value: false }, ...patchExtra] },
    'portgroup.create': { body: { node_uuid: node, mode: '802.3ad', properties: { miimon: 100 } } },
    'portgroup.update': { body: patchExtra },
    'chassis.create': { body: { description: 'new', extra: {} } },
    'chassis.update': { body: patchExtra },
    'volumeConnector.create': { body: { node_uuid: node, type: 'ip', connector_id: `192.0.2.${number}` } },
    'volumeConnector.update': { body: patchExtra },
    'volumeTarget.create': {
      body: { node_uuid: node, volume_type: 'iscsi', boot_index: number, volume_id: 'w', properties: { lun: 1 } },
    },
    'volumeTarget.update': { body: [{ op: 'replace', path: '/boot_index', value: 9 }, ...patchExtra] },
    'deployTemplate.create': { body: { name: `CUSTOM_TN${number}`, steps: [{ ...step, priority: '3' }] } },
    'deployTemplate.update': { body: [{ op: 'replace', path: '/steps/0/priority', value: 7 }, ...patchExtra] },
    'runbook.create': { body: { name: `CUSTOM_RN${number}`, steps: [{ ...step, order: 2 }], public: true } },
    'runbook.update': { body: [{ op: 'replace', path: '/disable_ramdisk', value: true }, ...patchExtra] },
    'runbook.setTraits': { body: { traits: ['CUSTOM_OLD'] } },
    'inspectionRule.create': { body: { ...rule, priority: 3, description: 'new' } },
    'inspectionRule.update': { body: [{ op: 'replace', path: '/priority', value: 4 }] },
    'allocation.create': { body: { resource_class: 'none', traits: ['CUSTOM_A'], candidate_nodes: [node] } },
    'allocation.update': { body: patchExtra },
    'event.post': {
      body: { events: [{ event: 'network.bind_port', port_id: port, mac_address: mac('01'), status: 'ACTIVE' }] },
    },
    'ramdisk.lookup': { query: `addresses=${mac('03')}` },
    'ramdisk.heartbeat': {
      params: { ...params, node_ident: booting },
      body: { callback_url: 'https://192.0.2.7:9999', agent_token: token, agent_version: '1' },
    },
    'ramdisk.log': {
      body: { boot_id: boot, piece: 0, text: 'x', addresses: [mac('03')], node_uuid: booting, agent_token: token },
    },
    'inspector.continue': { body: { inventory: { interfaces: [{ mac_address: mac('03') }] }, root_disk: null } },
    'ramdisk.continueInspection': {
      query: `node_uuid=${booting}`,
      body: { inventory: { interfaces: [{ mac_address: mac('03') }], cpu: { count: 4 } }, lldp_raw: {} },
    },
  }
  return {
    params,
    of: ({ id }) => (refusing(id) ? undefined : { params, ...on[id] }),
  }
}

/** What drivers and flows would have stored of a node. */
async function storeFacts(api: TestApi, node_uuid: string): Promise<void> {
  const times = { created_at: at, updated_at: null }
  const limits = { lower_bound: null, upper_bound: null, min_length: null, max_length: null }
  const kind = { attribute_type: 'String', allowable_values: 'null', read_only: 0, reset_required: 1, unique: 0 }
  const setting = { node_uuid, ...times, ...limits, ...kind, name: 'Asset', value: 'a' }
  await api.db.insertInto('bios_settings').values(setting).execute()
  await keepPiece(api.db, { nodeUuid: node_uuid, bootId: boot, piece: 0, text: 'x', at }, 1000)
  const versions = { initial_version: '1', current_version: '2', last_version_flashed: null }
  const component = {
    node_uuid,
    component: 'bmc',
    ...times,
    ...versions,
    vendor: 'A',
    model: null,
    serial_number: null,
  }
  await api.db.insertInto('firmware_components').values(component).execute()
  await writeInventory(api.db, node_uuid, { inventory: { cpu: { count: 2 } }, plugin_data: {} })

  const moved = { at, node_uuid, flow_id: null, kind: 'provision state', data: '{"from":"enroll","to":"verifying"}' }
  await api.db.insertInto('events').values(moved).execute()
}
