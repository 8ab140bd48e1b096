/**
 * Inspections by ramdisks, through a whole conductor: whose data it is, boots that somebody else manages, machines that
 * nobody enrolled. The ramdisk is a call with what it would post.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import { findFound } from '#db/inspections.ts'
import { findInventory, findNode, type Node } from '#db/nodes.ts'
import { portsOf } from '#db/ports.ts'
import { freshDatabase } from '#db/test-database.ts'
import { addPort } from '#drivers/inspection/ports.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import type { ProvisionState } from '#protocol/states.ts'
import { createConductor } from '../service.ts'
import { addNode, caller, eventually } from '../test-engine.ts'

async function world(overrides: Overrides = {}) {
  const config = await loadConfig({
    overrides: {
      ...overrides,
      DEFAULT: {
        enabled_hardware_types: ['fake-hardware'],
        enabled_boot_interfaces: ['fake', 'ipxe'],
        enabled_inspect_interfaces: ['agent', 'fake'],
        default_inspect_interface: 'agent',
        ...overrides.DEFAULT,
      },
    },
  })
  const db = await freshDatabase()
  const registry = await loadRegistry(config)
  const portsChanged = async () => {}
  const conductor = createConductor({ db, config, registry, clock: systemClock, log: silent, portsChanged })
  await conductor.start()
  const interfaces = registry.interfacesFor('fake-hardware', {})
  const node = async (uuid: string): Promise<Node> => {
    const found = await findNode(db, uuid)
    assert.ok(found)
    return found
  }
  const reaches = async (uuid: string, state: ProvisionState) => {
    await eventually(state, async () => {
      const { provision_state, lease } = await node(uuid)
      return provision_state === state && lease === null
    })
    return node(uuid)
  }
  return {
    db,
    conductor,
    node,
    reaches,
    /** A node with these MAC addresses, in this state. */
    async add(state: ProvisionState, macs: string[] = [], more: object = {}) {
      const uuid = await addNode(db, state, {
        driver: 'fake-hardware',
        ...interfaces,
        power_state: 'power on',
        ...more,
      })
      for (const address of macs) await addPort({ db, log: silent }, uuid, { address }, 0)
      return uuid
    },
    async inspect(uuid: string) {
      await conductor.provision(await node(uuid), 'inspect', {}, caller)
      return reaches(uuid, 'inspect wait')
    },
    async [Symbol.asyncDispose]() {
      await conductor.stop()
      await db.destroy()
    },
  }
}

const data = (macs: string[], more: object = {}) => ({
  inventory: {
    interfaces: macs.map((mac_address, at) => ({ name: `eth${at}`, mac_address, ipv4_address: null })),
    cpu: { architecture: 'x86_64' },
    boot: { pxe_interface: macs[0] },
    bmc_address: '0.0.0.0',
    ...more,
  },
  root_disk: null,
})
const mac = (at: number) => `52:54:00:00:00:0${at}`

test('a ramdisk that somebody else boots ends the inspection of the machine that was only powered on', async () => {
  await using w = await world({ inspector: { require_managed_boot: false } })
  const uuid = await w.add('manageable', [], {
    boot_interface: 'ipxe',
    driver_info: { x_address: 'http://192.0.2.7/' },
  })
  const waiting = await w.inspect(uuid)
  assert.deepEqual(waiting.driver_internal_info.lookup_bmc_addresses, ['192.0.2.7'])
  assert.equal(waiting.power_state, 'power on')
  // No port is known: it is found by its BMC.
  const answer = await w.conductor.inspectionData(data([mac(1)], { bmc_address: '192.0.2.7' }), null)
  assert.deepEqual(answer, { uuid })
  const node = await w.reaches(uuid, 'manageable')
  assert.deepEqual([node.power_state, node.last_error, node.properties], ['power off', null, { cpu_arch: 'x86_64' }])
  assert.equal('lookup_bmc_addresses' in node.driver_internal_info, false)
  assert.deepEqual(
    (await portsOf(w.db, uuid)).map(port => [port.address, port.pxe_enabled]),
    [[mac(1), true]],
  )
  const kept = await findInventory(w.db, uuid)
  assert.deepEqual(Object.keys(kept ?? {}), ['inventory', 'plugin_data'])
  assert.equal(await findFound(w.db, uuid), undefined)
})

