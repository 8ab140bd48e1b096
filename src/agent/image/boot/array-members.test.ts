/** Systems on software RAID: the disk with the system is a loop device that the test's mdadm calls an array of two others. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { type FakePrograms, fakePrograms } from '../../fake-programs.ts'
import { probe } from '../../hardware/probe.ts'
import { FakeMdadm } from '../../hardware/raid/fake-mdadm.ts'
import { type LoopDisk, makeLoopDisk, needsRoot } from '../../loop-disk.ts'
import { dir, hash, startOf } from '../test-setup.ts'
import { nameArray, withParameter } from './grub.ts'
import {
  firmware,
  install,
  makeBench,
  packed,
  putProgram,
  putScript,
  removeBenches,
  wholeDisk,
  withMounted,
} from './test-images.ts'

const BIOS_BOOT = '21686148-6449-6e6f-744e-656564454649'
const UEFI = { root_uuid: '0x00000000', target_boot_mode: 'uefi' }

describe('boot loaders on the members of an array', { skip: needsRoot }, () => {
  let fakes: FakePrograms
  let mdadm: FakeMdadm
  let members: LoopDisk[] = []
  beforeEach(async () => {
    fakes = await fakePrograms()
    mdadm = new FakeMdadm()
    fakes.add('mdadm', mdadm.program)
  })
  afterEach(async () => {
    await removeBenches()
    for (const member of members.splice(0)) member.remove()
    await fakes.remove()
  })

  /** Two disks with a partition for the array behind so many MiB; `device` is what it is from now on. */
  function makeArray(device: string, { label, startMib }: { label: 'gpt' | 'dos'; startMib: number }): string[] {
    members = [1, 2].map(() => makeLoopDisk(startMib + 64))
    const disks = members.map(member => member.device)
    for (const disk of disks) {
      execFileSync('sfdisk', ['--quiet', disk], { input: `label: ${label}\nstart=${startMib}MiB, type=raid\n` })
      execFileSync('partx', ['--update', disk])
    }
    mdadm.arrays = [{ device, name: 'root', level: '1', members: disks.map(disk => `${disk}p1`) }]
    return disks
  }

  async function written(options: { uefi: boolean }, content: Buffer) {
    const bench = await makeBench(content, options)
    await bench.write({ checksum: hash('sha256', content) })
    return bench
  }

  test("UEFI: the image's EFI system partition becomes a mirror in front of the array, an entry for each member", async () => {
    const bench = await written({ uefi: true }, wholeDisk('C12A7328-F81F-11D2-BA4B-00A0C93EC93B'))
    const { device } = bench.disk
    const before = await probe(`${device}p1`)
    const [first = '', second = ''] = makeArray(device, { label: 'gpt', startMib: 551 })
    firmware.set([{ label: 'debian', where: 'an old disk' }])
    const expected = [
      `debian (RAID, part1) \\EFI\\debian\\shimx64.efi on ${second} 2`,
      `debian (RAID, part0) \\EFI\\debian\\shimx64.efi on ${first} 2`,
      'debian an old disk',
    ]
    for (const _time of ['first', 'again']) {
      assert.equal(await install(bench, UEFI), null)
      assert.deepEqual(firmware.entries(), expected)
    }
    assert.deepEqual(
      fakes.calls.filter(call => call.startsWith('mdadm --create')),
      [
        `mdadm --create /dev/md0 --force --run --metadata=1.0 --level 1 --name esp --raid-devices 2 ${first}p2 ${second}p2`,
      ],
    )
    const after = await probe(`${first}p2`)
    assert.deepEqual([after.type, after.uuid], [before.type, before.uuid])
    assert.equal((await probe(`${device}p1`)).type, null, 'no second one has its UUID')
    withMounted(`${first}p2`, esp =>
      assert.equal(readFileSync(join(esp, 'EFI/debian/shimx64.efi'), 'utf8'), 'shim', 'all files came along'),
    )
    for (const disk of [first, second]) {
      assert.equal(
        execFileSync('sgdisk', ['-i', '2', disk])
          .toString()
          .match(/First sector: (\d+)/)?.[1],
        '2048',
      )
    }

    // The next deployment finds the mirror and fills it anew.
    const next = await written({ uefi: true }, wholeDisk('C12A7328-F81F-11D2-BA4B-00A0C93EC93B'))
    for (const array of mdadm.arrays) if (array.name === 'root') array.device = next.disk.device
    await install(next, UEFI)
    assert.equal(mdadm.arrays.length, 2)
    assert.equal(firmware.entries().length, 2)
    assert.notEqual((await probe(`${first}p2`)).uuid, before.uuid)
  })

  test('UEFI: members that have no room, or an MBR, are named', async () => {
    const bench = await written({ uefi: true }, wholeDisk('C12A7328-F81F-11D2-BA4B-00A0C93EC93B'))
    const before = await probe(`${bench.disk.device}p1`)
    const [small] = makeArray(bench.disk.device, { label: 'gpt', startMib: 8 })
    await assert.rejects(install(bench, UEFI), {
      type: 'DeploymentError',
      message: new RegExp(`Cannot make a partition for an EFI system partition on ${small}`),
    })
    for (const member of members.splice(0)) member.remove()
    const [dos] = makeArray(bench.disk.device, { label: 'dos', startMib: 551 })
    await assert.rejects(install(bench, UEFI), {
      type: 'SoftwareRAIDError',
      message: new RegExp(`${dos} bootable by UEFI: .* the partition table mbr, expected a GPT`),
    })
    assert.deepEqual(firmware.entries(), [])
    assert.deepEqual(await probe(`${bench.disk.device}p1`), before, 'nothing is lost')
  })

  test("BIOS, whole disk: the image's GRUB goes to every member, with a place of its own on a GPT", async () => {
    const bench = await written({ uefi: false }, diskWithInstaller())
    const disks = makeArray(bench.disk.device, { label: 'gpt', startMib: 8 })
    const params = { root_uuid: '0x00000000', target_boot_mode: 'bios' }
    await assert.rejects(install(bench, params), { type: 'InvalidImage', message: /enable_bios_bootloader_install/ })
    bench.context.options.runImageInstaller = true
    for (const _time of ['first', 'again']) assert.equal(await install(bench, params), null)
    for (const disk of disks) {
      const marker = `boot code of --target=i386-pc ${disk}`
      assert.equal(startOf(disk, marker.length).toString(), marker)
      assert.equal((await probe(`${disk}p2`)).partitionType, BIOS_BOOT)
    }
    withMounted(`${bench.disk.device}p1`, root =>
      assert.equal(readFileSync(join(root, 'boot/grub/grub.cfg'), 'utf8'), '/boot/grub/grub.cfg\n'),
    )
  })

  test('BIOS: a root that was named and is not there, and an image without any', async () => {
    const bench = await written({ uefi: false }, wholeDisk('linux'))
    bench.context.options.runImageInstaller = true
    makeArray(bench.disk.device, { label: 'dos', startMib: 1 })
    await assert.rejects(install(bench, { root_uuid: 'abcd-ef', target_boot_mode: 'bios' }), {
      type: 'DeviceNotFound',
      message: /no partition has the root UUID abcd-ef/,
    })
    execFileSync('wipefs', ['--quiet', '--all', '--force', `${bench.disk.device}p1`])
    await assert.rejects(install(bench, { root_uuid: null, target_boot_mode: 'bios' }), {
      type: 'DeviceNotFound',
      message: /no partition with a root file system; instance_info image_rootfs_uuid names it/,
    })
  })
})

