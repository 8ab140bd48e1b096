/**
 * A machine of the bench, without QEMU: a mainboard with BMCs of both protocols, firmware that really boots over the
 * bench's network, a loop device as disk, and the real agent in the machine's network namespace. What is wrong with it is
 * set before it is switched on, or while it runs; it knows nothing of the service.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type LoopDisk, makeLoopDisk } from '#agent/loop-disk.ts'
import { type BmcFaults, failingService, lyingHardware, noBmcFaults } from '#lab/faults.ts'
import { IpmiBmc } from '#lab/ipmi/bmc.ts'
import { openIpmiPort } from '#lab/ipmi/server.ts'
import { fetchMedia } from '#lab/media.ts'
import type { BootTarget } from '#lab/redfish/hardware.ts'
import { RedfishServer } from '#lab/redfish/server.ts'
import { redfishService } from '#lab/redfish/service.ts'
import { systemClock } from '#lib/clock.ts'
import { selfSigned } from '#lib/x509.ts'
import { Chance } from '#sim/chance.ts'
import { type Circuit, SimHardware } from '#sim/hardware.ts'
import { type Cable, freshCard, layCable } from './cable.ts'
import type { Habits, Outcome } from './firmware.ts'

export interface MachineOptions {
  name: string
  /** Below 200. */
  number: number
  directory: string
  /** The agent's bundle. */
  agent: string
  /** 0: it has no disk. */
  diskMib: number
  /** Where the disk's content lies; default: a file of its own. */
  diskFolder?: string
  /** Sessions that its IPMI BMC has; default 8. */
  sessions?: number
}

const account = { username: 'admin', password: 'of-a-bench-bmc' }
const bmcAddress = '127.0.0.1'
const hourMs = 3600_000
const respawnMs = 500

/** The certificate of all BMCs. */
export const bmcCertificate = selfSigned({
  commonName: 'BMC of the bench',
  ipAddresses: [bmcAddress],
  notBefore: new Date(Date.now() - hourMs),
  notAfter: new Date(Date.now() + 24 * hourMs),
})

export class NetMachine implements Circuit {
  readonly name: string
  readonly mac: string
  /** What its firmware, loader and kernel do. */
  readonly habits: Habits
  /** What its BMC does. */
  readonly faults: BmcFaults = noBmcFaults()
  /** More words for the kernel's command line; the last of several wins. */
  readonly parameters: string[] = []
  /** MAC addresses of the cards that the ramdisk sees, each with the name of its interface. */
  readonly cards: Map<string, string>
  readonly disk: LoopDisk | null
  readonly cable: Cable
  readonly hardware: SimHardware
  /** Datagrams to and from its BMC get lost. */
  loses = false
  /** Done when power has come, before its firmware does anything. */
  atPowerOn: () => Promise<unknown> = async () => {}
  #isPulled = false
  readonly #options: MachineOptions
  readonly #directory: string
  readonly #closing = new AsyncDisposableStack()
  #redfish: RedfishServer | undefined
  #ipmiPort = 0
  #child: ChildProcess | undefined
  #boot = new AbortController()
  #respawns = true