test('its machine stays on where the configuration says so', async () => {
  await using w = await world({ inspector: { require_managed_boot: false, power_off: false } })
  const uuid = await w.add('manageable', [], { boot_interface: 'ipxe' })
  await w.inspect(uuid)
  await w.conductor.inspectionData(data([mac(1)]), uuid)
  assert.equal((await w.reaches(uuid, 'manageable')).power_state, 'power on')
})

test('where boot has to be managed, a node whose boot cannot be is refused', async () => {
  await using w = await world({ inspector: { pre_create_ports: false } })
  const uuid = await w.add('manageable', [], { boot_interface: 'ipxe' })
  await assert.rejects(async () => w.conductor.provision(await w.node(uuid), 'inspect', {}, caller), /ipxe|port/i)
})

test('an inspection of a managed boot is aborted in its wait, and leaves nothing behind', async () => {
  await using w = await world()
  const uuid = await w.add('manageable', [mac(1)], { driver_info: { bmc_address: '192.0.2.7' } })
  await w.inspect(uuid)
  await w.conductor.provision(await w.node(uuid), 'abort', {}, caller)
  const node = await w.reaches(uuid, 'inspect failed')
  assert.match(node.last_error ?? '', /aborted/i)
  assert.equal('lookup_bmc_addresses' in node.driver_internal_info, false)
  await assert.rejects(w.conductor.inspectionData(data([mac(1)]), uuid), /No node that waits/)
})

test('hooks that fail fail the inspection', async () => {
  await using w = await world()
  const uuid = await w.add('manageable', [mac(1)])
  await w.inspect(uuid)
  await w.conductor.inspectionData({ ...data([mac(1)]), error: 'no memory' }, null)
  const node = await w.reaches(uuid, 'inspect failed')
  assert.match(node.last_error ?? '', /hook ramdisk-error: the ramdisk reports: no memory/)
  assert.equal(await findInventory(w.db, uuid), undefined)
})

test('what speaks against an answer gets none, and always the same words', async () => {
  await using w = await world()
  const bmc = (address: string) => ({ driver_internal_info: { lookup_bmc_addresses: [address] } })
  const one = await w.add('inspect wait', [mac(1), mac(2)], bmc('192.0.2.1'))
  const other = await w.add('inspect wait', [mac(3)], bmc('192.0.2.2'))
  await w.add('inspect wait', [mac(4)], bmc('192.0.2.2'))
  const idle = await w.add('manageable', [mac(5)])
  const asked = (macs: string[], address: string | null = null, uuid: string | null = null) =>
    w.conductor.inspectionData(data(macs, { bmc_address: address, bmc_v6address: '::/0' }), uuid)

  assert.deepEqual(await asked([mac(1).toUpperCase(), mac(9)]), { uuid: one })
  assert.deepEqual(await asked([mac(9)], '192.0.2.1'), { uuid: one })
  assert.deepEqual(await asked([mac(9)], null, other), { uuid: other })
  // Two nodes have this BMC, and one of them the MAC address.
  assert.deepEqual(await asked([mac(3)], '192.0.2.2'), { uuid: other })
  // A BMC that no node has speaks against nothing.
  assert.deepEqual(await asked([mac(3)], '192.0.2.99'), { uuid: other })
  const refused: Parameters<typeof asked>[] = [
    [[mac(1), mac(3)]],
    [[mac(1)], null, other],
    [[mac(1)], '192.0.2.2'],
    [[mac(9)], '192.0.2.2'],
    [[mac(9)], '192.0.2.99'],
    [[mac(9)]],
    [[mac(5)]],
    [[], null, idle],
    [[], null, crypto.randomUUID()],
  ]
  for (const one of refused) {
    const expected = { message: 'No node that waits for inspection data is known by these addresses' }
    await assert.rejects(asked(...one), expected, JSON.stringify(one))
  }
  await assert.rejects(asked(['no address'], '0.0.0.0'), /expected node_uuid, a network interface/)
})

