/** From options to a lab's description and to QEMU's command line. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, it } from 'node:test'
import { Value } from 'typebox/value'
import { type PlanOptions, planLab } from './plan.ts'
import { bootOrder, qemuArguments } from './qemu.ts'
import { LabState } from './state.ts'

const options: PlanOptions = { name: 'lab', directory: '/var/lab/x', nodes: 3, accelerator: 'tcg', powerDelayMs: 0 }

describe('planLab', () => {
  it('makes a state that its own schema takes, with a certificate for each BMC', () => {
    const { state, files } = planLab({ ...options, nics: 2, disks: [{ bus: 'scsi' }, { bus: 'nvme', sizeGib: 0.5 }] })
    assert.ok(Value.Check(LabState, JSON.parse(JSON.stringify(state))))
    for (const { bmc } of state.machines) {
      const certificate = new X509Certificate(files.get(bmc.certificate_file) ?? '')
      assert.equal(certificate.checkIP(bmc.address), bmc.address)
      assert.equal(certificate.fingerprint256.replaceAll(':', '').toLowerCase(), bmc.certificate_sha256)
    }
    assert.deepEqual(
      state.machines[0]?.disks.map(disk => disk.size_bytes),
      [8 * 1024 ** 3, 512 * 1024 ** 2],
    )
  })

  it('gives nothing twice, within a lab and between labs', () => {
    const machines = [planLab({ ...options, nics: 2 }), planLab({ ...options, nics: 2 })].flatMap(
      lab => lab.state.machines,
    )
    const all = {
      macs: machines.flatMap(machine => machine.nics.map(nic => nic.mac)),
      uuids: machines.map(machine => machine.uuid),
      passwords: machines.map(machine => machine.bmc.password),
      fingerprints: machines.map(machine => machine.bmc.certificate_sha256),
    }
    for (const [what, values] of Object.entries(all)) assert.equal(new Set(values).size, values.length, what)
    for (const mac of all.macs) assert.match(mac, /^52:54(:[0-9a-f]{2}){4}$/)
    const [first, second] = ['/a', '/b'].map(directory => planLab({ ...options, directory }).state.namespace)
    assert.notEqual(first, second)
  })

  it('lets single machines differ', () => {
    const machines = [{ firmware: 'bios' as const }, {}, { memoryMb: 512 }]
    const { state } = planLab({ ...options, memoryMb: 2048, machines })
    assert.deepEqual(
      state.machines.map(machine => [machine.firmware, machine.memory_mb]),
      [
        ['bios', 2048],
        ['uefi', 2048],
        ['uefi', 512],
      ],
    )
  })

  it('refuses what cannot be, naming it', () => {
    const wrong: [Partial<PlanOptions>, RegExp][] = [
      [{ name: 'My Lab' }, /found the name "My Lab"/],
      [{ nodes: 0 }, /found 0 as number of machines, expected a whole number from 1 to 245/],
      [{ nodes: 1.5 }, /1\.5/],
      [{ memoryMb: 64 }, /memory/],
      [{ disks: [{ sizeGib: 0 }] }, /disk of 0 GiB/],
      [{ disks: Array(6).fill({ bus: 'sata' }) }, /at most 5/],
      [{ nics: 9 }, /network cards/],
    ]
    for (const [change, message] of wrong) assert.throws(() => planLab({ ...options, ...change }), message)
  })
})

describe('qemuArguments', () => {
  const machineOf = (change: Partial<PlanOptions>) => {
    const machine = planLab({ ...options, nodes: 1, ...change }).state.machines[0]
    assert.ok(machine)
    return machine
  }
  const request = {
    accelerator: 'tcg',
    bootOrder: ['nic0', 'disk0', 'cd0'],
    media: null,
    secureBoot: false,
    httpBoot: false,
    diskError: null,
  } as const
  const values = (args: string[], option: string): string[] =>
    args.flatMap((word, index) => (args[index - 1] === option ? [word] : []))

  it('puts the devices in the order asked for', () => {
    const devices = values(qemuArguments({ ...request, machine: machineOf({}) }), '-device')
    assert.match(devices.find(device => device.includes('id=nic0')) ?? '', /bootindex=0$/)
    assert.match(devices.find(device => device.includes('id=disk0')) ?? '', /bootindex=1$/)
    assert.match(devices.find(device => device.includes('id=cd0')) ?? '', /bootindex=2$/)
  })

  it('gives UEFI machines firmware with variables of their own, and BIOS machines none', () => {
    const uefi = qemuArguments({ ...request, machine: machineOf({}) }).join(' ')
    assert.match(uefi, /unit=0,format=raw,readonly=on,file=\S*OVMF_CODE/)
    assert.match(uefi, /unit=1,format=raw,readonly=off,file=\/var\/lab\/x\/node-0\//)
    assert.doesNotMatch(qemuArguments({ ...request, machine: machineOf({ firmware: 'bios' }) }).join(' '), /pflash/)
    const secure = qemuArguments({ ...request, secureBoot: true, machine: machineOf({ secureBoot: true }) }).join(' ')
    assert.match(secure, /smm=on .*OVMF_CODE_4M\.secboot\.fd .*uefi-variables-secure\.fd .*property=secure,value=on/)
    assert.throws(() => machineOf({ firmware: 'bios', secureBoot: true }), /secure boot for a machine with BIOS/)
  })

  it('makes disks of every bus, known by serial and, where the bus has it, world-wide name', () => {
    const buses = ['virtio', 'scsi', 'sata', 'nvme'] as const
    const machine = machineOf({ disks: buses.map(bus => ({ bus })) })
    const devices = values(qemuArguments({ ...request, machine }), '-device')
    const kinds = ['virtio-blk-pci', 'scsi-hd', 'ide-hd', 'nvme']
    for (const [index, disk] of machine.disks.entries()) {
      const device = devices.find(candidate => candidate.includes(`id=disk${index},`)) ?? ''
      assert.ok(device.startsWith(`${kinds[index]},`), device)
      assert.ok(device.includes(`serial=${disk.serial}`))
      assert.equal(disk.wwn !== null, device.includes('wwn=0x5'))
    }
    assert.ok(
      devices.findIndex(device => device.startsWith('virtio-scsi-pci')) <
        devices.findIndex(device => device.startsWith('scsi-hd')),
    )
  })

  it('puts an error in the way of the disks, and media in the slot', () => {
    const machine = machineOf({})
    const blocks = (change: object): string =>
      values(qemuArguments({ ...request, machine, ...change }), '-blockdev').join()
    assert.match(blocks({ diskError: 'write' }), /"driver":"blkdebug".*"iotype":"write"/)
    assert.doesNotMatch(blocks({}), /blkdebug|media0/)
    assert.match(blocks({ media: { file: '/x.iso' } }), /"node-name":"media0","read-only":true.*x\.iso/)
  })

  it('orders devices by the override, then as usual, each once', () => {
    const machine = machineOf({ nics: 2, disks: [{}, {}] })
    const order = (target: 'None' | 'Pxe' | 'Hdd' | 'Cd') => bootOrder(machine, { enabled: 'Once', target }).join(' ')
    assert.equal(order('None'), 'disk0 disk1 nic0 nic1 cd0')
    assert.equal(order('Pxe'), 'nic0 nic1 disk0 disk1 cd0')
    assert.equal(order('Cd'), 'cd0 disk0 disk1 nic0 nic1')
    assert.equal(order('Hdd'), order('None'))
  })
})
