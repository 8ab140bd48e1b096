/** Inspection hooks over what machines told: what becomes of properties, ports and plugin data, and what is refused. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { addNode } from '#conductor/test-engine.ts'
import { loadConfig, type Overrides } from '#config/load.ts'
import { findFound, writeFound } from '#db/inspections.ts'
import { findNode, type NodePatch, writeInventory } from '#db/nodes.ts'
import { portsOf, updatePort } from '#db/ports.ts'
import { freshDatabase } from '#db/test-database.ts'
import { Fault } from '#lib/fault.ts'
import { silent } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowContext } from '../driver.ts'
import { checkHooks, hookNames, runHooks } from './hooks.ts'
import { addPort } from './ports.ts'

const eth = (at: number, more: object = {}) => ({
  name: `eth${at}`,
  mac_address: `52:54:00:00:00:0${at}`,
  ipv4_address: null,
  ipv6_address: null,
  ...more,
})
const inventory = {
  interfaces: [
    { name: 'lo', mac_address: '02:00:00:00:00:77', ipv4_address: '127.0.0.1' },
    eth(1, { ipv4_address: '192.0.2.11', client_id: 'ff:01' }),
    eth(2, { ipv6_address: '2001:db8::2%eth2', mac_address: '52:54:00:00:00:02'.toUpperCase() }),
    eth(3),
    { name: 'bad', mac_address: 'none' },
    { name: '', mac_address: '52:54:00:00:00:09' },
  ],
  cpu: { architecture: 'x86_64', count: 4, flags: ['vmx', 'aes', 'sse'] },
  memory: { physical_mb: 4096, total: 4_000_000_000 },
  disks: [
    { name: '/dev/sda', size: 10 * 2 ** 30, serial: 's-a', rotational: true, wwn: 'w-a' },
    { name: '/dev/sdb', size: 20 * 2 ** 30, serial: 's-b', rotational: false, wwn: 'w-b' },
  ],
  boot: { current_boot_mode: 'uefi', pxe_interface: '01-52-54-00-00-00-01' },
}

interface Given {
  hooks: string[]
  inventory?: unknown
  pluginData?: Record<string, unknown>
  properties?: Record<string, unknown>
  config?: Overrides
  previous?: Record<string, unknown>
  ports?: { address: string; pxe_enabled?: boolean }[]
}

/** Runs hooks over one machine, in a database of its own. */
async function inspected(given: Given) {
  const db = await freshDatabase()
  after(() => db.destroy())
  const uuid = await addNode(db, 'inspecting', { properties: given.properties ?? {} })
  for (const port of given.ports ?? []) await addPort({ db, log: silent }, uuid, port, 0)
  if (given.previous) await writeInventory(db, uuid, { inventory: given.previous, plugin_data: {} })
  const data = {
    inventory: (given.inventory ?? inventory) as Record<string, unknown>,
    plugin_data: given.pluginData ?? {},
  }
  await writeFound(db, uuid, data, timestamp(0))
  const config = await loadConfig({ overrides: given.config ?? {} })
  const list = { option: '[inspector] hooks', names: given.hooks }
  checkHooks(list, config)
  const node = await findNode(db, uuid)
  let properties = node?.properties ?? {}
  const flow = {
    write: async (patch: NodePatch) => {
      properties = patch.properties ?? properties
    },
  }
  const clock = { now: () => 0 }
  // All that hooks look at.
  const ctx = { db, node, config, log: silent, clock, flow, portsChanged: async () => {} } as unknown as FlowContext
  await runHooks(ctx, list)
  const once = JSON.stringify([properties, await portsOf(db, uuid)])
  // A conductor may die before the step is recorded.
  await runHooks({ ...ctx, node: { ...ctx.node, properties } }, list)
  const ports = await portsOf(db, uuid)
  assert.equal(JSON.stringify([properties, ports]), once)
  const pluginData = (await findFound(db, uuid))?.plugin_data ?? {}
  return { db, uuid, properties, pluginData, ports, ctx, list }
}