test('what comes while the inspection works on what came before changes nothing', async () => {
  await using w = await world()
  const uuid = await w.add('inspect wait', [mac(1)])
  await w.conductor.inspectionData(data([mac(1)], { at: 1 }), null)
  await w.conductor.inspectionData(data([mac(1)], { at: 2 }), null)
  assert.equal((await findFound(w.db, uuid))?.inventory.at, 2)
  await w.db.updateTable('inspections').set({ taken: 1 }).execute()
  await w.conductor.inspectionData(data([mac(1)], { at: 3 }), null)
  assert.equal((await findFound(w.db, uuid))?.inventory.at, 2)
})

const discovering: Overrides = {
  auto_discovery: { enabled: true, driver: 'fake-hardware', inspection_scope: 'rack-1' },
  inspector: { add_ports: 'all' },
}

test('an unknown machine becomes a node, once, and stays in enroll', async () => {
  await using w = await world(discovering)
  const told = data([mac(1), mac(2)])
  const answers = await Promise.all([w.conductor.inspectionData(told, null), w.conductor.inspectionData(told, null)])
  const { uuid } = answers[0]
  assert.deepEqual(answers, [{ uuid }, { uuid }])
  await eventually('the inventory is kept', async () => (await findInventory(w.db, uuid)) !== undefined)
  const node = await w.reaches(uuid, 'enroll')
  assert.deepEqual([node.driver, node.inspect_interface, node.last_error], ['fake-hardware', 'agent', null])
  assert.deepEqual(node.properties, { inspection_scope: 'rack-1', cpu_arch: 'x86_64' })
  assert.deepEqual(
    (await portsOf(w.db, uuid)).map(port => port.address),
    [mac(1), mac(2)],
  )
  const { plugin_data } = (await findInventory(w.db, uuid)) as { plugin_data: Record<string, unknown> }
  assert.equal(plugin_data.auto_discovered, true)
  assert.equal(node.power_state, null)
  // It is known now, and waits for nothing.
  await assert.rejects(w.conductor.inspectionData(told, null), /No node that waits/)
  assert.equal((await w.db.selectFrom('nodes').select('uuid').execute()).length, 1)
})

test('what is wrong with an unknown machine is told by its node', async () => {
  await using w = await world(discovering)
  const { uuid } = await w.conductor.inspectionData({ ...data([mac(1)]), error: 'no disk' }, null)
  await eventually('the failure is told', async () => (await w.node(uuid)).last_error !== null)
  const node = await w.reaches(uuid, 'enroll')
  assert.match(node.last_error ?? '', /no disk/)
})

test('unknown machines stay unknown where nobody wants them', async () => {
  await using w = await world()
  await assert.rejects(w.conductor.inspectionData(data([mac(1)]), null), /No node that waits/)
  assert.deepEqual(await w.db.selectFrom('nodes').select('uuid').execute(), [])
})

test('discovery that could enrol nothing is refused when the service starts', async () => {
  await assert.rejects(world({ auto_discovery: { enabled: true } }), /\[auto_discovery\] driver is not set/)
  await assert.rejects(
    world({
      auto_discovery: { enabled: true, driver: 'fake-hardware' },
      DEFAULT: { default_inspect_interface: 'fake' },
    }),
    /expected \[DEFAULT\] default_inspect_interface = agent/,
  )
})

test('a filter of network boots lets the machine through as soon as its inspection begins', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-hostsdir-'))
  await using w = await world({ pxe_filter: { dhcp_hostsdir: directory } })
  const uuid = await w.add('manageable', [mac(1)])
  await w.inspect(uuid)
  assert.equal(await readFile(join(directory, mac(1)), 'utf8'), `${mac(1)}\n`)
  await rm(directory, { recursive: true })
  await assert.rejects(world({ pxe_filter: { dhcp_hostsdir: directory } }), /dhcp_hostsdir is .* no directory/)
})
