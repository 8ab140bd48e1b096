import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parseEntries } from './boot-entries.ts'
import { efiArch, fillEsp } from './fill-esp.ts'
import { withEsp } from './fstab.ts'
import { installerArguments } from './grub.ts'
import { filesBelow, textOf } from './image-tree.ts'
import { findLoaders } from './loaders.ts'

const made = mkdtempSync(join(tmpdir(), 'ferrite-loaders-'))
after(() => rmSync(made, { recursive: true, force: true }))

function tree(files: Record<string, string | Buffer>): string {
  const root = mkdtempSync(join(made, 'tree-'))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, dirname(name)), { recursive: true })
    writeFileSync(join(root, name), content)
  }
  return root
}

const utf16 = (text: string) => Buffer.from(text, 'utf16le')
const debian = 'shimx64.efi,debian,,This is the boot entry for debian\n'

describe('loaders on an EFI system partition', () => {
  for (const [what, files, expected] of [
    ['nothing', { 'EFI/ubuntu/grubx64.efi': '' }, []],
    [
      'the list of a system stands for all it brought',
      {
        'EFI/debian/BOOTX64.CSV': utf16(`\ufeff${debian}`),
        'EFI/debian/shimx64.efi': '',
        'EFI/BOOT/BOOTX64.EFI': '',
      },
      [['\\EFI\\debian\\shimx64.efi', 'debian']],
    ],
    [
      'a list without a byte order mark',
      { 'EFI/fedora/boot.csv': utf16('SHIMX64.EFI,Fedora,,'), 'EFI/fedora/shimx64.efi': '' },
      [['\\EFI\\fedora\\SHIMX64.EFI', 'Fedora']],
    ],
    [
      'a list of the other byte order',
      { 'EFI/red/BOOTX64.CSV': utf16(`\ufeff${debian}`).swap16(), 'EFI/red/shimx64.efi': '' },
      [['\\EFI\\red\\shimx64.efi', 'debian']],
    ],
    [
      'a list whose loader is missing does not count',
      { 'EFI/debian/BOOTX64.CSV': utf16(debian), 'EFI/BOOT/BOOTX64.EFI': '' },
      [['\\EFI\\BOOT\\BOOTX64.EFI', 'ironic1']],
    ],
    [
      'a list that leads out of its folder does not count',
      { 'EFI/x/BOOTX64.CSV': utf16('..\\y.efi,evil,,'), 'EFI/y.efi': '' },
      [],
    ],
    [
      'several programs are numbered',
      { 'EFI/BOOT/bootx64.efi': '', 'EFI/BOOT/bootia32.efi': '', 'EFI/Microsoft/Boot/winload.efi': '' },
      [
        ['\\EFI\\BOOT\\bootia32.efi', 'ironic1'],
        ['\\EFI\\BOOT\\bootx64.efi', 'ironic2'],
        ['\\EFI\\Microsoft\\Boot\\winload.efi', 'ironic3'],
      ],
    ],
  ] as [string, Record<string, string | Buffer>, [string, string][]][]) {
    test(what, async () => {
      assert.deepEqual(
        (await findLoaders(tree(files))).map(({ path, label }) => [path, label]),
        expected,
      )
    })
  }
})

describe("the firmware's entries", () => {
  const entries = [
    { number: '0000', label: 'debian', path: 'HD(1,GPT,1c6c6b0e,0x800,0x113000)/File(\\EFI\\debian\\shimx64.efi)' },
    { number: '000A', label: 'UEFI: PXE IPv4 (NIC 1)', path: 'PciRoot(0x0)/Pci(0x3,0x0)/MAC(525400123456,0)' },
  ]
  const lines = [
    'BootCurrent: 0000',
    'Timeout: 3 seconds',
    'BootOrder: 0000,000A',
    `Boot0000* debian\t${entries[0]?.path}`,
    `Boot000A  UEFI: PXE IPv4 (NIC 1)\t${entries[1]?.path}`,
  ]
  for (const [what, output] of [
    ['UTF-8 with tabs', lines.join('\n')],
    ['UTF-16', `${Buffer.from(lines.join('\n'), 'utf16le').toString('utf8')}\n`],
  ] as const) {
    test(what, () => assert.deepEqual(parseEntries(output), entries))
  }

  test('of an older program, which puts no tab before the path', () => {
    const [first] = parseEntries('Boot0000* Red Hat Linux HD(1,GPT,1c6c6b0e)/File(\\x.efi)')
    assert.deepEqual(first, { number: '0000', label: 'Red Hat Linux', path: 'HD(1,GPT,1c6c6b0e)/File(\\x.efi)' })
  })
})