const usual = ['ramdisk-error', 'validate-interfaces', 'ports', 'architecture']
const addresses = (ports: readonly { address: string; pxe_enabled: boolean }[]) =>
  ports.map(port => `${port.address.slice(-1)}${port.pxe_enabled ? ' pxe' : ''}`)

test('the usual hooks: a port for the interface that booted, and the architecture', async () => {
  const { properties, ports, pluginData } = await inspected({ hooks: usual })
  assert.deepEqual(properties, { cpu_arch: 'x86_64' })
  assert.deepEqual(addresses(ports), ['1 pxe'])
  assert.deepEqual(ports[0]?.extra, { 'client-id': 'ff:01' })
  const { all_interfaces: all, valid_interfaces: valid, macs } = pluginData as Record<string, Record<string, object>>
  assert.deepEqual(Object.keys(all ?? {}), ['lo', 'eth1', 'eth2', 'eth3'])
  assert.deepEqual(Object.keys(valid ?? {}), ['eth1'])
  assert.deepEqual(macs, ['52:54:00:00:00:01'])
  assert.deepEqual(all?.eth2, { ...eth(2), ipv6_address: '2001:db8::2', pxe_enabled: false })
})

test('add_ports says for which interfaces ports are made', async () => {
  const made = async (add_ports: 'all' | 'active' | 'pxe' | 'disabled', more: Partial<Given> = {}) =>
    addresses((await inspected({ hooks: usual, config: { inspector: { add_ports } }, ...more })).ports)
  assert.deepEqual(await made('all'), ['1 pxe', '2', '3'])
  assert.deepEqual(await made('active'), ['1 pxe', '2'])
  assert.deepEqual(await made('disabled'), [])
  // Nobody knows which one booted.
  assert.deepEqual(await made('pxe', { inventory: { ...inventory, boot: {} } }), ['1 pxe', '2 pxe', '3 pxe'])
  assert.deepEqual(
    await made('pxe', { inventory: { ...inventory, boot: {} }, pluginData: { boot_interface: '52:54:00:00:00:03' } }),
    ['3 pxe'],
  )
})

test('keep_ports says which ports stay, and those follow what was found', async () => {
  const ports = [
    { address: '52:54:00:00:00:01', pxe_enabled: false },
    { address: '52:54:00:00:00:02' },
    { address: '52:54:00:00:00:08' },
  ]
  const kept = async (inspector: object) =>
    addresses((await inspected({ hooks: usual, config: { inspector }, ports })).ports)
  assert.deepEqual(await kept({ keep_ports: 'all' }), ['1 pxe', '2', '8'])
  assert.deepEqual(await kept({ keep_ports: 'present' }), ['1 pxe', '2'])
  assert.deepEqual(await kept({ keep_ports: 'added' }), ['1 pxe'])
  assert.deepEqual(await kept({ keep_ports: 'all', update_pxe_enabled: false }), ['1', '2 pxe', '8 pxe'])
})

test('a MAC address that another node has is left to it', async () => {
  const { db, uuid, ctx, list } = await inspected({ hooks: usual, config: { inspector: { add_ports: 'active' } } })
  const other = await addNode(db, 'inspecting')
  const theirs = {
    ...inventory,
    interfaces: [eth(1, { ipv4_address: '192.0.2.1' }), eth(5, { ipv4_address: '192.0.2.5' })],
  }
  await writeFound(db, other, { inventory: theirs, plugin_data: {} }, timestamp(0))
  await runHooks({ ...ctx, node: { ...ctx.node, uuid: other } }, list)
  assert.deepEqual(
    (await portsOf(db, other)).map(port => port.address),
    ['52:54:00:00:00:05'],
  )
  assert.equal((await portsOf(db, uuid)).length, 2)
})

