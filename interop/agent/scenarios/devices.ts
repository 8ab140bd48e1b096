/**
 * Our agent in a machine with NVMe, SATA and virtio disks that somebody used before, and no interoperation: every step of
 * cleaning runs by our conductor, with the real nvme, hdparm, mdadm, stress-ng, fio and efibootmgr, and what it did is
 * looked at in the files that are the disks. A real lldpd is the switch that an inspection finds.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { run as runProgram } from '#lib/run.ts'
import { bootLimitMs, World } from '../../../test/vm/world.ts'
import { PlaceInLab } from '../../deploy/place-in-lab.ts'
import { holdsPartitions, writePartitionTable } from '../disk.ts'
import type { Scenario } from '../scenario.ts'

const mib = 2 ** 20
/** Where data of a former owner lies, far from whatever tells what the disk is. */
const dataAt = 96 * mib
const data = randomBytes(mib)
/** Of software RAID on a UEFI machine; in front of it is room for an EFI system partition. */
const memberAt = 551 * mib

const bus = ['nvme', 'sata', 'sata', 'virtio'] as const
/** GiB: small, for an emulated machine overwrites them. */
const sizes = [0.25, 0.75, 0.75, 0.25]
const mirror = { raid_level: '1', size_gb: 'MAX', controller: 'software', volume_name: 'root', is_root_volume: true }
const short = { agent_burnin_cpu_timeout: 3, agent_burnin_vm_timeout: 3, 'agent_burnin_vm_vm-bytes': '64M' }
const driverInfo = { ...short, agent_burnin_fio_disk_runtime: 10, agent_burnin_fio_disk_loops: 1, fast_track: true }

async function run(): Promise<readonly string[]> {
  const world = await World.open({
    name: 'interop-devices',
    firmware: 'uefi',
    features: ['burn-in'],
    machine: { disks: bus.map((bus, index) => ({ bus, sizeGib: sizes[index] ?? 1 })) },
    config: {
      deploy: { fast_track: 'true' },
      inspector: { power_off: 'false', extra_kernel_params: 'ipa-inspection-collectors=default,lldp' },
    },
  })
  const place = new PlaceInLab(world.lab, world.directory)
  try {
    const files = world.machine.disks.map(({ file }) => file)
    const [nvme = '', first = '', second = '', virtio = ''] = files
    for (const file of files) await write(file, dataAt, data)
    await writePartitionTable(nvme)
    await write(virtio, 512, lvmLabel())
    assert.equal(await signatureAt(virtio, 0), 'LVM2_member')

    await world.enrol()
    await world.bring('manage', 'manageable')
    await world.service.api.create('/v1/ports', { node_uuid: world.uuid, address: world.machine.nics[0]?.mac })
    for (const [key, value] of Object.entries(driverInfo)) await world.change(`/driver_info/${key}`, value)
    await world.change('/raid_interface', 'agent')
    const notes: string[] = []
    const clean = async (...steps: string[]) => {
      const began = performance.now()
      const clean_steps = steps.map(name => {
        const [type, step] = name.split('.')
        return { interface: type, step }
      })
      await world.ask('clean', { clean_steps })
      const node = await world.reached('manageable', 4 * bootLimitMs)
      assert.equal(node.last_error, null)
      notes.push(`${steps.join(', ')}: ${((performance.now() - began) / 1000).toFixed(0)} s`)
      return node
    }

    await clean('deploy.burnin_cpu', 'deploy.burnin_memory', 'deploy.erase_devices_metadata')
    assert.equal(await holdsPartitions(nvme), false, 'the partition table is gone')
    assert.equal(await signatureAt(virtio, 0), '', "LVM's label is gone")
    for (const file of files) assert.ok(await hasData(file), `only the signatures of ${file} are gone`)

    await clean('deploy.erase_devices_express')
    assert.equal(await hasData(nvme), false, 'the NVMe drive has formatted itself')
    assert.ok(await hasData(first), 'a disk without such a command keeps what no signature is')

    const physical_disks = [{ name: '/dev/sda' }, { name: '/dev/sdb' }]
    const target = { logical_disks: [{ ...mirror, physical_disks }] }
    await world.service.api.put(`/v1/nodes/${world.uuid}/states/raid`, target)
    const built = await clean('raid.create_configuration')
    const { logical_disks, last_updated } = built.raid_config as Record<string, unknown> // as the API has it
    assert.deepEqual(logical_disks, target.logical_disks)
    assert.ok(last_updated)
    assert.match(String((built.properties as Record<string, unknown>).capabilities), /raid_level:1/)
    for (const file of [first, second]) assert.equal(await signatureAt(file, memberAt), 'linux_raid_member', file)

    const gone = await clean('raid.delete_configuration')
    assert.deepEqual(gone.raid_config, {})
    for (const file of [first, second]) assert.equal(await signatureAt(file, memberAt), '', file)

    await clean('deploy.burnin_disk', 'deploy.erase_devices', 'deploy.erase_pstore', 'deploy.clean_uefi_nvram')
    for (const file of files) assert.equal(await firstOtherThanZero(file), -1, `${file} reads as zeros`)

    const [tap] = world.machine.nics.map(nic => nic.tap)
    const lldpd = place.spawn('lldpd', ['-d', '-I', `${tap}`, '-S', 'switch of the lab'], { stdio: 'ignore' })
    try {
      await world.bring('inspect', 'manageable')
      const { plugin_data } = await world.service.api.get(`/v1/nodes/${world.uuid}/inventory`)
      const frames = JSON.stringify((plugin_data as Record<string, unknown>).lldp_raw)
      assert.ok(frames.includes(Buffer.from('switch of the lab').toString('hex')), `the switch was heard: ${frames}`)
      notes.push('lldpd heard')
    } finally {
      lldpd.kill()
    }
    return notes
  } catch (error) {
    console.error(await world.service.lastLines(30))
    console.error(`the machine's console:\n${(await world.lab.serialText(world.machine.name)).text.slice(-5000)}`)
    throw error
  } finally {
    await place.close()
    await world.close()
  }
}

