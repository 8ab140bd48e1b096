/**
 * The request with which the matrix tries an endpoint, where its path alone does not say it, and what is answered to who
 * may. The answer is named when it is not the endpoint's success: the fake conductor of tests cannot do everything.
 */
import type { World } from './test-world.ts'

export interface Attempt {
  /** Default: the endpoint's, its parameters filled in from the world. */
  readonly path?: string
  readonly body?: unknown
  /** Status for those who may. Default: the endpoint's success. */
  readonly ok?: number
  /** What the answer must name for `+`, and must not name for `o`. */
  readonly shows?: string
}

const set = (path: string, value: unknown) => ({ body: [{ op: 'add', path, value }] })
const vendor = { body: {}, ok: 400 }
const vendorByQuery = (owner: string) => ({ ...vendor, path: `/v1/${owner}/vendor_passthru?method=eject` })
const steps = [{ interface: 'raid', step: 'create_configuration', order: 1 }]

const aTakeover = {
  node: {
    uuid: '6f0c5a44-0d5e-4a57-8a7b-3d6d1f0a9b11',
    driver: 'fake-hardware',
    provision_state: 'active',
    created_at: '2026-11-21T05:47:09+00:00',
  },
}

export function attempts(world: World): Readonly<Record<string, Attempt>> {
  const { node } = world
  const nodePath = `nodes/${node}`
  const driverPath = `drivers/${world.driver_name}`
  const onUsed = (path: string) => ({ path: `/v1/nodes/${world.used}/${path}` })
  const shown = { shows: node }
  return {
    'node.list': shown,
    'node.list:otherProject': { path: '/v1/nodes?project=other' },
    'node.listDetail': shown,
    'node.create': { body: { driver: 'fake-hardware' } },
    'node.create:forAnother': { body: { driver: 'fake-hardware', owner: 'owner' } },
    'node.validateByQuery': { path: `/v1/nodes/validate?node=${node}` },
    'node.setPower': { body: { target: 'power on' } },
    'node.setProvision': { body: { target: 'provide' } },
    'node.setProvision:cleanSteps': { body: { target: 'clean', clean_steps: steps } },
    'node.setProvision:serviceSteps': { body: { target: 'service', service_steps: steps }, ok: 400 },
    'node.setProvision:runbook': { body: { target: 'clean', runbook: 'ours' } },
    'node.plan': { body: { target: 'provide' } },
    'node.setRaid': { body: {} },
    'node.setBootMode': { body: { target: 'uefi' } },
    'node.setSecureBoot': { body: { target: true } },
    'node.setConsole': { body: { enabled: true } },
    'node.setBootDevice': { body: { boot_device: 'pxe' } },
    'node.unlock': { ok: 409 },
    'node.takeOver': { path: '/v1/takeover?check=True', body: aTakeover },
    'node.getIndicator': { ok: 400 },
    'node.setIndicator': { body: { state: 'on' }, ok: 400 },
    'node.getVmedia': { ok: 400 },
    'node.attachVmedia': { body: { device_type: 'cdrom', image_url: 'http://x/y' }, ok: 400 },
    'node.detachVmedia': { ok: 400 },
    'node.attachVif': { body: { id: 'vif' } },
    'node.setTraits': { body: { traits: ['CUSTOM_U'] } },
    'event.list': { shows: node },
    'run.list': { shows: node },
    'node.listHistory': { shows: world.event_uuid ?? '' },

    'node.update:empty': { body: [] },
    'node.update:description': set('/description', 'x'),
    'node.update:extra': set('/extra/y', 2),
    'node.update:protected': { body: [{ op: 'remove', path: '/protected' }] },
    'node.update:instanceInfo': set('/instance_info/x', 1),
    'node.update:instanceName': set('/instance_name', 'x'),
    'node.update:driverInfo': set('/driver_info/x', 1),
    'node.update:properties': set('/properties/x', 1),
    'node.update:instanceUuid': set('/instance_uuid', '11111111-1111-4111-8111-111111111111'),
    'node.update:lessee': set('/lessee', 'other'),
    'node.update:networkData': set('/network_data', {}),
    'node.update:name': set('/name', 'x'),
    'node.update:retired': set('/retired', true),
    'node.update:retiredReason': { body: [{ op: 'remove', path: '/retired_reason' }] },
    'node.update:driver': set('/driver', 'fake-hardware'),
    'node.update:interface': set('/power_interface', 'fake'),
    'node.update:owner': set('/owner', 'other'),
    'node.update:conductorGroup': { body: [{ op: 'remove', path: '/conductor_group' }] },
    'node.update:parent': set('/parent_node', world.used),
    'node.update:chassis': set('/chassis_uuid', world.chassis_uuid),
    'node.update:shard': set('/shard', 's'),
    'node.update:disablePowerOff': set('/disable_power_off', true),
    'node.update:noCleaning': set('/automated_clean', false),
    'node.update:cleaning': set('/automated_clean', true),
    'node.update:extraAndName': { body: [...set('/extra/y', 2).body, ...set('/name', 'x').body] },

    'node.callVendorGet': vendor,
    'node.callVendorGetByQuery': vendorByQuery(nodePath),
    'node.callVendorPost': vendor,
    'node.callVendorPostByQuery': vendorByQuery(nodePath),
    'node.callVendorPut': vendor,
    'node.callVendorPutByQuery': vendorByQuery(nodePath),
    'node.callVendorPatch': vendor,
    'node.callVendorPatchByQuery': vendorByQuery(nodePath),
    'node.callVendorDelete': vendor,
    'node.callVendorDeleteByQuery': vendorByQuery(nodePath),
    'driver.callVendorGet': vendor,
    'driver.callVendorGetByQuery': vendorByQuery(driverPath),
    'driver.callVendorPost': vendor,
    'driver.callVendorPostByQuery': vendorByQuery(driverPath),
    'driver.callVendorPut': vendor,
    'driver.callVendorPutByQuery': vendorByQuery(driverPath),
    'driver.callVendorPatch': vendor,
    'driver.callVendorPatchByQuery': vendorByQuery(driverPath),
    'driver.callVendorDelete': vendor,
    'driver.callVendorDeleteByQuery': vendorByQuery(driverPath),

    'port.list': { shows: world.port_ident ?? '' },
    'port.listDetail': { shows: world.port_ident ?? '' },
    'port.list:ofNode': { path: `/v1/ports?node=${node}`, shows: world.port_ident ?? '' },
    'port.create': { body: { node_uuid: node, address: '52:54:00:00:00:02' } },
    'port.update': set('/extra/x', 1),
    'node.listPorts': { shows: world.port_ident ?? '' },
    'portgroup.listPorts': { shows: world.port_ident ?? '' },
    'portgroup.list': { shows: world.portgroup_ident ?? '' },
    'portgroup.listDetail': { shows: world.portgroup_ident ?? '' },
    'portgroup.create': { body: { node_uuid: node } },
    'portgroup.update': set('/extra/x', 1),
    'portgroup.delete': { ok: 400 },

    'volumeConnector.list': { shows: world.connector_uuid ?? '' },
    'volumeConnector.create': { body: { node_uuid: node, type: 'ip', connector_id: 'd' } },
    'volumeConnector.update': set('/extra/x', 1),
    'volumeTarget.list': { shows: world.target_uuid ?? '' },
    'volumeTarget.create': { body: { node_uuid: node, volume_type: 'iscsi', boot_index: 1, volume_id: 'w' } },
    'volumeTarget.update': set('/extra/x', 1),

    'chassis.create': { body: {} },
    'chassis.update': set('/description', 'x'),
    'chassis.listNodes': { path: `/v1/chassis/${world.usedChassis}/nodes`, ...shown },
    'chassis.listNodesDetail': { path: `/v1/chassis/${world.usedChassis}/nodes/detail`, ...shown },

    'driver.propertiesByQuery': { path: '/v1/drivers/properties?driver_name=fake-hardware' },
    'driver.raidProperties': { ok: 404 },
    'event.post': {
      body: {
        events: [
          {
            event: 'network.bind_port',
            port_id: '11111111-1111-4111-8111-111111111111',
            mac_address: '52:54:00:00:00:01',
            status: 'ACTIVE',
          },
        ],
      },
    },

    'allocation.list': { shows: world.allocation_ident ?? '' },
    'allocation.list:otherOwner': { path: '/v1/allocations?owner=other' },
    'allocation.create': { body: { resource_class: 'baremetal' } },
    'allocation.create:forAnother': { body: { resource_class: 'baremetal', owner: 'owner' } },
    'allocation.update': set('/extra/x', 1),
    'node.getAllocation': onUsed('allocation'),
    'node.deleteAllocation': onUsed('allocation'),

    'deployTemplate.create': {
      body: { name: 'CUSTOM_OTHER', steps: [{ interface: 'raid', step: 's', args: {}, priority: 1 }] },
    },
    'deployTemplate.update': set('/extra/x', 1),

    'runbook.list': { shows: world.runbook_ident ?? '' },
    'runbook.list:public': { path: '/v1/runbooks', shows: world.publicRunbook ?? '' },
    'runbook.create': { body: { name: 'other', steps } },
    'runbook.create:public': { body: { name: 'other', steps, public: true } },
    'runbook.get:public': { path: `/v1/runbooks/${world.publicRunbook}` },
    'runbook.update': set('/extra/x', 1),
    'runbook.update:owner': set('/owner', 'other'),
    'runbook.update:public': set('/public', true),
    'runbook.setTraits': { body: { traits: ['CUSTOM_U'] } },

    'inspectionRule.create': { body: { actions: [{ op: 'fail', args: { msg: 'x' } }] } },
    'inspectionRule.update': set('/priority', 1),
  }
}
