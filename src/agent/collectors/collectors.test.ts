import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { Value } from 'typebox/value'
import { InspectionData, type NetworkInterface } from '#protocol/agent.ts'
import { fakePrograms } from '../fake-programs.ts'
import { selectHardware } from '../hardware/dispatch.ts'
import { genericManager } from '../hardware/generic.ts'
import { fastestMode, infinibandOf } from '../hardware/network-interfaces.ts'
import { testContext } from '../hardware/test-run.ts'
import { collect } from './collectors.ts'
import { macOf, waitForAddresses } from './default.ts'
import { parseDmi } from './dmi.ts'
import { numaTopology } from './numa-topology.ts'
import { pciDevices } from './pci-devices.ts'
import { usbDevices } from './usb-devices.ts'

const dir = mkdtempSync(join(tmpdir(), 'ferrite-collect-'))
after(() => rmSync(dir, { recursive: true }))

/** Files below a folder of this test, by path. */
function tree(name: string, files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name, path)), { recursive: true })
    writeFileSync(join(dir, name, path), text)
  }
  return join(dir, name)
}

const signal = new AbortController().signal

const dmidecode = `# dmidecode 3.4
Getting SMBIOS data from sysfs.

Handle 0x0000, DMI type 0, 26 bytes
BIOS Information
\tVendor: Acme
\tVersion: 1.2
\tCharacteristics:
\t\tPCI is supported
\t\tBIOS is upgradeable

Handle 0x0400, DMI type 4, 48 bytes
Processor Information
\tSocket Designation: CPU 0
\tCore Count: 8

Handle 0x1000, DMI type 16, 23 bytes
Physical Memory Array
\tLocation: System Board Or Motherboard
\tNumber Of Devices: 2

Handle 0x1001, DMI type 16, 23 bytes
Physical Memory Array
\tNumber Of Devices: 4

Handle 0x1100, DMI type 17, 92 bytes
Memory Device
\tSize: 16 GB

Handle 0x7F00, DMI type 127, 4 bytes
End Of Table
`

test('all collectors at once give data that the protocol knows, within the time that inspections have', async () => {
  const fakes = await fakePrograms()
  try {
    fakes.add('dmidecode', args => (args.length > 2 ? dmidecode : '\tSize: 16 GB\n\tSize: 512 MB\n'))
    const context = testContext({ devices: [], stateDir: dir, options: { lldpTimeoutMs: 100 } })
    const hardware = await selectHardware(context, [genericManager(context)])
    const names = ['default', 'pci-devices', 'usb-devices', 'extra-hardware', 'dmi-decode', 'lldp', 'nonsense', 'logs']
    const startedAt = performance.now()
    const data = await collect(names, { context, hardware, signal })
    assert.ok(performance.now() - startedAt < 20_000)
    assert.ok(Value.Check(InspectionData, data), JSON.stringify([...Value.Errors(InspectionData, data)]))
    const keys = ['boot_interface', 'configuration', 'data', 'dmi', 'error', 'inventory', 'lldp_raw', 'logs']
    assert.deepEqual(Object.keys(data).sort(), [...keys, 'pci_devices', 'usb_devices'])
    assert.match(
      data.error ?? '',
      /^The following errors were encountered:\n\* nonsense: no such collector; there are default/,
    )
    assert.equal(data.inventory.memory.physical_mb, 16 * 1024 + 512)
    const facts = (data as unknown as { data: [string, string, string, unknown][] }).data // of extra-hardware
    const fact = (...path: string[]) => facts.find(one => path.every((part, index) => one[index] === part))?.[3]
    assert.equal(fact('cpu', 'logical', 'number'), data.inventory.cpu.count)
    assert.equal(fact('memory', 'total', 'size'), (16 * 1024 + 512) * 1024 ** 2)
    const [card] = data.inventory.interfaces
    assert.equal(fact('network', card?.name ?? '', 'serial'), card?.mac_address)
  } finally {
    await fakes.remove()
  }
})