async function write(file: string, at: number, content: Uint8Array): Promise<void> {
  await using handle = await open(file, 'r+')
  await handle.write(content, 0, content.length, at)
}

async function hasData(file: string): Promise<boolean> {
  await using handle = await open(file)
  const { buffer } = await handle.read(Buffer.alloc(data.length), 0, data.length, dataAt)
  return buffer.equals(data)
}

/** Offset of the first MiB that holds something; -1: none. */
async function firstOtherThanZero(file: string): Promise<number> {
  await using handle = await open(file)
  const zeros = Buffer.alloc(mib)
  const buffer = Buffer.alloc(mib)
  for (let at = 0; ; at += mib) {
    const { bytesRead } = await handle.read(buffer, 0, mib, at)
    if (bytesRead === 0) return -1
    if (!buffer.subarray(0, bytesRead).equals(zeros.subarray(0, bytesRead))) return at
  }
}

/** What blkid takes it for; nothing: empty. */
async function signatureAt(file: string, offset: number): Promise<string> {
  const args = ['--probe', '--offset', `${offset}`, '--match-tag', 'TYPE', '--output', 'value', file]
  // It ends with 2 when it finds nothing.
  const { stdout } = await runProgram('blkid', args).catch(() => ({ stdout: '' }))
  return stdout.trim()
}

/** The second sector of a physical volume. Source: LVM2 lib/format_text/layout.h, lib/label/label.h (layout, checksum) */
function lvmLabel(): Buffer {
  const sector = Buffer.alloc(512)
  sector.write('LABELONE', 0)
  sector.writeBigUInt64LE(1n, 8)
  sector.writeUInt32LE(32, 20)
  sector.write('LVM2 001', 24)
  sector.write('ferriteferriteferriteferriteferr', 32)
  sector.writeBigUInt64LE(BigInt(256 * mib), 64)
  const begin = 0xf597a6cf
  sector.writeUInt32LE((crc32(sector.subarray(20), (begin ^ 0xffffffff) >>> 0) ^ 0xffffffff) >>> 0, 16)
  return sector
}

export default {
  name: 'devices',
  title: 'every step of cleaning on NVMe, SATA and virtio disks, with real mdadm, stress-ng, fio, lldpd',
  packages: ['lldpd'],
  run,
} satisfies Scenario
