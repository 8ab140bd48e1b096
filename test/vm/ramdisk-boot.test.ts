/**
 * The ramdisk in a machine with little memory: finds its NIC, starts the real agent, which calls home and answers over
 * TLS; a NIC without DHCP delays nothing; each tool runs; disks have their names; the power button works.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type FakeIronic, startFakeIronic } from '#agent/fake-ironic.ts'
import { buildRamdisk, type RamdiskBuild } from '#ramdisk/build.ts'
import { programs } from '#ramdisk/contents.ts'
import { freePort, Guest } from './guest.ts'

const bootLimitMs = 120_000
const mac = '52:54:00:12:34:56'

describe('the ramdisk in 512 MB', { timeout: 600_000 }, () => {
  let build: RamdiskBuild
  let ironic: FakeIronic
  let guest: Guest
  let scratch: string
  let port: number

  before(async () => {
    build = await buildRamdisk({ log: line => console.log(line) })
    ironic = await startFakeIronic()
    scratch = await mkdtemp(join(tmpdir(), 'ferrite-ramdisk-boot-'))
    port = await freePort()
    const disks: string[] = []
    for (const [name, device] of [
      ['nvme', 'nvme,serial=NV123'],
      ['sata', 'ide-hd,serial=SATA9'],
      ['virtio', 'virtio-blk-pci,serial=VIRT7'],
    ]) {
      const file = join(scratch, `${name}.raw`)
      await writeFile(file, '')
      await truncate(file, 256 * 1024 * 1024)
      disks.push('-drive', `if=none,id=${name},format=raw,file=${file}`, '-device', `${device},drive=${name}`)
    }
    const api = `https://10.0.2.2:${new URL(ironic.url).port}`
    const parameters = [
      'console=tty0 console=ttyS0 quiet ferrite-debug=1',
      `BOOTIF=01-${mac.replaceAll(':', '-')} ipa-api-url=${api} ipa-insecure=1`,
    ]
    guest = await Guest.start({
      memoryMb: 512,
      args: [
        ...['-kernel', build.kernel, '-initrd', build.initramfs, '-append', parameters.join(' ')],
        // Comes first on the bus and has nobody to answer it.
        ...['-netdev', 'hubport,id=lonely,hubid=1', '-device', 'e1000e,netdev=lonely'],
        ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:9999`],
        ...['-device', `virtio-net-pci,netdev=net,mac=${mac}`],
        ...disks,
      ],
    })
  })
  after(async () => {
    await guest?.stop()
    await ironic?.close()
    if (scratch !== undefined) await rm(scratch, { recursive: true })
  })

  it('calls home with the address of the boot NIC', async t => {
    const outcome = await Promise.race([
      ironic.heartbeat(1),
      guest.waitFor(/the agent ended with status|Kernel panic|cannot start the ramdisk/, bootLimitMs),
    ])
    assert.ok('callback_url' in outcome, guest.text.slice(-3000))
    t.diagnostic(`first heartbeat ${guest.seconds.toFixed(1)} s after power on`)
    assert.equal(outcome.callback_url, 'https://10.0.2.15:9999')
    assert.match(guest.text, new RegExp(`asking for an address on \\S+ \\(${mac}\\), the NIC of the boot`))
    // The other NIC gets no address, which takes it 8 s to find out; the agent did not wait for that.
    const addressAt = Number(/\[ *([\d.]+)\] ferrite: \S+ has the address 10\.0\.2\.15/.exec(guest.text)?.[1])
    const agentAt = Number(/\[ *([\d.]+)\] ferrite: starting the agent/.exec(guest.text)?.[1])
    assert.ok(agentAt - addressAt < 4, guest.text)
  })

  it('answers over TLS with the certificate that it announced', async () => {
    const { agent_verify_ca } = await ironic.heartbeat(1)
    assert.ok(agent_verify_ca !== undefined && agent_verify_ca !== null)
    const status = await get({ port, path: '/v1/status', ca: agent_verify_ca })
    assert.equal(status.code, 200)
    assert.match(status.body, /"version"/)
  })

  it('says that a NIC gets no DHCP answer', async () => {
    await guest.waitFor(/no DHCP answer on \S+ \(\S+, link up\) after 1 tries; trying again/, 60_000)
  })

  it('names disks by what they are', async () => {
    const shown = await shell(guest, 'ls /dev/disk/by-id')
    for (const name of ['nvme-QEMU_NVMe_Ctrl_NV123', 'ata-QEMU_HARDDISK_SATA9', 'virtio-VIRT7']) {
      assert.match(shown, new RegExp(name))
    }
  })

  it('has every program with all of its libraries', async () => {
    const list = [...programs, 'dmidecode', 'efibootmgr', 'node'].filter(name => name !== 'chronyd')
    const loop = `for name in ${list.join(' ')}; do "$(which $name)" --help </dev/null >/tmp/out 2>&1; code=$?`
    const failed = await shell(
      guest,
      `${loop}; [ $code = 127 ] && echo "BAD $name"; grep -H 'shared lib' /tmp/out; done`,
    )
    assert.doesNotMatch(failed, /BAD \w|cannot open shared/)
  })

  it('makes and mounts file systems', async () => {
    const make =
      'truncate -s 64M /tmp/fs && mkfs.ext4 -q /tmp/fs && /usr/bin/mount -o loop /tmp/fs /mnt && /usr/bin/umount /mnt'
    const vfat = 'truncate -s 64M /tmp/fat && mkfs.vfat /tmp/fat >/dev/null && /usr/bin/mount -o loop /tmp/fat /mnt'
    assert.match(await shell(guest, `${make} && ${vfat} && echo all-"mounted"; dmesg | tail -n 3`), /all-mounted/)
  })

  it('leaves most of the memory free', async t => {
    const meminfo = await shell(guest, "sed -n 's/^MemAvailable: */available=/p' /proc/meminfo")
    const availableKb = Number(/available=(\d+) kB/.exec(meminfo)?.[1])
    t.diagnostic(`${Math.round(availableKb / 1024)} MB available of 512 with the agent running`)
    assert.ok(availableKb > 150_000, meminfo)
  })

  it('starts an agent that died again after two seconds', async () => {
    const before = guest.text.length
    await shell(guest, 'killall -9 node')
    await guest.waitFor(/the agent ended with status 137; starting it again in 2 s/, 20_000)
    await ironic.heartbeat(2)
    assert.match(guest.text.slice(before), /starting the agent/)
  })

  it('switches itself off when the power button is pressed', async t => {
    const startedAt = guest.seconds
    await guest.pressPowerButton()
    await guest.waitFor(/ferrite: poweroff/, 20_000)
    await guest.waitForOff(20_000)
    t.diagnostic(`off after ${(guest.seconds - startedAt).toFixed(1)} s`)
  })
})

let commands = 0

/** Runs a command in the shell that ferrite-debug gives on the serial port, and returns what the port said meanwhile. */
async function shell(guest: Guest, command: string): Promise<string> {
  const mark = `command-${++commands}`
  const from = guest.text.length
  // The echo of what is typed must not look like the end.
  guest.type(`${command}; echo "$(echo end-)${mark}"`)
  await guest.waitFor(new RegExp(`end-${mark}`), 90_000)
  return guest.text.slice(from)
}

/** The certificate is for the address inside of the guest, hence the check of the name is left out. */
function get(options: { port: number; path: string; ca: string }): Promise<{ code: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, host: '127.0.0.1', checkServerIdentity: () => undefined }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve({ code: response.statusCode, body }))
    })
    outgoing.on('error', reject).end()
  })
}