test('a collector that fails costs its own keys alone; hardware-detect is asked where it is there', async () => {
  const fakes = await fakePrograms()
  try {
    fakes.add('hardware-detect', args => JSON.stringify([['cpu', 'logical', 'bogomips', args.join(' ')]]))
    fakes.add('dmidecode', () => {
      throw new Error('/dev/mem: Operation not permitted')
    })
    const context = testContext({ devices: [], stateDir: dir, options: { benchmarks: ['cpu', 'mem'] } })
    const hardware = await selectHardware(context, [genericManager(context)])
    const data = await collect(['dmi-decode', 'extra-hardware'], { context, hardware, signal })
    assert.match(String(data.error), /\* dmi-decode: .*Operation not permitted/)
    assert.deepEqual(data.data, [['cpu', 'logical', 'bogomips', '--benchmark cpu mem']])
  } finally {
    await fakes.remove()
  }
  const context = testContext({ devices: [], stateDir: dir, options: { benchmarks: ['cpu'] } })
  const hardware = await selectHardware(context, [genericManager(context)])
  const data = await collect(['extra-hardware'], { context, hardware, signal })
  assert.match(String(data.error), /benchmarks \(cpu\) take the program hardware-detect/)
})

test('SMBIOS: sections under their own labels, slots of all arrays added up', () => {
  const { bios, cpu, memory } = parseDmi(dmidecode)
  assert.deepEqual(bios, {
    Handle: 'Handle 0x0000, DMI type 0, 26 bytes',
    Vendor: 'Acme',
    Version: '1.2',
    Characteristics: ['PCI is supported', 'BIOS is upgradeable'],
  })
  assert.equal(cpu.length, 1)
  assert.deepEqual(memory, {
    Location: 'System Board Or Motherboard',
    'Number Of Devices': 6,
    devices: [{ Handle: 'Handle 0x1100, DMI type 17, 92 bytes', Size: '16 GB' }],
  })
  assert.deepEqual(parseDmi('nothing'), { bios: {}, cpu: [], memory: { devices: [] } })
})

test('NUMA: memory, cores with their threads, cards; one odd value is an error', async () => {
  const nodes = tree('node', {
    'node0/meminfo': 'Node 0 MemTotal:       16329404 kB\nNode 0 MemFree: 5 kB\n',
    'node0/cpu0/topology/core_id': '0\n',
    'node0/cpu1/topology/core_id': '1\n',
    'node0/cpu10/topology/core_id': '0\n',
    'node1/meminfo': 'Node 1 MemTotal:       5 kB\n',
    'node1/cpu2/topology/core_id': '0\n',
    'node1/cpulist': '2\n',
    possible: '0-1\n',
  })
  const nics = tree('net', { 'eno1/device/numa_node': '1\n', 'eno2/device/numa_node': '-1\n', 'lo/address': 'x' })
  assert.deepEqual(await numaTopology({ nodes, nics }), {
    ram: [
      { numa_node: 0, size_kb: 16329404 },
      { numa_node: 1, size_kb: 5 },
    ],
    cpus: [
      { cpu: 0, numa_node: 0, thread_siblings: [0, 10] },
      { cpu: 1, numa_node: 0, thread_siblings: [1] },
      { cpu: 0, numa_node: 1, thread_siblings: [2] },
    ],
    nics: [
      { name: 'eno1', numa_node: 1 },
      { name: 'eno2', numa_node: -1 },
    ],
  })
  tree('net', { 'eno2/device/numa_node': 'none\n' })
  await assert.rejects(numaTopology({ nodes, nics }), /eno2\/device\/numa_node: found "none"/)
  tree('node', { 'node1/meminfo': 'Node 1 MemFree: 5 kB\n' })
  await assert.rejects(numaTopology({ nodes, nics }), /meminfo does not say MemTotal/)
})