test('facts become properties and capabilities', async () => {
  const { properties } = await inspected({
    hooks: ['memory', 'cpus', 'boot-mode', 'cpu-capabilities', 'pci-devices', 'accelerators'],
    properties: { capabilities: 'boot_mode:bios,mine:1', memory_mb: 1 },
    pluginData: {
      pci_devices: [
        { vendor_id: '10de', product_id: '1eb8', bus: '0000:01:00.0' },
        { vendor_id: '8086', product_id: '1572', bus: '0000:02:00.0' },
        { vendor_id: '8086', product_id: '1572', bus: '0000:02:00.1' },
      ],
    },
    config: {
      inspector: {
        pci_device_alias: [
          '{"vendor_id": "8086", "product_id": "1572", "name": "x710"}',
          '{"vendor_id": "8086", "product_id": "ffff", "name": "none"}',
        ],
      },
    },
  })
  const accelerator = { vendor_id: '10de', device_id: '1eb8', type: 'GPU', device_info: 'NVIDIA Corporation Tesla T4' }
  assert.deepEqual(properties, {
    capabilities: 'boot_mode:uefi,mine:1,cpu_vt:true,cpu_aes:true,x710:2',
    memory_mb: 4096,
    cpus: 4,
    accelerators: [{ ...accelerator, pci_address: '0000:01:00.0' }],
  })
})

test('facts that were not found leave what is known', async () => {
  const hooks = [
    'memory',
    'cpus',
    'boot-mode',
    'cpu-capabilities',
    'pci-devices',
    'accelerators',
    'extra-hardware',
    'parse-lldp',
  ]
  const odd = { interfaces: 'none', cpu: [], memory: { physical_mb: null }, boot: 7, disks: { a: 1 } }
  const { properties, pluginData } = await inspected({ hooks, inventory: odd, properties: { memory_mb: 1 } })
  assert.deepEqual([properties, pluginData], [{ memory_mb: 1 }, {}])
})

test('the root disk is the one that hints mean, and its size is local_gb', async () => {
  const sized = async (properties: object, inspector: object = {}, pluginData: object = {}) => {
    const given = { properties: { ...properties }, config: { inspector }, pluginData: { ...pluginData } }
    const found = await inspected({ hooks: ['root-device'], ...given })
    const disk = found.pluginData.root_disk as { name?: string } | undefined // as the hook wrote it
    assert.equal(found.pluginData.local_gb, found.properties.local_gb)
    return [disk?.name, found.properties.local_gb]
  }
  assert.deepEqual(await sized({ root_device: { serial: 's-b' } }), ['/dev/sdb', 19])
  assert.deepEqual(await sized({ root_device: { size: '>= 5' }, skip_block_devices: [{ name: '/dev/sda' }] }), [
    '/dev/sdb',
    19,
  ])
  assert.deepEqual(await sized({ root_device: { wwn: 'w-a' } }, { disk_partitioning_spacing: false }), ['/dev/sda', 10])
  assert.deepEqual(await sized({}, {}, { root_disk: { name: '/dev/sdz', size: 3 * 2 ** 30 } }), ['/dev/sdz', 2])
  assert.deepEqual(await sized({}), [undefined, 0])
  await assert.rejects(
    sized({ root_device: { serial: 'x' } }),
    /hook root-device: no disk fits .*found \/dev\/sda, \/dev\/sdb/,
  )
  await assert.rejects(sized({ root_device: { colour: 'red' } }), /Cannot read root device hint colour/)
})

test('the disk that is new since the inspection before is the root device', async () => {
  const before = { disks: [{ serial: 's-a' }] }
  const hinted = async (given: Partial<Given>) =>
    (await inspected({ hooks: ['raid-device'], ...given })).properties.root_device
  assert.deepEqual(await hinted({ previous: before }), { serial: 's-b' })
  assert.equal(await hinted({}), undefined)
  assert.equal(await hinted({ previous: { disks: [] } }), undefined)
  assert.deepEqual(await hinted({ previous: before, properties: { root_device: { name: 'x' } } }), { name: 'x' })
})

test('extra hardware becomes an object', async () => {
  const data = [
    ['cpu', 'logical', 'number', '8'],
    ['disk', 'sda', 'vendor', 'x'],
    [],
    ['cpu', 'logical', 'more', 1.5],
    ['__proto__', 'a', 'b', 'c'],
  ]
  const extra = async (value: unknown, strict = false) =>
    (
      await inspected({
        hooks: ['extra-hardware'],
        pluginData: { data: value },
        config: { inspector: { extra_hardware_strict: strict } },
      })
    ).pluginData
  assert.deepEqual(await extra(data), {
    extra: { cpu: { logical: { number: 8, more: 1 } }, disk: { sda: { vendor: 'x' } } },
  })
  assert.deepEqual(await extra('text'), { data: 'text' })
  assert.deepEqual(await extra(data, true), {})
})

