import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { imageCommands } from '../../extensions/image.ts'
import { needsRoot } from '../../loop-disk.ts'
import { partitionUuids } from '../image-record.ts'
import { dir, hash, startOf } from '../test-setup.ts'
import {
  debianFiles,
  fileSystem,
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

afterEach(removeBenches)

describe('boot loaders on loop devices', { skip: needsRoot }, () => {
  test('UEFI, whole disk: an entry for the loader of the image, in place of an older one of its name', async () => {
    const content = wholeDisk('C12A7328-F81F-11D2-BA4B-00A0C93EC93B')
    const bench = await makeBench(content, { uefi: true })
    await bench.write({ checksum: hash('sha256', content) })
    firmware.set([
      { label: 'debian', where: 'an old disk' },
      { label: 'UEFI PXE', where: 'the network' },
    ])
    const params = { root_uuid: '0x00000000', efi_system_part_uuid: null, target_boot_mode: 'uefi' }
    for (const _time of ['first', 'again']) {
      assert.equal(await install(bench, params), null)
      assert.deepEqual(firmware.entries(), [
        `debian \\EFI\\debian\\shimx64.efi on ${bench.disk.device} 1`,
        'UEFI PXE the network',
      ])
    }
  })

  test('UEFI, whole disk without an EFI system partition: an error, unless it is to be ignored', async () => {
    const content = wholeDisk('linux')
    const bench = await makeBench(content, { uefi: true })
    await bench.write({ checksum: hash('sha256', content) })
    const params = { root_uuid: '0x00000000', target_boot_mode: 'uefi' }
    await assert.rejects(install(bench, params), { type: 'DeviceNotFound', message: /no EFI system partition/ })
    assert.equal(await install(bench, { ...params, ignore_bootloader_failure: true }), null)
    assert.deepEqual(firmware.entries(), [])
  })

  test('UEFI, partition image: its files come onto the EFI system partition, which its fstab then names', async () => {
    const root = readFileSync(
      fileSystem('uefi-root', 12, {
        ...Object.fromEntries(Object.entries(debianFiles).map(([path, content]) => [`boot/efi/${path}`, content])),
        'etc/fstab': 'LABEL=root / ext4 defaults 0 1\n',
      }),
    )
    const bench = await makeBench(root, { sizeMib: 600, capabilities: 'boot_mode:uefi', uefi: true })
    await bench.write({ image_type: 'partition', checksum: hash('sha256', root), root_mb: 16 })
    const { device } = bench.disk
    const efiUuid = '0f0e0d0c-1111-2222-3333-444455556666'
    execFileSync('mkfs.ext4', ['-q', '-F', '-U', efiUuid, `${device}p1`])
    const params = {
      root_uuid: partitionUuids(bench.context.store)['root uuid'],
      efi_system_part_uuid: efiUuid,
      prep_boot_part_uuid: null,
      target_boot_mode: 'uefi',
    }
    assert.equal(await install(bench, params), null)
    assert.deepEqual(firmware.entries(), [`debian \\EFI\\debian\\shimx64.efi on ${device} 1`])
    withMounted(`${device}p1`, esp => assert.equal(readFileSync(join(esp, 'EFI/BOOT/BOOTX64.EFI'), 'utf8'), 'shim'))
    withMounted(`${device}p2`, path =>
      assert.equal(
        readFileSync(join(path, 'etc/fstab'), 'utf8'),
        `LABEL=root / ext4 defaults 0 1\nUUID=${efiUuid}\t/boot/efi\tvfat\tumask=0077\t0\t1\n`,
      ),
    )
  })

  test("BIOS, partition image: the image's installer runs where it is allowed, and nothing stays mounted", async () => {
    const tree = mkdtempSync(join(dir, 'bios-'))
    putProgram(tree, '/bin/busybox')
    putScript(tree, 'usr/sbin/grub-install', 'printf "boot code of $*" | busybox dd of="$2" conv=notrunc 2>/dev/null')
    putScript(
      tree,
      'usr/sbin/grub-mkconfig',
      '[ -e /proc/self ] && [ -d /sys/block ] && busybox mkdir -p /boot/grub && echo "$2" > "$2"',
    )
    mkdirSync(join(tree, 'usr/lib/grub/i386-pc'), { recursive: true })
    const root = readFileSync(packed('bios-root', 24, tree))
    const bench = await makeBench(root, {})
    await bench.write({ image_type: 'partition', checksum: hash('sha256', root), root_mb: 32 })
    const { device } = bench.disk
    const params = { root_uuid: partitionUuids(bench.context.store)['root uuid'], target_boot_mode: 'bios' }
    await assert.rejects(install(bench, params), {
      type: 'InvalidImage',
      message: /\[agent\] enable_bios_bootloader_install of the conductor allows it$/,
    })
    bench.context.options.runImageInstaller = true
    assert.equal(await install(bench, params), null)
    const marker = `boot code of --target=i386-pc ${device}`
    assert.equal(startOf(device, marker.length).toString(), marker)
    withMounted(`${device}p1`, path =>
      assert.equal(readFileSync(join(path, 'boot/grub/grub.cfg'), 'utf8'), '/boot/grub/grub.cfg\n'),
    )
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(`${device}p1`))
  })

  test('an image that brings no boot loader, and a root that is not there', async () => {
    const root = readFileSync(fileSystem('bare-root', 8, { hello: 'world' }))
    const bench = await makeBench(root, {})
    bench.context.options.runImageInstaller = true
    await bench.write({ image_type: 'partition', checksum: hash('sha256', root), root_mb: 16 })
    const rootUuid = partitionUuids(bench.context.store)['root uuid']
    await assert.rejects(install(bench, { root_uuid: rootUuid }), {
      type: 'InvalidImage',
      message: /neither grub-install nor grub2-install/,
    })
    await assert.rejects(install(bench, { root_uuid: 'abcd-ef' }), {
      type: 'DeviceNotFound',
      message: /no partition has the root UUID abcd-ef/,
    })
  })
})

test('parameters that cannot be meant are refused before anything runs', () => {
  const { install_bootloader: command } = imageCommands({} as never)
  for (const [params, message] of [
    [{ root_uuid: 'x; reboot' }, /Cannot read root_uuid: found "x; reboot"/],
    [{ root_uuid: null, target_boot_mode: 'pxe' }, /expected bios or uefi/],
    [{ root_uuid: null, ignore_bootloader_failure: 'yes' }, /expected true or false/],
  ] as const) {
    assert.throws(() => command?.validate?.(params, {} as never), { type: 'InvalidCommandParamsError', message })
  }
})
