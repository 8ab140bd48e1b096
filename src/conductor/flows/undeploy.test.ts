/** What an undeployed node keeps of its instance's networks: nothing, whatever Neutron says. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { findNode } from '#db/nodes.ts'
import { portgroupsOf, portgroupTable } from '#db/portgroups.ts'
import { portsOf, updatePort } from '#db/ports.ts'
import { freshDatabase } from '#db/test-database.ts'
import { placesOf, vifsAt } from '#db/vifs.ts'
import { addPort } from '#drivers/inspection/ports.ts'
import { startFakeNeutron } from '#drivers/neutron/fake-neutron.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { type Log, silent } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { createConductor } from '../service.ts'
import { addNode, caller, eventually } from '../test-engine.ts'

/** Undeploys a node with a VIF on a port, and one on a group of two others that was made for it. */
async function undeployed({ broken = false } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-undeploy-'))
  const neutron = await startFakeNeutron()
  const config = await loadConfig({
    overrides: {
      DEFAULT: { state_path: directory, enabled_network_interfaces: ['neutron', 'noop'] },
      conductor: { automated_clean: false },
      deploy: { http_root: join(directory, 'http') },
      neutron: { auth_type: 'none', endpoint_override: neutron.url },
    },
  })
  const db = await freshDatabase()
  const registry = await loadRegistry(config)
  const warned: string[] = []
  const log: Log = { ...silent, warn: (_, message) => void warned.push(message), child: () => log }
  const portsChanged = async () => {}
  const conductor = createConductor({ db, config, registry, clock: systemClock, log, portsChanged })
  await conductor.start()
  try {
    const interfaces = registry.interfacesFor('fake-hardware', { network_interface: 'neutron' })
    const uuid = await addNode(db, 'active', { driver: 'fake-hardware', ...interfaces })
    for (const end of [1, 2, 3]) await addPort({ db, log: silent }, uuid, { address: `52:54:00:00:00:0${end}` }, 0)
    const [alone, ...members] = await portsOf(db, uuid)
    assert.ok(alone)
    await updatePort(db, alone.uuid, { internal_info: { tenant_vif_port_id: 'vif-1', kept: true } }, 0)
    const group = randomUUID()
    await portgroupTable.insert(db, {
      uuid: group,
      node_uuid: uuid,
      name: 'tbn_dyn_portgroup_1',
      mode: '802.3ad',
      properties: {},
      extra: {},
      internal_info: { tenant_vif_port_id: 'vif-2' },
      standalone_ports_supported: true,
      dynamic_portgroup: true,
      created_at: timestamp(0),
    })
    for (const port of members) await updatePort(db, port.uuid, { portgroup_uuid: group }, 0)
    for (const [id, mac_address] of [
      ['vif-1', alone.address],
      ['vif-2', '52:54:00:00:00:02'],
    ] as const) {
      const bound = { 'binding:host_id': uuid, 'binding:vif_type': 'other' }
      neutron.ports.set(id, { id, network_id: 'tenant', mac_address, ...bound })
    }
    if (broken) neutron.broken = { status: 409, message: 'not today' }
    const node = await findNode(db, uuid)
    assert.ok(node)
    await conductor.provision(node, 'deleted', {}, caller)
    await eventually('available', async () => (await findNode(db, uuid))?.provision_state === 'available')
    return {
      vifs: vifsAt(await placesOf(db, uuid)),
      groups: await portgroupsOf(db, uuid),
      ports: await portsOf(db, uuid),
      neutron: [...neutron.ports.values()],
      warned,
    }
  } finally {
    await conductor.stop()
    await db.destroy()
    await neutron[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  }
}

test('no VIF is left for the next instance, and no group that was made for one', async () => {
  const { vifs, groups, ports, neutron, warned } = await undeployed()
  assert.deepEqual(vifs, [])
  assert.deepEqual(groups, [])
  assert.deepEqual(
    ports.map(port => [port.internal_info, port.portgroup_uuid]),
    [
      [{ kept: true }, null],
      [{}, null],
      [{}, null],
    ],
  )
  for (const port of neutron) {
    assert.equal(port['binding:host_id'], '')
    assert.match(`${port.mac_address}`, /^fa:16:3e:/, 'the MAC address is that of the next VIF')
  }
  assert.deepEqual(warned, [])
})

test('a Neutron that refuses keeps no VIF at the node', async () => {
  const { vifs, groups, warned } = await undeployed({ broken: true })
  assert.deepEqual(vifs, [])
  assert.deepEqual(groups, [])
  const told = warned.filter(message => message.startsWith('the network was not told that a VIF is taken off'))
  assert.equal(told.length, 2)
  assert.match(told[0] ?? '', /Neutron answered 409: not today$/)
})