test('ports get the physical network of their address', async () => {
  const physical_network_cidr_map = ['192.0.2.0/24:four', '2001:db8::/32:six']
  const { ports } = await inspected({
    hooks: [...usual, 'physical-network'],
    config: { inspector: { add_ports: 'all', physical_network_cidr_map } },
  })
  assert.deepEqual(
    ports.map(port => port.physical_network),
    ['four', 'six', null],
  )
})

const text = (value: string) => Buffer.from(value).toString('hex')
const lldp = [
  [1, '0452540000aabb'],
  [2, `05${text('Ethernet1/7')}`],
  [3, '0078'],
  [5, text('switch-1')],
  [127, '0080c2010064'],
]

test('LLDP becomes plugin data and local link connections, and what is known stays', async () => {
  const interfaces = [
    eth(1, { lldp }),
    eth(2, {
      lldp: [
        [1, '0756'],
        [2, 'zz'],
      ],
    }),
    eth(3),
  ]
  const found = await inspected({
    hooks: [...usual, 'parse-lldp', 'local-link-connection'],
    inventory: { ...inventory, interfaces },
    pluginData: { lldp_raw: { eth3: [[5, text('raw')]] } },
    config: { inspector: { add_ports: 'all' } },
  })
  assert.deepEqual(found.pluginData.parsed_lldp, {
    eth1: {
      switch_chassis_id: '52:54:00:00:aa:bb',
      switch_port_id: 'Ethernet1/7',
      switch_system_name: 'switch-1',
      switch_port_untagged_vlan_id: 100,
    },
    eth2: { switch_chassis_id: 'V' },
    eth3: { switch_system_name: 'raw' },
  })
  assert.deepEqual(
    found.ports.map(port => port.local_link_connection),
    [{ switch_id: '52:54:00:00:aa:bb', port_id: 'Ethernet1/7', switch_info: 'switch-1' }, {}, { switch_info: 'raw' }],
  )
  const [first] = found.ports
  await updatePort(found.db, first?.uuid ?? '', { local_link_connection: { port_id: 'mine' } }, 0)
  await runHooks(found.ctx, found.list)
  assert.deepEqual((await portsOf(found.db, found.uuid))[0]?.local_link_connection, {
    port_id: 'mine',
    switch_id: '52:54:00:00:aa:bb',
    switch_info: 'switch-1',
  })
})

test('all that fails before the hooks run is told at once, then the first failure ends it', async () => {
  const given = { hooks: usual, inventory: { interfaces: [] }, pluginData: { error: 'no disk' } }
  await assert.rejects(
    inspected(given),
    /hook ramdisk-error: the ramdisk reports: no disk; hook validate-interfaces: no network interface/,
  )
  const { cpu: _, ...without } = inventory
  await assert.rejects(
    inspected({ hooks: usual, inventory: without }),
    /hook architecture: the inventory has no cpu.architecture/,
  )
  await assert.rejects(
    inspected({ hooks: ['memory'], inventory: { memory: 7 } }),
    /hook memory: the inventory has no memory.physical_mb/,
  )
  const onlyLoopback = { ...inventory, interfaces: inventory.interfaces.slice(0, 1) }
  await assert.rejects(
    inspected({ hooks: usual, inventory: onlyLoopback }),
    /none of the network interfaces lo is one that \[inspector\] add_ports = pxe/,
  )
})

