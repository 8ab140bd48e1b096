/**
 * A machine without QEMU: a simulated mainboard with a BMC, firmware that boots by the service's boot scripts, a loop
 * device as disk, and the real agent as a process of its own. The agent sees one network card, the machine's, because
 * /sys/class/net is another directory in its mount namespace; it talks over this host's loopback. Needs root.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  type FSWatcher,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type LoopDisk, makeLoopDisk } from '#agent/loop-disk.ts'
import type { BootTarget } from '#lab/redfish/hardware.ts'
import { freePorts } from '#lab/service-process.ts'
import { systemClock } from '#lib/clock.ts'
import { Chance } from '#sim/chance.ts'
import { type Circuit, SimHardware } from '#sim/hardware.ts'
import { type KernelParameters, netboot } from '#sim/netboot.ts'
import { Network } from '#sim/network.ts'
import { Bmc } from './bmc.ts'

export interface MachineOptions {
  name: string
  /** Below 256; in its MAC address. */
  number: number
  directory: string
  /** The agent's bundle. */
  agent: string
  /** The entry of the boot scripts. */
  bootUrl: string
  diskMib: number
}

/** `stuck`: on, but nothing was found that boots. */
export type Running = 'off' | 'ramdisk' | 'instance' | 'stuck'

const respawnMs = 300

export class BenchMachine implements Circuit {
  readonly name: string
  readonly mac: string
  readonly disk: LoopDisk
  readonly hardware: SimHardware
  /** Tokens of its agents so far. */
  readonly tokens = new Set<string>()
  running: Running = 'off'
  readonly #options: MachineOptions
  readonly #directory: string
  readonly #network = new Network()
  readonly #buttons: FSWatcher
  #bmc: Bmc | undefined
  #agentPort = 0
  #agent: ChildProcess | undefined
  #respawns = true
  /** Ends with the power. */
  #boot = new AbortController()

