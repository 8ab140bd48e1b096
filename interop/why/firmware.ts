/**
 * The firmware of a bench machine, run in its network namespace: asks for an address, fetches the loader by TFTP, asks
 * again as iPXE, follows the scripts over HTTP, and lets the ramdisk ask for its address. Prints how far it came, a line
 * of JSON each; the last one says what is to run then. It knows nothing of the service.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { systemClock } from '#lib/clock.ts'
import { run } from '#lib/run.ts'
import { netboot } from '#sim/netboot.ts'
import { Network } from '#sim/network.ts'

/** What a machine's firmware, loader and kernel are like. */
export interface Habits {
  mac: string
  /** Whose offer is taken where there are several, by the firmware and by its loader; null: the first. */
  server: string | null
  loaderServer: string | null
  /** `deaf`: what comes to a port above 1023 is lost on its way, as behind a firewall. */
  tftp: 'works' | 'deaf'
  /** `hangs`: it is for another kind of machine. */
  loader: 'works' | 'hangs'
  /**
   * `reboots`: soon after its start; `silent`: it panics, or has no driver for the card; `off`: the machine goes off.
   */
  kernel: 'works' | 'silent' | 'reboots' | 'off'
  /** As it says in option 93; 0: x86 in BIOS mode. */
  arch: number
  /** What it boots from where no boot device is set. */
  order: 'network' | 'disk'
  /** `unbootable`: the firmware finds nothing on it that it could start, and goes on with the network. */
  disk: 'boots' | 'unbootable'
  /** How often the firmware asks for an address before it goes on with its next boot device. */
  attempts: number
}

export type Outcome =
  | { outcome: 'ramdisk'; parameters: Record<string, string> }
  | { outcome: 'stuck' | 'reboots' | 'off'; after: string }

interface Lease {
  ip: string
  file: string
  nextServer: string
}

const probe = join(import.meta.dirname, '../../src/boot/netboot-probe.ts')
const execute = promisify(execFile)

if (import.meta.main) {
  const habits = JSON.parse(process.argv[2] ?? '{}') as Habits // written by machine.ts
  process.stdout.write(`${JSON.stringify(await boot(habits))}\n`)
  process.exit(0) // whatever connection is still open
}

async function boot(habits: Habits): Promise<Outcome> {
  const { mac, arch, loaderServer } = habits
  const named = `PXEClient:Arch:${String(arch).padStart(5, '0')}:UNDI:003016`
  const first = await leased(habits, ['--arch', String(arch), '--vendor-class', named])
  if (first === null || first.file === '') return { outcome: 'stuck', after: 'DHCP' }
  const limit = habits.tftp === 'deaf' ? ['--deaf'] : []
  const loader = await asked(['--tftp', first.file, '--server', first.nextServer, ...limit])
  if (!isWhole(loader) || habits.loader === 'hangs') return { outcome: 'stuck', after: 'the loader' }
  const second = await leased({ ...habits, server: loaderServer }, ['--ipxe'])
  if (second === null || second.file === '') return { outcome: 'stuck', after: 'DHCP of the loader' }
  const signal = AbortSignal.timeout(600_000)
  const how = { macs: [mac], network: new Network(), clock: systemClock, signal, pauseMs: 300 }
  const loaded = await netboot({ bootUrl: second.file, ...how })
  if (loaded?.kind !== 'kernel') return { outcome: 'stuck', after: 'the boot script' }
  if (habits.kernel === 'silent') return { outcome: 'stuck', after: 'the kernel' }
  if (habits.kernel === 'reboots' || habits.kernel === 'off') return { outcome: habits.kernel, after: 'the kernel' }
  await leased(habits, ['--vendor-class', 'ferrite-ramdisk'])
  return { outcome: 'ramdisk', parameters: Object.fromEntries(loaded.parameters) }
}

/** Asks until somebody answers, and takes the address into use. */
async function leased({ mac, attempts, server }: Habits, more: readonly string[]): Promise<Lease | null> {
  const prefers = server === null ? [] : ['--prefers', server]
  for (let attempt = 0; attempt < attempts; attempt++) {
    const lease = (await asked(['--mac', mac, ...prefers, ...more])) as Lease | null // what the probe prints
    if (lease !== null) {
      await run('ip', ['address', 'replace', `${lease.ip}/24`, 'dev', 'eth0'])
      return lease
    }
    await sleep(500)
  }
  return null
}

async function asked(args: readonly string[]): Promise<unknown> {
  try {
    const { stdout } = await execute(process.execPath, [probe, ...args])
    return JSON.parse(stdout)
  } catch {
    return null
  }
}

function isWhole(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'error' in answer && answer.error === null
}
