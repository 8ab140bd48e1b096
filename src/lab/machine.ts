/**
 * A machine of the lab: a QEMU process while it has power, and what outlives the process: boot override, virtual media,
 * serial port, cables, counters. Power on starts the process and power off is its end, whoever caused it, so the power
 * state cannot lie. It knows nothing of Redfish beyond the words of its BMC's `Hardware`.
 *
 * The boot order. QEMU hands its order to the firmware at each reset and takes changes (`qom-set bootindex`) for the
 * next one. So QEMU always holds the order of the *next* boot: when a boot has begun, a `Once` override is used up and
 * the usual order is put in its place. A guest that reboots by itself is then no special case. Firmware resets the
 * machine again by itself, within milliseconds; a boot has begun when no reset followed for a while.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { copyFile, open, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { bootNextFromUrl } from './firmware-variables.ts'
import { fetchMedia } from './media.ts'
import { setLink } from './network.ts'
import {
  bootOrder,
  FIRMWARE_VARIABLES,
  MANUFACTURER,
  type MediaSource,
  MODEL,
  mediaNode,
  type QemuRequest,
  QMP_SOCKET,
  qemuArguments,
  SCREEN_SOCKET,
  SECURE_VARIABLES,
  variablesFile,
} from './qemu.ts'
import { Qmp, type QmpEvent } from './qmp.ts'
import type {
  BootOverride,
  Hardware,
  HardwareFacts,
  HardwareSerial,
  Media,
  MediaLogin,
  PowerState,
  ResetType,
} from './redfish/hardware.ts'
import { SerialPort } from './serial.ts'
import { socketPath } from './sockets.ts'
import type { LabMachine, LabState } from './state.ts'
import { StreamedMedia } from './streamed-media.ts'

/** QEMU opens its control socket within this time, however busy the host is. */
const START_LIMIT_MS = 30_000
/** A reset by the guest so soon after another is the firmware's, and no boot of its own. */
const FIRMWARE_RESET_MS = 1000
/** A boot has begun when this much has passed since the last reset. */
const BOOT_BEGAN_MS = 2000
/** After a graceful restart was asked for, a shutdown within this time is followed by a start. */
const RESTART_LIMIT_MS = 300_000

/** What happened to a machine since the lab is up. */
export interface Counters {
  /** Processes started. */
  power_ons: number
  /** Resets that the BMC caused without taking power away. */
  resets: number
  /** Resets that the guest caused: a reboot by its system, or by its firmware. */
  guest_resets: number
  /** Ends of power that the BMC forced. */
  forced_offs: number
  /** Times the guest switched itself off, asked or not. */
  guest_offs: number
  /** Ends of the process that nobody asked for. */
  crashes: number
}

export class Machine extends EventEmitter<{ power: [PowerState] }> implements Hardware {
  readonly facts: HardwareFacts
  readonly counters: Counters = { power_ons: 0, resets: 0, guest_resets: 0, forced_offs: 0, guest_offs: 0, crashes: 0 }
  readonly #machine: LabMachine
  readonly #lab: LabState
  readonly serial: HardwareSerial
  readonly #serial: SerialPort
  readonly #log: (line: string) => void
  readonly #pulledCables = new Set<number>()

  #power: PowerState = 'Off'
  #process: ChildProcess | null = null
  #qmp: Qmp | null = null
  /** Power changes wait for each other, as there is one relay. */
  #queue: Promise<void> = Promise.resolve()
  #bootOrderQueue: Promise<void> = Promise.resolve()
  #override: BootOverride = { enabled: 'Disabled', target: 'None' }
  #overrideSetAtMs = 0
  #media: (Media & { source: MediaSource; discard(): Promise<void> }) | null = null
  #mediaCount = 0
  #diskError: QemuRequest['diskError'] = null
  readonly #secureBoot: { enabled: boolean; current: boolean }
  #lastResetAtMs = 0
  #bootTimer: NodeJS.Timeout | undefined
  /** Why the process is about to end, if we know. */
  #ending: 'forced' | 'guest' | null = null
  #restartUntilMs = 0

  constructor(machine: LabMachine, lab: LabState, log: (line: string) => void) {
    super()
    this.#machine = machine
    this.#lab = lab
    this.#log = line => log(`${machine.name}: ${line}`)
    this.#serial = new SerialPort({ rawLog: machine.serial_log, timedLog: machine.timed_log })
    this.serial = this.#serial.plug
    this.facts = factsOf(machine)
    this.#secureBoot = { enabled: machine.secure_boot, current: machine.secure_boot }
  }