test('PCI and USB devices as the kernel has them', async () => {
  const pci = tree('pci', {
    '0000:01:00.0/vendor': '0x8086\n',
    '0000:01:00.0/device': '0x1521\n',
    '0000:01:00.0/class': '0x020000\n',
    '0000:01:00.0/revision': '0x01\n',
    '0000:01:00.0/numa_node': '0\n',
  })
  assert.deepEqual(await pciDevices(pci), [
    {
      ...{ vendor_id: '8086', product_id: '1521', class: '020000', revision: '01' },
      ...{ bus: '0000:01:00.0', numa_node_id: '0', driver: null },
    },
  ])
  const usb = tree('usb', {
    'usb1/bDeviceClass': '09\n',
    '1-1/bDeviceClass': '00\n',
    '1-1/product': 'Virtual Keyboard\n',
    '1-1/manufacturer': 'Acme\n',
    '1-1/busnum': '1\n',
    '1-1/devnum': '4\n',
    '1-1:1.0/bInterfaceClass': '03\n',
    '1-2/bDeviceClass': 'ff\n',
    '1-2/idVendor': '0b1f\n',
    '1-2/idProduct': '03ee\n',
    '1-2/busnum': '1\n',
    '1-2/devnum': '5\n',
  })
  assert.deepEqual(await usbDevices(usb), [
    { product: 'Virtual Keyboard', vendor: 'Acme', handle: 'USB:1:4' },
    { product: '03ee', vendor: '0b1f', handle: 'USB:1:5' },
  ])
  assert.deepEqual([await pciDevices(join(dir, 'none')), await usbDevices(join(dir, 'none'))], [[], []])
})

test('addresses are waited for: the boot card, or all, or nobody, and not for ever', async () => {
  assert.equal(macOf('01-52-54-00-5E-09-ff'), '52:54:00:5e:09:ff')
  assert.equal(macOf('52:54:00:5e:09:ff'), '52:54:00:5e:09:ff')
  let polls = 0
  // Names, MACs and addresses alone are read.
  const cards = (addresses: (string | null)[]) =>
    addresses.map((ipv4_address, index) => ({
      name: `eno${index}`,
      mac_address: `00:00:00:00:00:0${index}`,
      ipv4_address,
    }))
  const list = async () => cards(++polls < 3 ? [null, null] : ['192.0.2.1', null]) as NetworkInterface[]
  const wait = (dhcpWaitMs: number, bootInterface: string | null, dhcpAllInterfaces = false) => {
    polls = 0
    return waitForAddresses({ dhcpWaitMs, bootInterface, dhcpAllInterfaces }, signal, list)
  }
  assert.deepEqual(await wait(30_000, '01-00-00-00-00-00-00'), [])
  assert.equal(polls, 3)
  assert.deepEqual(await wait(20, '01-00-00-00-00-00-01'), ['eno1'])
  assert.deepEqual(await wait(40, null, true), ['eno0', 'eno1'])
  for (const [limitMs, boot] of [
    [0, '01-00-00-00-00-00-00'],
    [30_000, null],
    [30_000, '01-00-00-00-00-00-09'],
  ] as const) {
    assert.deepEqual(await wait(limitMs, boot), [])
    assert.ok(polls <= 1)
  }
})

test('speeds and InfiniBand addresses', () => {
  const modes = (lines: string) =>
    `Settings for eno1:\n\tSupported ports: [ TP ]\n\tSupported link modes:   ${lines}\n\tSupported pause frame use: No\n\tAdvertised link modes:  100000baseCR4/Full\n`
  assert.equal(fastestMode(modes('10baseT/Half 10baseT/Full\n\t                        1000baseT/Full')), 1000)
  assert.equal(fastestMode(modes('Not reported')), null)
  assert.equal(fastestMode(''), null)
  assert.deepEqual(infinibandOf('a0:00:02:20:fe:80:00:00:00:00:00:00:7c:fe:90:03:00:29:26:52'), {
    mac: '7c:fe:90:29:26:52',
    clientId: 'ff:00:00:00:00:00:02:00:00:02:c9:00:7c:fe:90:03:00:29:26:52',
  })
  assert.equal(infinibandOf('52:54:00:5e:09:ff'), null)
})
