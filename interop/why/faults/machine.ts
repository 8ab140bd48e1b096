/** On QEMU machines: real firmware, kernels and disks, as far as they matter. */
import assert from 'node:assert/strict'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Explanation } from '#protocol/why.ts'
import { bootMessage, type DiskImage, hashOfStart, makeImage } from '../../../test/vm/disk-image.ts'
import type { World } from '../../../test/vm/world.ts'
import type { MachineFault } from '../fault-case.ts'

const silenceS = 60
const impatient = { conductor: { deploy_callback_timeout: silenceS }, ferrite: { boot_attempts: 1 } }

async function available(world: World, port: object = {}, driverInfo: Record<string, string> = {}): Promise<DiskImage> {
  await world.enrol(driverInfo)
  await world.bring('manage', 'manageable')
  await world.service.api.create('/v1/ports', { node_uuid: world.uuid, address: world.machine.nics[0]?.mac, ...port })
  await world.change('/automated_clean', false)
  await world.bring('provide', 'available')
  const image = await makeImage(join(world.imageFolder, 'large.raw'), 'LARGE', 768, 768)
  await world.chooseImage(image)
  return image
}

const why = async (world: World) => (await world.service.api.get(`/v1/nodes/${world.uuid}/why`)) as Explanation // as served

/** What says its name and stops. */
async function putBootSector(from: string, to: string): Promise<void> {
  await using image = await open(from)
  await using disk = await open(to, 'r+')
  const sector = Buffer.alloc(512)
  await image.read(sector, 0, sector.length, 0)
  await disk.write(sector, 0, sector.length, 0)
}

async function failure(world: World): Promise<Explanation> {
  await world.bring('active', 'deploy failed')
  assert.deepEqual([(await world.node()).reservation, (await world.status()).power], [null, 'Off'])
  return why(world)
}

export default [
  {
    name: 'vm-cable-pulled',
    broken: 'the cable is pulled',
    on: 'machine',
    config: impatient,
    cause: 'link-down',
    names: /cable|switch port/,
    async explained(world) {
      await available(world)
      await world.lab.fault(world.machine.name, 'link-down')
      return failure(world)
    },
  },
  {
    name: 'vm-boot-order',
    broken: 'the BMC forgets the boot device, and the system on the disk boots',
    on: 'machine',
    config: impatient,
    cause: 'wrong-boot-device',
    names: /boot device/,
    async explained(world) {
      const image = await available(world)
      // Firmware goes on from an empty disk, to the network.
      await putBootSector(image.file, world.disk)
      await world.lab.fault(world.machine.name, 'bmc-ignore-boot')
      return failure(world)
    },
  },
  {
    name: 'vm-wrong-mac',
    broken: "the port has another machine's MAC address",
    on: 'machine',
    config: impatient,
    cause: 'wrong-port-address',
    names: /52:54:00:00:de:ad/,
    async explained(world) {
      await available(world, { address: '52:54:00:00:de:ad' })
      return failure(world)
    },
  },
  {
    name: 'vm-kernel-damaged',
    broken: 'what is served as kernel is none',
    on: 'machine',
    config: impatient,
    cause: 'kernel-damaged',
    names: /no kernel/,
    async explained(world) {
      const file = join(world.imageFolder, 'not-a-kernel')
      await writeFile(file, Buffer.alloc(5_000_000, 'This is no kernel. '))
      await available(world, {}, { deploy_kernel: `file://${file}` })
      return failure(world)
    },
  },
  {
    name: 'vm-kernel-panics',
    broken: 'the kernel panics: what is served as ramdisk is none',
    on: 'machine',
    config: impatient,
    cause: 'ramdisk-damaged',
    names: /neither a cpio archive/,
    async explained(world) {
      const file = join(world.imageFolder, 'not-a-ramdisk')
      await writeFile(file, Buffer.alloc(5_000_000, 'This is no ramdisk. '))
      await available(world, {}, { deploy_ramdisk: `file://${file}` })
      return failure(world)
    },
  },
  {
    name: 'vm-little-memory',
    broken: 'the machine has too little memory for the ramdisk',
    on: 'machine',
    config: impatient,
    machine: { memoryMb: 192 },
    cause: 'kernel-silent',
    names: /memory/,
    async explained(world) {
      await available(world)
      return failure(world)
    },
  },
  {
    name: 'vm-secure-boot',
    broken: 'secure boot is on, and the boot interface starts a loader that nobody signed',
    on: 'machine',
    config: impatient,
    firmware: 'uefi',
    machine: { secureBoot: true, nicRom: 'none' },
    cause: 'secure-boot-refused',
    names: /signed/,
    async explained(world) {
      await available(world)
      return failure(world)
    },
  },
  {
    name: 'vm-image-bios-only',
    broken: 'the image boots by BIOS only, and the machine by UEFI',
    on: 'machine',
    firmware: 'uefi',
    cause: 'image-not-bootable',
    names: /EFI system partition/,
    async explained(world) {
      await available(world)
      return failure(world)
    },
  },
  {
    name: 'vm-disk-fails',
    broken: 'every write to the disk fails',
    on: 'machine',
    cause: 'disk-failed',
    names: /I\/O error|EIO/i,
    async explained(world) {
      await available(world)
      await world.lab.fault(world.machine.name, 'disk-error', 'write')
      return failure(world)
    },
  },
  {
    name: 'vm-power-lost',
    broken: 'the machine loses its power in mid-write; the next attempt deploys it',
    on: 'machine',
    cause: 'power-lost',
    names: /"power off"/,
    async explained(world) {
      const image = await available(world)
      await world.ask('active')
      await world.seen('a write', node => {
        const { progress } = node.driver_internal_info as { progress?: { phase: string; bytes: number } | null } // ProgressView
        return progress?.phase === 'write' && progress.bytes > 0
      })
      await world.lab.fault(world.machine.name, 'kill')
      await world.seen('a machine without power', (_, { power, counters }) => power === 'Off' && counters.crashes === 1)
      const { last_error } = await world.reached('deploy failed', 120_000)
      assert.match(String(last_error), /^The agent stopped answering while it ran step deploy\.write_image: /)
      const told = await why(world)
      const start = await hashOfStart(world.disk, 512)
      assert.notEqual(start, await hashOfStart(image.file, 512), 'half an image does not boot')

      const from = await world.serialSize()
      const node = await world.bring('active', 'active')
      assert.equal(node.last_error, null)
      await world.says(bootMessage('LARGE'), from)
      assert.equal(await hashOfStart(world.disk, image.sizeBytes), image.sha256)
      return told
    },
  },
] satisfies MachineFault[]