  private constructor(options: MachineOptions) {
    this.#options = options
    this.name = options.name
    this.mac = `52:54:00:fa:00:${options.number.toString(16).padStart(2, '0')}`
    this.#directory = join(options.directory, options.name)
    mkdirSync(join(this.#directory, 'net/bench0/device'), { recursive: true })
    writeFileSync(join(this.#directory, 'net/bench0/address'), `${this.mac}\n`)
    writeFileSync(join(this.#directory, 'net/bench0/carrier'), '1\n')
    mkdirSync(join(this.#directory, 'buttons'))
    this.disk = makeLoopDisk(options.diskMib)
    this.hardware = new SimHardware({
      facts: {
        name: this.name,
        uuid: `5d3b6c1e-3d5c-4d0e-9a55-0000000000${options.number.toString(16).padStart(2, '0')}`,
        manufacturer: 'Ferrite',
        model: 'Bench',
        serialNumber: `BENCH${options.number}`,
        assetTag: '',
        biosVersion: '1.0',
        bootMode: 'UEFI',
        bootTargets: ['None', 'Pxe', 'Hdd', 'Cd'],
        cpus: 1,
        memoryMb: 2048,
        nics: [{ mac: this.mac }],
        disks: [],
      },
      circuit: this,
      clock: systemClock,
      chance: new Chance(options.number),
      delayMs: { powerOn: [10, 50], powerOff: [10, 50] },
    })
    // The agent's power-off and reboot commands touch a file here.
    this.#buttons = watch(join(this.#directory, 'buttons'), (_, name) => {
      if (name === null || !existsSync(join(this.#directory, 'buttons', name))) return
      rmSync(join(this.#directory, 'buttons', name))
      if (name === 'reboot') this.hardware.restart()
      else this.hardware.switchOff()
    })
  }

  static async plug(options: MachineOptions): Promise<BenchMachine> {
    const machine = new BenchMachine(options)
    machine.#bmc = await Bmc.open(machine.hardware)
    const [port = 0] = await freePorts(1)
    machine.#agentPort = port
    return machine
  }

  get bmc(): Bmc {
    if (this.#bmc === undefined) throw new Error(`${this.name} has no BMC yet`)
    return this.#bmc
  }

  /** Kernel parameters that tell its agent from those of other machines on this host. */
  get kernelParameters(): string {
    return `%default% ipa-listen-port=${this.#agentPort}`
  }

  /** The first bytes of the disk. */
  readDisk(sizeBytes: number): Buffer {
    const content = Buffer.alloc(sizeBytes)
    const handle = openSync(this.disk.device, 'r')
    try {
      readSync(handle, content, 0, sizeBytes, 0)
    } finally {
      closeSync(handle)
    }
    return content
  }

  /** Whether firmware would find something to start on the disk. */
  get isBootable(): boolean {
    return this.readDisk(512).readUInt16BE(510) === 0x55aa
  }

  /** SIGKILL for the agent process alone. @param options.respawns as init does; false: nothing runs there any more */
  crashAgent({ respawns }: { respawns: boolean }): void {
    this.#respawns = respawns
    this.#agent?.kill('SIGKILL')
  }

  /** What would boot from the network now; null for nothing. */
  async bootParameters(signal = AbortSignal.timeout(10_000)): Promise<KernelParameters | null> {
    const { bootUrl } = this.#options
    const [network, macs] = [this.#network, [this.mac]]
    const loaded = await netboot({ bootUrl, macs, network, clock: systemClock, signal, pauseMs: 100 })
    return loaded?.kind === 'kernel' ? loaded.parameters : null
  }

  /** What its agents printed and logged since power-on, for people. */
  agentLog(): string {
    const file = join(this.#directory, 'agent.out')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  poweredOn(target: BootTarget): void {
    this.#boot = new AbortController()
    const { signal } = this.#boot
    this.#start(target, signal).catch(() => {
      if (!signal.aborted) this.running = 'stuck'
    })
  }

  poweredOff(): void {
    this.#boot.abort()
    this.#keepToken()
    this.running = 'off'
    const { pid } = this.#agent ?? {}
    this.#agent = undefined
    if (pid === undefined) return
    try {
      // The agent and what it started: a machine without power runs nothing.
      process.kill(-pid, 'SIGKILL')
    } catch {
      // They have ended by themselves.
    }
  }

  obeysButton(): boolean {
    return this.running === 'instance'
  }

  async remove(): Promise<void> {
    this.#buttons.close()
    await Promise.all([this.#bmc?.unplug(), this.#network.close()])
    this.scrap()
  }

  /** At once: nothing runs any more, and the disk is gone. */
  scrap(): void {
    this.hardware.unplug()
    this.disk.remove()
  }

  async #start(target: BootTarget, signal: AbortSignal): Promise<void> {
    if (target === 'Pxe') {
      const parameters = await this.bootParameters(signal)
      if (parameters !== null) return this.#startRamdisk(parameters)
    }
    this.running = this.isBootable ? 'instance' : 'stuck'
  }

  #startRamdisk(parameters: KernelParameters): void {
    rmSync(join(this.#directory, 'state'), { recursive: true, force: true })
    const words = [...parameters].map(([name, value]) => `${name}=${value}`)
    writeFileSync(join(this.#directory, 'cmdline'), words.join(' '))
    this.running = 'ramdisk'
    this.#respawns = true
    this.#spawnAgent(this.#boot.signal)
  }

  /** As the ramdisk's init does: started again whenever it ends. */
  #spawnAgent(signal: AbortSignal): void {
    const at = (name: string) => join(this.#directory, name)
    const output = openSync(at('agent.out'), 'a')
    const child = spawn(
      'unshare',
      [
        ...['--mount', 'sh', '-c', 'mount --bind "$0" /sys/class/net && exec "$@"', at('net')],
        ...['env', 'MALLOC_MMAP_THRESHOLD_=262144', process.execPath, '--max-semi-space-size=1'],
        ...[this.#options.agent, '--guest', '--only-devices', this.disk.device],
        ...['--cmdline-file', at('cmdline'), '--state-dir', at('state'), '--temp-dir', this.#directory],
        ...['--power-off-command', `touch ${at('buttons/power-off')}`],
        ...['--reboot-command', `touch ${at('buttons/reboot')}`],
      ],
      // A group of its own, so that losing power ends all of it.
      { stdio: ['ignore', output, output], detached: true },
    )
    closeSync(output)
    this.#agent = child
    child.once('exit', () => {
      if (signal.aborted) return
      this.#keepToken()
      setTimeout(() => {
        if (!signal.aborted && this.#respawns) this.#spawnAgent(signal)
      }, respawnMs)
    })
  }

  #keepToken(): void {
    const file = join(this.#directory, 'state/token')
    if (existsSync(file)) this.tokens.add(readFileSync(file, 'utf8').trim())
  }
}