test('lists of hooks that cannot work are refused when the service starts', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-hooks-'))
  after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'known.yaml')
  const check = async (names: string[], inspector: object = {}) =>
    checkHooks({ option: '[inspector] hooks', names }, await loadConfig({ overrides: { inspector: { ...inspector } } }))
  await assert.rejects(
    check(['port']),
    /Cannot use \[inspector\] hooks: there is no inspection hook "port" \(did you mean ports\?\)/,
  )
  await assert.rejects(check(['ports', 'validate-interfaces']), /the hook ports needs validate-interfaces before it/)
  await assert.rejects(
    check(['pci-devices'], { pci_device_alias: ['{"vendor_id": 1}'] }),
    /pci_device_alias: found \{"vendor_id": 1\}/,
  )
  const map = ['validate-interfaces', 'physical-network']
  await assert.rejects(check(map, { physical_network_cidr_map: ['192.0.2.0/99:x'] }), /expected NETWORK\/BITS:NAME/)
  await assert.rejects(
    check(['accelerators'], { known_accelerators: join(folder, 'none') }),
    /known_accelerators .*ENOENT/,
  )
  for (const [content, why] of [
    ['a: 1', /expected pci_devices to be a list/],
    ['pci_devices: [{vendor_id: "10de"}]', /device 1 lacks vendor_id or device_id/],
  ] as const) {
    await writeFile(file, content)
    await assert.rejects(check(['accelerators'], { known_accelerators: file }), why)
  }
  await writeFile(file, 'pci_devices: [{vendor_id: "1234", device_id: "abcd", type: FPGA}]')
  const { properties } = await inspected({
    hooks: ['accelerators'],
    pluginData: { pci_devices: [{ vendor_id: '1234', product_id: 'abcd', bus: '1' }] },
    config: { inspector: { known_accelerators: file } },
  })
  assert.deepEqual(properties.accelerators, [{ vendor_id: '1234', device_id: 'abcd', type: 'FPGA', pci_address: '1' }])
})

test('nothing that a machine could post is too odd: hooks make something of it, or say what is missing', async () => {
  const db = await freshDatabase()
  after(() => db.destroy())
  const config = await loadConfig({ overrides: { inspector: { physical_network_cidr_map: ['192.0.2.0/24:x'] } } })
  const uuid = await addNode(db, 'inspecting', { properties: { root_device: { size: '>= 1' } } })
  const odd = fc.oneof(
    fc.json().map(text => JSON.parse(text)),
    fc.constantFrom(null, '', 'eth0', 7, true, [], {}),
  )
  const like = (key: string) =>
    fc.oneof({ weight: 3, arbitrary: fc.constant((inventory as Record<string, unknown>)[key]) }, odd)
  const card = fc.record(
    {
      name: fc.oneof(fc.constantFrom('eth0', '__proto__', 'constructor'), odd),
      mac_address: fc.oneof(fc.constantFrom(mac(1), mac(2)), odd),
      ipv4_address: odd,
      ipv6_address: odd,
      client_id: odd,
      lldp: odd,
    },
    { requiredKeys: [] },
  )
  const posted = fc.record({
    interfaces: fc.oneof(fc.array(fc.oneof(card, odd)), odd),
    cpu: like('cpu'),
    memory: like('memory'),
    disks: like('disks'),
    boot: like('boot'),
  })
  const names = ['pci_devices', 'lldp_raw', 'data', 'extra', 'root_disk', 'error', 'boot_interface', '__proto__']
  const plugin = fc.dictionary(fc.constantFrom(...names), odd)
  await fc.assert(
    fc.asyncProperty(
      posted,
      plugin,
      fc.shuffledSubarray(hookNames.filter(name => name !== 'validate-interfaces')),
      async (found, plugin_data, rest) => {
        await writeFound(db, uuid, { inventory: found, plugin_data }, timestamp(0))
        const flow = { write: async () => {} }
        const node = await findNode(db, uuid)
        // All that hooks look at.
        const ctx = { db, node, config, log: silent, clock: { now: () => 0 }, flow, portsChanged: async () => {} }
        const list = { option: 'x', names: ['validate-interfaces', ...rest] }
        await runHooks(ctx as unknown as FlowContext, list).catch(error => {
          if (!(error instanceof Fault)) throw error
        })
      },
    ),
    { numRuns: 400 },
  )
})

const mac = (at: number) => `52:54:00:00:00:0${at}`