test('dracut is told which array to start, once', async () => {
  const root = mkdtempSync(join(dir, 'dracut-'))
  const settings = join(root, 'etc/default/grub')
  mkdirSync(join(root, 'etc/default'), { recursive: true })
  writeFileSync(settings, 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="quiet"\n')
  await nameArray(root, 'a:b:c:d')
  assert.equal(readFileSync(settings, 'utf8'), 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="quiet"\n', 'without dracut')
  putScript(root, 'usr/bin/dracut', 'true')
  for (const _time of ['first', 'again']) await nameArray(root, 'a:b:c:d')
  assert.equal(readFileSync(settings, 'utf8'), 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="quiet rd.md.uuid=a:b:c:d"\n')
  assert.equal(withParameter('A=1', 'x=y'), 'A=1\nGRUB_CMDLINE_LINUX="x=y"\n')
  assert.equal(withParameter("GRUB_CMDLINE_LINUX='a $b' \n", 'x'), 'GRUB_CMDLINE_LINUX="a $b x"\n')
})

/** Of a whole disk, with one partition, whose system brings an installer that leaves its mark on the disk it is called for. */
function diskWithInstaller(): Buffer {
  const tree = mkdtempSync(join(dir, 'bios-raid-'))
  putProgram(tree, '/bin/busybox')
  putScript(tree, 'usr/sbin/grub-install', 'printf "boot code of $*" | busybox dd of="$2" conv=notrunc 2>/dev/null')
  putScript(tree, 'usr/sbin/grub-mkconfig', 'busybox mkdir -p /boot/grub && echo "$2" > "$2"')
  mkdirSync(join(tree, 'usr/lib/grub/i386-pc'), { recursive: true })
  const file = join(dir, 'bios-raid.img')
  const root = packed('bios-raid-root', 24, tree)
  execFileSync('truncate', ['--size=26M', file])
  execFileSync('sfdisk', ['--quiet', file], { input: 'label: gpt\nstart=2048, size=24MiB, type=linux\n' })
  execFileSync('dd', [`if=${root}`, `of=${file}`, 'bs=1M', 'seek=1', 'conv=notrunc', 'status=none'])
  return readFileSync(file)
}