  private constructor(options: MachineOptions, cable: Cable, mac: string) {
    const { name, number, directory, diskMib, diskFolder } = options
    this.#options = options
    this.name = name
    this.mac = mac
    this.cable = cable
    this.cards = new Map([['eth0', mac]])
    this.habits = {
      mac,
      server: null,
      loaderServer: null,
      tftp: 'works',
      loader: 'works',
      kernel: 'works',
      arch: 0,
      order: 'disk',
      disk: 'boots',
      attempts: 3,
    }
    this.#directory = join(directory, name)
    mkdirSync(join(this.#directory, 'buttons'), { recursive: true })
    this.disk = diskMib === 0 ? null : makeLoopDisk(diskMib, diskFolder === undefined ? {} : { folder: diskFolder })
    this.hardware = new SimHardware({
      facts: {
        name,
        uuid: `5d3b6c1e-3d5c-4d0e-9a56-0000000000${number.toString(16).padStart(2, '0')}`,
        manufacturer: 'Ferrite',
        model: 'Bench',
        serialNumber: `WHY${number}`,
        assetTag: '',
        biosVersion: '1.0',
        bootMode: 'Legacy',
        bootTargets: ['None', 'Pxe', 'Hdd', 'Cd'],
        cpus: 1,
        memoryMb: 2048,
        nics: [{ mac }],
        disks: [],
      },
      circuit: this,
      clock: systemClock,
      chance: new Chance(number),
      delayMs: { powerOn: [10, 50], powerOff: [10, 50] },
    })
  }

  static async plug(options: MachineOptions): Promise<NetMachine> {
    const mac = `52:54:00:fb:00:${options.number.toString(16).padStart(2, '0')}`
    const cable = await layCable(`m${options.number}`, mac)
    const machine = new NetMachine(options, cable, mac)
    await machine.#open()
    return machine
  }

  /** driver_info of its Redfish BMC. */
  get redfish(): Record<string, string> {
    return {
      redfish_address: `https://${bmcAddress}:${this.#redfish?.port}`,
      redfish_username: account.username,
      redfish_password: account.password,
    }
  }

  /** driver_info of its IPMI BMC. */
  get ipmi(): Record<string, string> {
    return {
      ipmi_address: bmcAddress,
      ipmi_port: String(this.#ipmiPort),
      ipmi_username: account.username,
      ipmi_password: account.password,
    }
  }

  /** Pulls the cable, as its Redfish BMC sees. */
  async pullCable(): Promise<void> {
    this.#isPulled = true
    await this.cable.pull()
  }

  /** Connections to its Redfish BMC are refused from now on. */
  async unplugBmc(): Promise<void> {
    await this.#redfish?.close()
  }

  /** What its agents printed and logged, for people. */
  agentLog(): string {
    const file = join(this.#directory, 'agent.out')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  /** The agent's process ends. @param respawns as init does; false: nothing runs there any more */
  crashAgent({ respawns }: { respawns: boolean }): void {
    this.#respawns = respawns
    this.#end()
    if (respawns) this.#runAgent(this.#boot.signal)
  }

  poweredOn(target: BootTarget): void {
    this.#boot = new AbortController()
    const { signal } = this.#boot
    const { order, disk } = this.habits
    const isNetwork =
      target === 'Pxe' || (target === 'None' && order === 'network') || (target === 'Hdd' && disk === 'unbootable')
    // Whoever waits for the machine says what is missing.
    this.atPowerOn()
      .then(() => (isNetwork ? this.#start(signal) : undefined))
      .catch(() => {})
  }

  poweredOff(): void {
    this.#boot.abort()
    this.#end()
  }

  obeysButton(): boolean {
    return false
  }

  async remove(): Promise<void> {
    this.hardware.unplug()
    await this.#closing.disposeAsync()
  }

  async #open(): Promise<void> {
    const { hardware, faults, cable, disk } = this
    this.#closing.defer(() => cable.remove())
    this.#closing.defer(() => disk?.remove())
    const lying = {
      ...lyingHardware(hardware, faults),
      linkUp: () => hardware.linkUp() && !this.#isPulled,
      insertMedia: async (image: string) => {
        await fetchMedia(image, join(this.#directory, 'media.iso'))
        await hardware.insertMedia(image)
      },
    }
    const service = redfishService({ hardware: lying, account, now: Date.now })
    const redfish = new RedfishServer({
      service: failingService(service, faults),
      ...bmcCertificate,
      address: bmcAddress,
      port: 0,
      accessLog: null,
    })
    await redfish.open()
    this.#closing.defer(() => redfish.end())
    this.#redfish = redfish
    const users = [{ name: account.username, password: account.password, privilege: 'ADMINISTRATOR' as const }]
    const bmc = new IpmiBmc({ hardware: lying, users, maxSessions: this.#options.sessions ?? 8 })
    const port = await openIpmiPort(bmc, { address: bmcAddress, loses: () => this.loses })
    this.#closing.use(port)
    this.#ipmiPort = port.port
    // The agent's power-off and reboot commands touch a file here.
    const buttons = watch(join(this.#directory, 'buttons'), (_, name) => {
      if (name === null || !existsSync(join(this.#directory, 'buttons', name))) return
      rmSync(join(this.#directory, 'buttons', name))
      if (name === 'reboot') hardware.restart()
      else hardware.switchOff()
    })
    this.#closing.defer(() => buttons.close())
  }

  async #start(signal: AbortSignal): Promise<void> {
    await freshCard(this.cable.namespace)
    const file = join(import.meta.dirname, 'firmware.ts')
    const outcome = await this.#firmware([process.execPath, '--disable-warning=ExperimentalWarning', file])
    if (signal.aborted || outcome === null) return
    if (outcome.outcome === 'reboots') return this.hardware.restart()
    if (outcome.outcome === 'off') return this.hardware.switchOff()
    if (outcome.outcome !== 'ramdisk') return
    rmSync(join(this.#directory, 'state'), { recursive: true, force: true })
    const words = Object.entries(outcome.parameters).map(([name, value]) => `${name}=${value}`)
    writeFileSync(join(this.#directory, 'cmdline'), [...words, ...this.parameters].join(' '))
    this.#respawns = true
    this.#runAgent(signal)
  }

  async #firmware(command: readonly string[]): Promise<Outcome | null> {
    const args = ['netns', 'exec', this.cable.namespace, ...command, JSON.stringify(this.habits)]
    const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true })
    this.#child = child
    let said = ''
    for await (const chunk of child.stdout) said += chunk
    const [last] = said.trim().split('\n').slice(-1)
    return last ? (JSON.parse(last) as Outcome) : null // its own program
  }

  /** As the ramdisk's init does: started again whenever it ends. */
  #runAgent(signal: AbortSignal): void {
    const at = (name: string) => join(this.#directory, name)
    rmSync(at('net'), { recursive: true, force: true })
    for (const [name, mac] of this.cards) {
      mkdirSync(at(`net/${name}/device`), { recursive: true })
      writeFileSync(at(`net/${name}/address`), `${mac}\n`)
      writeFileSync(at(`net/${name}/carrier`), '1\n')
    }
    const output = openSync(at('agent.out'), 'a')
    const child = spawn(
      'ip',
      [
        ...['netns', 'exec', this.cable.namespace],
        // Its cards have the looks of real ones; the one with a cable is the namespace's own.
        ...['sh', '-c', 'mount --bind "$0" /sys/class/net && exec "$@"', at('net')],
        ...[process.execPath, this.#options.agent, '--guest', '--only-devices', this.disk?.device ?? '/dev/null'],
        ...['--efi-dir', at('no-efi'), '--cmdline-file', at('cmdline'), '--state-dir', at('state')],
        ...['--temp-dir', this.#directory],
        ...['--power-off-command', `touch ${at('buttons/power-off')}`],
        ...['--reboot-command', `touch ${at('buttons/reboot')}`],
      ],
      // A group of its own, so that losing power ends all of it.
      { stdio: ['ignore', output, output], detached: true },
    )
    closeSync(output)
    this.#child = child
    child.once('exit', () => {
      if (signal.aborted || this.#child !== child) return
      setTimeout(() => {
        if (!signal.aborted && this.#respawns && this.#child === child) this.#runAgent(signal)
      }, respawnMs)
    })
  }

  /** A machine without power runs nothing. */
  #end(): void {
    const pid = this.#child?.pid
    this.#child = undefined
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
}
