/** Inspection by a BMC over real HTTPS, through a whole conductor: what is asked, what becomes of it, odd answers. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createConductor } from '#conductor/service.ts'
import { addNode, caller, eventually } from '#conductor/test-engine.ts'
import { loadConfig, type Overrides } from '#config/load.ts'
import { openDatabase } from '#db/database.ts'
import { findInventory, findNode } from '#db/nodes.ts'
import { portsOf } from '#db/ports.ts'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import { redfishService } from '#lab/redfish/service.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { loadRegistry } from '../registry.ts'
import { driverInfoOf, fakeBmc, openPort } from './fake-bmc.ts'

const gib = 2 ** 30
const SYSTEM = '/redfish/v1/Systems/1'
const CHASSIS = '/redfish/v1/Chassis/1'
const link = (path: string) => ({ '@odata.id': path })
const members = (...paths: string[]) => ({ Members: paths.map(link) })

/** A machine with two sockets, a RAID controller, a card that is no disk, and a switch that talks. */
const system = {
  Manufacturer: 'Acme',
  Model: 'Anvil 9',
  SerialNumber: 'S-1',
  UUID: '5d3b6c1e-3d5c-4d0e-9a55-0a7d1f6f2b01',
  MemorySummary: { TotalSystemMemoryGiB: 64 },
  ProcessorSummary: { Count: 2, Model: 'Anvil Core', LogicalProcessorCount: 40 },
  Processors: link(`${SYSTEM}/Processors`),
  Storage: link(`${SYSTEM}/Storage`),
  SimpleStorage: link(`${SYSTEM}/SimpleStorage`),
  SecureBoot: link(`${SYSTEM}/SecureBoot`),
  PCIeDevices: [link(`${CHASSIS}/PCIeDevices/1`)],
  Links: { Chassis: [link(CHASSIS)] },
}
const resources = {
  [`${SYSTEM}/Processors`]: members(`${SYSTEM}/Processors/G`, `${SYSTEM}/Processors/1`, `${SYSTEM}/Processors/2`),
  [`${SYSTEM}/Processors/G`]: { ProcessorType: 'GPU', InstructionSet: null },
  [`${SYSTEM}/Processors/1`]: { InstructionSet: 'ARM-A64', Model: 'Anvil Core X', MaxSpeedMHz: 3000, TotalThreads: 24 },
  [`${SYSTEM}/Processors/2`]: { ProcessorType: 'CPU', InstructionSet: 'ARM-A64', TotalThreads: 24 },
  [`${SYSTEM}/Storage`]: members(`${SYSTEM}/Storage/RAID`),
  [`${SYSTEM}/Storage/RAID`]: {
    Id: 'RAID',
    Name: 'Controller',
    Drives: [link(`${SYSTEM}/Drives/1`), link(`${SYSTEM}/Drives/2`), link(`${SYSTEM}/Drives/gone`)],
    Volumes: link(`${SYSTEM}/Storage/RAID/Volumes`),
    StorageControllers: [
      { MemberId: '0', Name: 'PERC', SupportedRAIDTypes: ['RAID0', 'RAID1'], SpeedGbps: 12, Status: { Health: 'OK' } },
    ],
  },
  [`${SYSTEM}/Storage/RAID/Volumes`]: members(),
  [`${SYSTEM}/Drives/1`]: {
    Id: 'd1',
    Name: 'Disk 1',
    CapacityBytes: 500 * gib,
    MediaType: 'HDD',
    SerialNumber: 'D-1',
    Model: 'Spinner',
    Manufacturer: 'Disks',
    Protocol: 'SAS',
    Status: { Health: 'OK', State: 'Enabled', HealthRollup: 'Warning' },
  },
  [`${SYSTEM}/Drives/2`]: { Id: 'd2', Name: 'Card', CapacityBytes: 2 * gib, MediaType: 'SSD' },
  [`${SYSTEM}/SimpleStorage`]: members(`${SYSTEM}/SimpleStorage/1`),
  [`${SYSTEM}/SimpleStorage/1`]: { Devices: [{ Name: 'x', CapacityBytes: 100 * gib }] },
  [`${SYSTEM}/SecureBoot`]: { SecureBootCurrentBoot: 'Enabled', SecureBootEnable: true },
  [`${CHASSIS}/PCIeDevices/1`]: { PCIeFunctions: link(`${CHASSIS}/PCIeDevices/1/Functions`) },
  [`${CHASSIS}/PCIeDevices/1/Functions`]: members(`${CHASSIS}/PCIeDevices/1/Functions/0`),
  [`${CHASSIS}/PCIeDevices/1/Functions/0`]: {
    DeviceClass: 'DisplayController',
    VendorId: '0x10DE',
    DeviceId: '0x1eb8',
    RevisionId: null,
  },
  [CHASSIS]: { NetworkAdapters: link(`${CHASSIS}/NetworkAdapters`) },
  [`${CHASSIS}/NetworkAdapters`]: members(`${CHASSIS}/NetworkAdapters/1`),
  [`${CHASSIS}/NetworkAdapters/1`]: { Ports: link(`${CHASSIS}/NetworkAdapters/1/Ports`) },
  [`${CHASSIS}/NetworkAdapters/1/Ports`]: members(`${CHASSIS}/NetworkAdapters/1/Ports/P1`),
  [`${CHASSIS}/NetworkAdapters/1/Ports/P1`]: {
    Id: 'P1',
    Ethernet: {
      AssociatedMACAddresses: ['52:54:00:00:00:0A', null],
      LLDPReceive: { ChassisId: '52:54:00:00:AA:BB', PortId: 'Ethernet1/7', SystemName: 'sw', ManagementVlanId: 7 },
    },
  },
  [`${SYSTEM}/EthernetInterfaces`]: members(`${SYSTEM}/EthernetInterfaces/N1`, `${SYSTEM}/EthernetInterfaces/N2`),
  [`${SYSTEM}/EthernetInterfaces/N1`]: {
    Id: 'N1',
    MACAddress: '52:54:00:00:00:0A',
    SpeedMbps: 25_000,
    LinkStatus: 'LinkUp',
  },
  [`${SYSTEM}/EthernetInterfaces/N2`]: { Id: 'N2', MACAddress: 'none' },
}