describe('filling an EFI system partition', () => {
  const uuids = { rootUuid: 'aaaa-bbbb', arch: 'x64' } as const
  async function filled(files: Record<string, string | Buffer>, prepare: (root: string) => void = () => {}) {
    const root = tree(files)
    prepare(root)
    const esp = tree({})
    const mountPoint = await fillEsp({ root, esp }, uuids)
    return { mountPoint, esp, files: await filesBelow(esp) }
  }

  test("the image's own files, with a name that firmware finds without a list", async () => {
    const { mountPoint, files } = await filled({
      'boot/efi/EFI/debian/shimx64.efi': 'shim',
      'boot/efi/EFI/debian/grubx64.efi': 'grub',
      'boot/efi/loader/loader.conf': 'timeout 1',
      'boot/grub2/grub.cfg': 'menu',
    })
    assert.equal(mountPoint, '/boot/efi')
    assert.deepEqual(files, [
      'EFI/BOOT/BOOTX64.EFI',
      'EFI/BOOT/grubx64.efi',
      'EFI/debian/grub.cfg',
      'EFI/debian/grubx64.efi',
      'EFI/debian/shimx64.efi',
      'loader/loader.conf',
    ])
  })

  test('a loader that firmware finds is not replaced, whatever the case of its name', async () => {
    const { files, esp } = await filled({ 'efi/EFI/Boot/bootx64.efi': 'own', 'efi/EFI/x/grubx64.efi': 'grub' })
    assert.deepEqual(files, ['EFI/Boot/bootx64.efi', 'EFI/x/grubx64.efi'])
    assert.equal(await textOf(esp, 'EFI/Boot/bootx64.efi'), 'own')
  })

  test('links are not followed, neither inside nor out of the image', async () => {
    const secret = tree({ 'EFI/x/bootx64.efi': 'of the ramdisk' })
    assert.deepEqual((await filled({ 'etc/x': '' }, root => symlinkSync(secret, join(root, 'efi')))).files, [])
    const { files } = await filled({ 'efi/EFI/BOOT/BOOTX64.EFI': '' }, root =>
      symlinkSync(join(secret, 'EFI/x/bootx64.efi'), join(root, 'efi/EFI/BOOT/stolen.efi')),
    )
    assert.deepEqual(files, ['EFI/BOOT/BOOTX64.EFI'])
  })

  test('systemd-boot gets kernels and entries', async () => {
    const { mountPoint, files, esp } = await filled({
      'usr/lib/systemd/boot/efi/systemd-bootx64.efi': 'sd',
      'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 13"\nID=debian\n',
      'etc/kernel/cmdline': 'root=/dev/sda9 console=ttyS0 quiet\n',
      'boot/vmlinuz-6.12.1-amd64': 'kernel',
      'boot/initrd.img-6.12.1-amd64': 'initrd',
    })
    assert.equal(mountPoint, '/boot/efi')
    assert.deepEqual(files, [
      'EFI/BOOT/BOOTX64.EFI',
      'EFI/systemd/systemd-bootx64.efi',
      'debian/6.12.1-amd64/initrd',
      'debian/6.12.1-amd64/linux',
      'loader/entries/debian-6.12.1-amd64.conf',
      'loader/loader.conf',
    ])
    assert.equal(
      await textOf(esp, 'loader/entries/debian-6.12.1-amd64.conf'),
      [
        'title Debian GNU/Linux 13',
        'version 6.12.1-amd64',
        'options root=UUID=aaaa-bbbb console=ttyS0 quiet ro',
        'linux /debian/6.12.1-amd64/linux',
        'initrd /debian/6.12.1-amd64/initrd\n',
      ].join('\n'),
    )
  })

  test('programs that start no system do not count', async () => {
    const { mountPoint } = await filled({ 'boot/efi/EFI/debian/fwupdx64.efi': '', 'boot/vmlinuz-6.1': '' })
    assert.equal(mountPoint, null)
  })

  test('an image without anything for UEFI', async () => {
    assert.deepEqual((await filled({ 'boot/vmlinuz-6.1': '', 'boot/efi/EFI/x.txt': '' })).mountPoint, null)
  })

  test('names of processors', () => {
    assert.deepEqual(['x64', 'arm64', 'riscv64'].map(efiArch), ['x64', 'aa64', 'riscv64'])
  })
})

test('an older place of the EFI system partition in the list of mounts gives way', () => {
  const before = '# by hand\nUUID=1 / ext4 defaults 0 1\nLABEL=UEFI /boot/efi vfat defaults 0 0'
  assert.equal(
    withEsp(before, { uuid: 'AB-CD', mountPoint: '/boot/efi' }),
    '# by hand\nUUID=1 / ext4 defaults 0 1\n# LABEL=UEFI /boot/efi vfat defaults 0 0\nUUID=AB-CD\t/boot/efi\tvfat\tumask=0077\t0\t1\n',
  )
})

test("what GRUB's installer is told", () => {
  const bios = { kind: 'bios', disks: ['/dev/sda', '/dev/sdb'] } as const
  assert.deepEqual(installerArguments(bios, ['i386-pc', 'x86_64-efi']), [
    ['--target=i386-pc', '/dev/sda'],
    ['--target=i386-pc', '/dev/sdb'],
  ])
  assert.deepEqual(installerArguments({ kind: 'power', partition: '/dev/sda1' }, []), [['--no-nvram', '/dev/sda1']])
  const uefi = ['--target=arm64-efi', '--efi-directory=/boot/efi', '--no-nvram']
  assert.deepEqual(installerArguments({ kind: 'uefi', esp: '/dev/sda1' }, ['arm64-efi']), [
    uefi,
    [...uefi, '--removable'],
  ])
})