  /** Makes disks and firmware variables that are not there yet, and opens the console. The machine stays off. */
  async prepare(): Promise<void> {
    for (const disk of this.#machine.disks) {
      const file = await open(disk.file, 'a')
      await file.truncate(disk.size_bytes)
      await file.close()
    }
    if (this.#machine.firmware === 'uefi') {
      await copyFile(FIRMWARE_VARIABLES, variablesFile(this.#machine, { secureBoot: false }))
      await copyFile(SECURE_VARIABLES, variablesFile(this.#machine, { secureBoot: true }))
    }
    await this.#serial.listen(this.#machine.console_socket)
  }

  /** Takes power away and closes the console. */
  async close(): Promise<void> {
    this.#enqueue('power off', () => this.#stop(0))
    await this.#queue
    await this.ejectMedia()
    await this.#serial.close()
  }

  power(): PowerState {
    return this.#power
  }

  boot(): BootOverride {
    return this.#override
  }

  media(): Media | null {
    return this.#media === null ? null : { image: this.#media.image }
  }

  linkUp(nic: number): boolean {
    return this.#power !== 'Off' && !this.#pulledCables.has(nic)
  }

  secureBoot(): { enabled: boolean; current: boolean } {
    return { ...this.#secureBoot }
  }

  openScreen(): Duplex {
    // Without power there is no QEMU to answer, and the connection fails.
    return connect(socketPath(join(this.#machine.directory, SCREEN_SOCKET)))
  }

  setSecureBoot(enabled: boolean): void {
    this.#secureBoot.enabled = enabled
    this.#log(`secure boot ${enabled ? 'on' : 'off'} from the next power-on`)
  }

  reset(type: ResetType): void {
    this.#enqueue(type, () => this.#carryOut(type))
  }

  async #carryOut(type: ResetType): Promise<void> {
    const delayMs = this.#lab.power_delay_ms
    // A later command says what happens after a shutdown that is still under way.
    if (type !== 'Nmi') this.#restartUntilMs = 0
    switch (type) {
      case 'On':
      case 'ForceOn':
        return this.#start(delayMs)
      case 'ForceOff':
        return this.#stop(delayMs)
      case 'PowerCycle':
        await this.#stop(delayMs)
        return this.#start(delayMs)
      case 'PushPowerButton':
        return this.#process === null ? this.#start(delayMs) : this.#command('system_powerdown')
      case 'GracefulShutdown':
        return this.#command('system_powerdown')
      case 'GracefulRestart':
        this.#restartUntilMs = Date.now() + RESTART_LIMIT_MS
        return this.#command('system_powerdown')
      case 'ForceRestart':
        return this.#command('system_reset')
      case 'Nmi':
        return this.#command('inject-nmi')
    }
  }

  async setBoot(override: BootOverride): Promise<void> {
    this.#override = override
    this.#overrideSetAtMs = Date.now()
    this.#log(`boot override ${override.enabled} ${override.target} ${override.url ?? ''}`.trim())
    await this.#applyBootOrder()
  }

  async insertMedia(image: string, login?: MediaLogin): Promise<void> {
    // Each image has a file of its own: the one before may still be open in QEMU.
    const file = join(this.#machine.directory, `media-${++this.#mediaCount}.iso`)
    await fetchMedia(image, file, login)
    await this.ejectMedia()
    this.#media = { image, source: { file }, discard: () => rm(file, { force: true }) }
    this.#log(`media inserted: ${image}`)
    await this.#showMedia(this.#media.source)
  }

  async streamMedia(stream: Duplex): Promise<void> {
    const streamed = await StreamedMedia.open(stream)
    await this.ejectMedia()
    const media = { image: null, source: { socket: streamed.socket }, discard: () => streamed.close() }
    this.#media = media
    this.#log('media sent by a client')
    void streamed.ended.then(async () => {
      if (this.#media !== media) return
      await this.ejectMedia().catch(error => this.#log(`cannot eject what is sent no more: ${messageOf(error)}`))
    })
    await this.#showMedia(media.source)
  }

  async #showMedia(source: MediaSource): Promise<void> {
    if (this.#qmp === null) return
    await this.#command('blockdev-add', mediaNode(source))
    await this.#command('blockdev-open-tray', { id: 'cd0', force: true })
    await this.#command('blockdev-insert-medium', { id: 'cd0', 'node-name': 'media0' })
    await this.#command('blockdev-close-tray', { id: 'cd0' })
  }

  async ejectMedia(): Promise<void> {
    const media = this.#media
    if (media === null) return
    this.#media = null
    this.#log('media ejected')
    if (this.#qmp !== null) {
      await this.#command('blockdev-open-tray', { id: 'cd0', force: true })
      await this.#command('blockdev-remove-medium', { id: 'cd0' })
      await this.#command('blockdev-del', { 'node-name': 'media0' })
      await this.#command('blockdev-close-tray', { id: 'cd0' })
    }
    await media.discard()
  }

  /** Plugs or pulls all cables: the guest sees its carrier go, and no packet passes. */
  async setCables(state: 'up' | 'down'): Promise<void> {
    for (const [index, nic] of this.#machine.nics.entries()) {
      if (state === 'down') this.#pulledCables.add(index)
      else this.#pulledCables.delete(index)
      await setLink(nic.tap, state)
      await this.#setCarrier(index)
    }
    this.#log(`cables ${state}`)
  }

  /** From the next power-on every read or write of the disks fails; null mends them. */
  setDiskError(kind: QemuRequest['diskError']): void {
    this.#diskError = kind
  }

  /** The process dies as if the machine had lost its mains. */
  kill(): void {
    this.#process?.kill('SIGKILL')
  }

  #enqueue(what: string, work: () => Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      this.#log(what)
      await work().catch(error => this.#log(`${what} failed: ${messageOf(error)}`))
    })
  }

  async #start(delayMs: number): Promise<void> {
    if (this.#process !== null) return
    this.#setPower('PoweringOn')
    await sleep(delayMs)
    try {
      await this.#launch()
      this.#setPower('On')
    } catch (error) {
      this.kill()
      this.#setPower('Off')
      throw error
    }
  }

  async #launch(): Promise<void> {
    const { directory } = this.#machine
    await rm(join(directory, QMP_SOCKET), { force: true })
    const { url } = this.#override
    const variables = variablesFile(this.#machine, { secureBoot: this.#secureBoot.enabled })
    // Firmware reads it when the machine is switched on; a reset alone brings nothing new into its flash.
    if (url !== undefined) await bootNextFromUrl(variables, url)
    const args = qemuArguments({
      machine: this.#machine,
      accelerator: this.#lab.accelerator,
      bootOrder: bootOrder(this.#machine, this.#override),
      media: this.#media?.source ?? null,
      secureBoot: this.#secureBoot.enabled,
      httpBoot: this.#override.target === 'UefiHttp',
      diskError: this.#diskError,
    })
    this.#secureBoot.current = this.#secureBoot.enabled
    // The kernel kills QEMU with us: a supervisor that dies leaves no machine behind.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
      cwd: directory,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process = child
    this.#ending = null
    const startedAtMs = Date.now()
    let said = ''
    const qemuLog = createWriteStream(join(directory, 'qemu.log'), { flags: 'a' })
    child.stdout.on('data', (bytes: Buffer) => this.#serial.write(bytes))
    child.stderr.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-1000)
      qemuLog.write(bytes)
    })
    child.on('close', (code, signal) => {
      qemuLog.end()
      this.#ended(signal ?? `status ${code}`)
    })
    this.#serial.attach(child.stdin, `power on #${this.counters.power_ons + 1}`)

    const limit = AbortSignal.timeout(START_LIMIT_MS)
    const gone = new AbortController()
    child.once('close', () => gone.abort(new Error(`QEMU ended at once: ${said.trim()}`)))
    child.once('error', error => gone.abort(error))
    this.#qmp = await Qmp.open(socketPath(join(directory, QMP_SOCKET)), AbortSignal.any([limit, gone.signal]))
    this.#qmp.on('event', event => this.#heard(event))
    for (const index of this.#pulledCables) await this.#setCarrier(index)
    await this.#command('cont')
    this.counters.power_ons++
    this.#firmwareStarts(startedAtMs)
  }

  async #stop(delayMs: number): Promise<void> {
    const child = this.#process
    if (child === null) return
    this.#setPower('PoweringOff')
    await sleep(delayMs)
    if (this.#process !== child) return // it ended by itself meanwhile
    this.#ending = 'forced'
    const ended = once(child, 'close')
    child.kill('SIGKILL')
    await ended
  }

  #ended(how: string): void {
    clearTimeout(this.#bootTimer)
    this.#qmp?.close()
    this.#qmp = null
    this.#process = null
    if (this.#ending === 'forced') this.counters.forced_offs++
    else if (this.#ending === 'guest') this.counters.guest_offs++
    else this.counters.crashes++
    const text = this.#ending === null ? `lost power (${how})` : `power off (${this.#ending})`
    this.#log(text)
    this.#serial.detach(text)
    this.#setPower('Off')
    if (this.#ending === 'guest' && Date.now() < this.#restartUntilMs) this.reset('On')
  }

  #heard(event: QmpEvent): void {
    if (event.event === 'SHUTDOWN' && event.data.guest === true) this.#ending = 'guest'
    if (event.event !== 'RESET') return
    const byGuest = event.data.guest === true
    const byFirmware = byGuest && event.atMs - this.#lastResetAtMs < FIRMWARE_RESET_MS
    this.#lastResetAtMs = event.atMs
    this.#firmwareStarts(event.atMs)
    if (byFirmware) return
    if (byGuest) this.counters.guest_resets++
    else this.counters.resets++
    const text = byGuest ? 'reset by the guest' : 'reset by the BMC'
    this.#log(text)
    this.#serial.mark(text)
  }

  /** The firmware has been handed the boot order; an override for one boot is used up when the boot goes on. */
  #firmwareStarts(atMs: number): void {
    clearTimeout(this.#bootTimer)
    this.#bootTimer = setTimeout(() => {
      const used = this.#override.enabled === 'Once' && this.#overrideSetAtMs <= atMs
      if (used) this.#override = { enabled: 'Disabled', target: 'None' }
      this.#applyBootOrder().catch(error => this.#log(`cannot set the boot order: ${messageOf(error)}`))
    }, BOOT_BEGAN_MS)
  }

  /** One at a time, each with what is wanted when its turn comes: two that mix would end in neither's order. */
  #applyBootOrder(): Promise<void> {
    const applied = this.#bootOrderQueue.then(async () => {
      const qmp = this.#qmp
      await this.#sendBootOrder().catch(error => {
        // A machine that lost its power meanwhile gets the order when it starts again.
        if (qmp?.closed !== true) throw error
      })
    })
    this.#bootOrderQueue = applied.catch(() => {}) // the caller hears of it
    return applied
  }

  async #sendBootOrder(): Promise<void> {
    if (this.#qmp === null) return
    const order = bootOrder(this.#machine, this.#override)
    // Two devices may not have one index, even for a moment: all are taken out first.
    for (const value of [() => -1, (id: string) => order.indexOf(id)]) {
      for (const id of order) {
        await this.#command('qom-set', {
          path: `/machine/peripheral/${id}`,
          property: 'bootindex',
          value: value(id),
        })
      }
    }
  }

  async #setCarrier(nic: number): Promise<void> {
    await this.#qmp?.execute('set_link', { name: `nic${nic}`, up: !this.#pulledCables.has(nic) })
  }

  async #command(command: string, args?: Record<string, unknown>): Promise<void> {
    await this.#qmp?.execute(command, args)
  }

  #setPower(state: PowerState): void {
    if (this.#power === state) return
    this.#power = state
    this.emit('power', state)
  }
}

function factsOf(machine: LabMachine): HardwareFacts {
  const uefi = machine.firmware === 'uefi'
  return {
    name: machine.name,
    uuid: machine.uuid,
    manufacturer: MANUFACTURER,
    model: MODEL,
    serialNumber: machine.serial_number,
    assetTag: machine.asset_tag,
    biosVersion: uefi ? 'OVMF' : 'SeaBIOS',
    bootMode: uefi ? 'UEFI' : 'Legacy',
    bootTargets: ['None', 'Pxe', 'Hdd', 'Cd', ...(uefi ? (['UefiHttp'] as const) : [])],
    cpus: machine.cpus,
    memoryMb: machine.memory_mb,
    nics: machine.nics.map(({ mac }) => ({ mac })),
    disks: machine.disks.map((disk, index) => ({
      name: `disk${index}`,
      sizeBytes: disk.size_bytes,
      serial: disk.serial,
      protocol: { virtio: 'PCIe', scsi: 'SAS', sata: 'SATA', nvme: 'NVMe' }[disk.bus],
    })),
  }
}