/** A conductor over a BMC; the node is there, and inspected by its BMC. */
async function world(handle: (request: Request) => Promise<Response>, overrides: Overrides = {}) {
  const port = await openPort(handle)
  after(() => port[Symbol.asyncDispose]())
  const config = await loadConfig({
    overrides: {
      ...overrides,
      DEFAULT: { enabled_hardware_types: ['redfish'], enabled_inspect_interfaces: ['redfish', 'agent', 'no-inspect'] },
    },
  })
  const db = await openDatabase(':memory:')
  const registry = await loadRegistry(config)
  const portsChanged = async () => {}
  const conductor = createConductor({ db, config, registry, clock: systemClock, log: silent, portsChanged })
  await conductor.start()
  after(async () => {
    await conductor.stop()
    await db.destroy()
  })
  return {
    db,
    async inspected(properties: Record<string, unknown> = {}) {
      const uuid = await addNode(db, 'manageable', {
        driver: 'redfish',
        ...registry.interfacesFor('redfish', {}),
        properties,
        driver_info: driverInfoOf(port),
      })
      const node = async () => (await findNode(db, uuid)) ?? assert.fail('the node is gone')
      await conductor.provision(await node(), 'inspect', {}, caller)
      await eventually('the inspection ends', async () => (await node()).lease === null)
      return node()
    },
  }
}

test('the BMC tells what the machine is, and hooks and rules make of it what they make of other data', async () => {
  const w = await world(fakeBmc({ system, resources }).handle, {
    redfish: {
      inspection_hooks: [
        'validate-interfaces',
        'ports',
        'architecture',
        'accelerators',
        'root-device',
        'local-link-connection',
      ],
    },
  })
  const node = await w.inspected({ root_device: { serial: 'D-1' } })
  assert.equal(node.provision_state, 'manageable', node.last_error ?? '')
  assert.equal(node.inspect_interface, 'redfish')
  assert.deepEqual([node.boot_mode, node.secure_boot, node.power_state], ['uefi', true, null])
  const { accelerators, ...properties } = node.properties
  assert.deepEqual(properties, {
    root_device: { serial: 'D-1' },
    // Of the disk that the hints mean; the BMC's smallest one would be another.
    local_gb: 499,
    memory_mb: 65_536,
    capabilities: 'boot_mode:uefi',
    cpu_arch: 'aarch64',
  })
  assert.equal((accelerators as { device_info: string }[])[0]?.device_info, 'NVIDIA Corporation Tesla T4')
  const ports = await portsOf(w.db, node.uuid)
  assert.deepEqual(
    ports.map(port => [port.address, port.pxe_enabled]),
    [['52:54:00:00:00:0a', true]],
  )

  assert.deepEqual(ports[0]?.local_link_connection, {
    switch_id: '52:54:00:00:aa:bb',
    port_id: 'Ethernet1/7',
    switch_info: 'sw',
  })

  const { inventory, plugin_data } = (await findInventory(w.db, node.uuid)) as Record<string, Record<string, unknown>>
  const { storage_controllers, ...rest } = inventory ?? {}
  assert.deepEqual(rest, {
    cpu: { count: 48, architecture: 'aarch64', model_name: 'Anvil Core X', frequency: 3000, socket_count: 2 },
    memory: { physical_mb: 65_536 },
    disks: [
      { name: 'Disk 1', size: 500 * gib, serial: 'D-1', model: 'Spinner', vendor: 'Disks', rotational: true },
      { name: 'Card', size: 2 * gib, rotational: false },
    ],
    interfaces: [
      {
        mac_address: '52:54:00:00:00:0a',
        name: 'N1',
        speed_mbps: 25_000,
        has_carrier: true,
        lldp: [
          [1, '0452540000aabb'],
          [2, `05${Buffer.from('Ethernet1/7').toString('hex')}`],
          [5, Buffer.from('sw').toString('hex')],
        ],
      },
    ],
    pci_devices: [{ class: 'DisplayController', product_id: '0x1eb8', vendor_id: '0x10DE' }],
    system_vendor: {
      product_name: 'Anvil 9',
      serial_number: 'S-1',
      manufacturer: 'Acme',
      system_uuid: '5d3b6c1e-3d5c-4d0e-9a55-0a7d1f6f2b01',
    },
    boot: { current_boot_mode: 'uefi', secure_boot: true },
  })
  const [controller] = storage_controllers as Record<string, unknown>[]
  assert.deepEqual(
    [controller?.id, controller?.name, (controller?.drives as object[]).length],
    ['RAID', 'Controller', 2],
  )
  assert.deepEqual(controller?.storage_controllers, [
    {
      member_id: '0',
      name: 'PERC',
      raid_types: ['RAID0', 'RAID1'],
      speed_gbps: 12,
      controller_protocols: [],
      device_protocols: [],
      status: { health: 'OK' },
    },
  ])
  assert.deepEqual(plugin_data?.parsed_lldp, {
    P1: {
      switch_chassis_id: '52:54:00:00:AA:BB',
      switch_port_id: 'Ethernet1/7',
      switch_system_name: 'sw',
      switch_vlan_id: 7,
    },
  })
})

