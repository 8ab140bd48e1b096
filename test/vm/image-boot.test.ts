/**
 * The lab's Debian image on machines of both firmwares and several disks: takes its host name, key and script from the
 * config drive, whatever that lies on, and shows its login prompt on the serial port.
 */
import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buildDebianImage, type DebianImage } from '#lab/debian-image.ts'
import { run } from '#lib/run.ts'
import { Guest } from './guest.ts'

const bootLimitMs = 180_000
const firmware = '/usr/share/OVMF'

const machines = [
  { title: 'BIOS, virtio disk', uefi: false, disk: ['-device', 'virtio-blk-pci,drive=disk,bootindex=1'] },
  { title: 'UEFI, NVMe disk', uefi: true, disk: ['-device', 'nvme,serial=one,drive=disk,bootindex=1'] },
]

describe('the Debian image', { timeout: 900_000 }, () => {
  let image: DebianImage
  let scratch: string

  before(async () => {
    image = await buildDebianImage({ log: line => console.log(line) })
    scratch = await mkdtemp(join(tmpdir(), 'ferrite-image-boot-'))
  })
  after(() => rm(scratch, { recursive: true, force: true }))

  for (const { title, uefi, disk } of machines) {
    it(`boots to a login prompt with its host name: ${title}`, async t => {
      const host = uefi ? 'web-uefi' : 'web-bios'
      const overlay = join(scratch, `${host}.qcow2`)
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', image.qcow2, '-F', 'qcow2', overlay, '3G'])
      const guest = await Guest.start({
        memoryMb: 512,
        args: [
          ...(uefi ? await uefiArguments(scratch) : []),
          ...['-drive', `if=none,id=disk,format=qcow2,cache=unsafe,file=${overlay}`, ...disk],
          ...['-drive', `if=none,id=config,format=raw,readonly=on,file=${await configDrive(scratch, host)}`],
          ...['-device', 'virtio-blk-pci,drive=config'],
          ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
        ],
      })
      try {
        await guest.waitFor(new RegExp(`^${host} login: `, 'm'), bootLimitMs)
        t.diagnostic(`login prompt ${guest.seconds.toFixed(1)} s after power on`)
        if (!uefi) await checkFromInside(guest)
      } finally {
        await guest.stop()
      }
    })
  }

  it('is found again instead of built again', async () => {
    const again = await buildDebianImage({ log: line => assert.fail(`was built again: ${line}`) })
    assert.equal(again.built, false)
    assert.deepEqual(again.manifest, image.manifest)
  })

  it('describes its files by hashes', async () => {
    const { stdout } = await run('sha512sum', [image.raw, image.qcow2])
    const found = stdout.split('\n').map(line => line.slice(0, 128))
    assert.deepEqual(found.slice(0, 2), [image.manifest.raw.sha512, image.manifest.qcow2.sha512])
  })
})

/** Logs in with the password of the config drive, looks at what came of it, and leaves by the power button. */
async function checkFromInside(guest: Guest): Promise<void> {
  guest.type('root')
  await guest.waitFor(/Password: /, 60_000)
  guest.type(password)
  await guest.waitFor(/root@web-bios:~# /, 60_000)
  const command = 'cat /root/.ssh/authorized_keys /run/script-ran; hostname -f; df -m --output=size /'
  // The script and the growth of the disk come after the prompt.
  guest.type('until [ -e /run/script-ran ] && [ -e /var/lib/ferrite/grown ]; do sleep 1; done')
  guest.type(`stty cols 200; ${command}; echo "$(echo end-)inside"`)
  await guest.waitFor(/end-inside/, 120_000)
  assert.match(guest.text, /^ssh-ed25519 AAAA\S+ somebody é$/m)
  assert.match(guest.text, /^script ran with an address$/m)
  assert.match(guest.text, /^web-bios\.example\.org$/m)
  const [, sizeMb] = /1M-blocks\n\s*(\d+)/.exec(guest.text) ?? []
  assert.ok(Number(sizeMb) > 2500, `the root file system has ${sizeMb} MB on a disk of 3 GiB`)
  guest.type('until systemctl is-active systemd-logind; do sleep 1; done; echo "$(echo button-)watched"')
  await guest.waitFor(/button-watched/, 60_000)
  await guest.pressPowerButton()
  await guest.waitForOff(90_000)
}

const password = 'pass "word" 1'

async function configDrive(scratch: string, host: string): Promise<string> {
  const folder = join(scratch, `${host}-config`, 'openstack/latest')
  await mkdir(folder, { recursive: true })
  const meta = {
    uuid: '1be26c0b-03f2-4d2e-ae87-c02d7f33c781',
    hostname: `${host}.example.org`,
    public_keys: { default: `ssh-ed25519 ${'A'.repeat(68)} somebody é` },
    admin_pass: password,
    nothing: [null, true, 1.5e3, {}, []],
  }
  // Other writers escape what is not ASCII.
  const text = JSON.stringify(meta).replaceAll('é', '\\u00e9')
  await writeFile(join(folder, 'meta_data.json'), text)
  const script =
    '#!/bin/sh\nip -4 addr show scope global | grep -q inet && echo script ran with an address >/run/script-ran\n'
  await writeFile(join(folder, 'user_data'), script)
  const file = join(scratch, `${host}-config.img`)
  await run('mkfs.vfat', ['-C', '-n', 'CONFIG-2', file, '1024'])
  await run('mcopy', ['-s', '-i', file, join(scratch, `${host}-config`, 'openstack'), '::/'])
  return file
}

async function uefiArguments(scratch: string): Promise<string[]> {
  const variables = join(scratch, 'vars.fd')
  await copyFile(`${firmware}/OVMF_VARS_4M.fd`, variables)
  const flash = (unit: number, options: string) => ['-drive', `if=pflash,unit=${unit},format=raw,${options}`]
  return [...flash(0, `readonly=on,file=${firmware}/OVMF_CODE_4M.fd`), ...flash(1, `file=${variables}`)]
}
