/**
 * How soon the agent of a ramdisk calls after the kernel's start, and in how little memory: boots it in QEMU, emulated,
 * in front of a provisioning API as small as the agent needs. Seconds are those of the guest's own clock.
 *
 *   node bench/ramdisk-boot.ts [--dir var/build/ramdisk] [--memory-mb 512] [--runs 3] [--instructions]
 *
 * `--instructions` lets that clock run by what the processor does, one nanosecond for each instruction of one processor,
 * and jump over idle time: how fast this machine emulates then plays no part, and a processor that does three
 * instructions in a nanosecond takes a third of what is not waiting.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startFakeIronic } from '#agent/fake-ironic.ts'

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: 'var/build/ramdisk' },
    'memory-mb': { type: 'string', default: '512' },
    runs: { type: 'string', default: '3' },
    instructions: { type: 'boolean', default: false },
  },
})
const limitMs = 600_000

const [kernel, initramfs] = ['kernel', 'initramfs'].map(name => join(values.dir, `ferrite-agent.${name}`))
console.log(
  `${initramfs}: ${(statSync(initramfs ?? '').size / 1e6).toFixed(1)} MB, ${values['memory-mb']} MiB of memory`,
)
const clock = values.instructions ? 'one instruction per ns' : 'this machine, emulating'
console.log(`seconds since the kernel's start (${clock}):`)
for (let run = 1; run <= Number(values.runs); run++) console.log((await boot()).join('  '))

async function boot(): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'ferrite-boot-'))
  const serial = join(directory, 'serial')
  // Without one the agent would wait for it.
  const disk = join(directory, 'disk')
  writeFileSync(disk, '')
  truncateSync(disk, 4 * 2 ** 30)
  const ironic = await startFakeIronic()
  const port = new URL(ironic.url).port
  const parameters = `console=ttyS0,115200 ipa-api-url=https://10.0.2.2:${port} ipa-insecure=1 BOOTIF=01-52-54-00-00-00-01`
  const machine = spawn(
    'qemu-system-x86_64',
    [
      ...[
        '-machine',
        'q35',
        '-cpu',
        'max',
        '-m',
        `${values['memory-mb']}`,
        '-nodefaults',
        '-display',
        'none',
        '-no-reboot',
      ],
      ...(values.instructions ? ['-accel', 'tcg', '-icount', 'shift=0,sleep=off'] : ['-accel', 'tcg', '-smp', '2']),
      ...['-kernel', `${kernel}`, '-initrd', `${initramfs}`, '-append', parameters, '-serial', `file:${serial}`],
      ...['-drive', `if=virtio,format=raw,file=${disk}`],
      ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,mac=52:54:00:00:00:01'],
    ],
    { stdio: 'inherit' },
  )
  try {
    const text = () => (existsSync(serial) ? readFileSync(serial, 'latin1') : '')
    const called = ironic.heartbeat(1).then(() => true)
    const ended = once(machine, 'exit').then(() => false)
    const gaveUp = sleep(limitMs, false, { ref: false })
    if (!(await Promise.race([called, ended, gaveUp])))
      return [`no heartbeat; its console ends with\n${text().slice(-1500)}`]
    const heartbeat = /\[ *([\d.]+)\][^\n]*The first heartbeat was taken/
    for (let waited = 0; !heartbeat.test(text()) && waited < 30_000; waited += 100) await sleep(100)
    const at = (pattern: RegExp) => pattern.exec(text())?.[1] ?? '?'
    return [
      `init ${at(/\[ *([\d.]+)\] ferrite: ramdisk/)}`,
      `address ${at(/\[ *([\d.]+)\] ferrite: \S+ has the address/)}`,
      `agent starts ${at(/\[ *([\d.]+)\] ferrite: starting the agent/)}`,
      `node found ${at(/\[ *([\d.]+)\][^\n]*This machine is node/)}`,
      `heartbeat ${at(heartbeat)}`,
      /\d+ MB of memory, \d+ MB available/.exec(text())?.[0] ?? '',
    ]
  } finally {
    machine.kill('SIGKILL')
    await ironic.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