test('local_gb is of the smallest disk that holds a system, and what people set stays', async () => {
  const w = await world(fakeBmc({ system, resources }).handle)
  const node = await w.inspected({ capabilities: 'boot_mode:bios' })
  assert.deepEqual([node.properties.local_gb, node.properties.capabilities], [99, 'boot_mode:bios'])
})

test('a machine of the lab is inspected by its emulated BMC', async () => {
  const hardware = new FakeHardware()
  const account = { username: 'admin', password: 'correct horse' }
  const w = await world(redfishService({ hardware, account, now: () => Date.now() }))
  const node = await w.inspected()
  assert.equal(node.provision_state, 'manageable', node.last_error ?? '')
  assert.deepEqual(node.properties, {
    local_gb: 7,
    memory_mb: 2048,
    capabilities: 'boot_mode:uefi',
    cpu_arch: 'x86_64',
  })
  assert.deepEqual(
    (await portsOf(w.db, node.uuid)).map(port => port.address),
    hardware.facts.nics.map(nic => nic.mac),
  )
  assert.equal(hardware.power(), 'Off')
  assert.deepEqual(hardware.resets, [])
})

test('a BMC that tells little leaves what is known, and says what is missing', async () => {
  const resources = {
    [`${SYSTEM}/EthernetInterfaces`]: members(`${SYSTEM}/E/1`),
    [`${SYSTEM}/E/1`]: { Id: 'a', MACAddress: '52:54:00:00:00:01' },
  }
  const w = await world(fakeBmc({ resources }).handle)
  const known = await w.inspected({ memory_mb: 1, cpu_arch: 'x86_64' })
  assert.equal(known.provision_state, 'manageable', known.last_error ?? '')
  assert.deepEqual(known.properties, { memory_mb: 1, cpu_arch: 'x86_64', local_gb: 0, capabilities: 'boot_mode:uefi' })
  const missing = await w.inspected()
  assert.equal(missing.provision_state, 'inspect failed')
  assert.match(missing.last_error ?? '', /does not tell memory_mb, cpu_arch; expected properties to have them/)
})

test('odd values hide themselves and nothing else', async () => {
  const odd = {
    Model: 7,
    MemorySummary: 'much',
    ProcessorSummary: [],
    Processors: link('/nowhere'),
    Storage: link('/nowhere/either'),
    SimpleStorage: 'x',
    PCIeDevices: [null, 5, { a: 1 }],
    UUID: {},
    SecureBoot: null,
  }
  const resources = {
    [`${SYSTEM}/EthernetInterfaces`]: members(`${SYSTEM}/E/1`),
    [`${SYSTEM}/E/1`]: { Id: 'a', MACAddress: '52:54:00:00:00:01', SpeedMbps: 'fast' },
  }
  const { Model: _, ...shown } = odd
  const w = await world(fakeBmc({ system: shown, resources }).handle)
  const node = await w.inspected({ memory_mb: 1, cpu_arch: 'x86_64' })
  assert.equal(node.provision_state, 'manageable', node.last_error ?? '')
  const { inventory } = (await findInventory(w.db, node.uuid)) as { inventory: Record<string, unknown> }
  assert.deepEqual(inventory.interfaces, [{ mac_address: '52:54:00:00:00:01', name: 'a' }])
  assert.deepEqual(inventory.cpu, { count: 0, architecture: '' })
})

test('a BMC that refuses fails the inspection with its words', async () => {
  const w = await world(fakeBmc({ password: 'another' }).handle)
  const node = await w.inspected()
  assert.equal(node.provision_state, 'inspect failed')
  assert.match(node.last_error ?? '', /401|credentials|password/i)
})
