/**
 * Faults that a lab injects, and the one table of their names: what `ferrite lab fault NODE KIND [VALUE]` accepts. Those
 * of the BMC are wrapped around an honest emulator and an honest machine, which know nothing of them.
 */
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidInput } from '#lib/fault.ts'
import { completion } from '#protocol/ipmi/commands.ts'
import type { Machine } from './machine.ts'
import type { Blocked } from './network.ts'
import type { Hardware, PowerState } from './redfish/hardware.ts'
import { RedfishError } from './redfish/messages.ts'
import type { RedfishService } from './redfish/service.ts'

/** How a BMC misbehaves now. */
export interface BmcFaults {
  /** Each answer comes this much later. */
  delayMs: number
  /** So many answers are 503. */
  unavailableCount: number
  /** Requests are taken and never answered. */
  hang: boolean
  /** Requests are taken, and their connection is broken off. */
  drop: boolean
  /** Reported whatever the machine does. */
  power: PowerState | null
  /** Power commands are accepted and forgotten. */
  ignoreReset: boolean
  /** Boot overrides are accepted and forgotten: the machine goes on with its usual order. */
  ignoreBoot: boolean
}

export const noBmcFaults = (): BmcFaults => ({
  delayMs: 0,
  unavailableCount: 0,
  hang: false,
  drop: false,
  power: null,
  ignoreReset: false,
  ignoreBoot: false,
})

/** What a fault acts on. */
export interface Target {
  machine: Pick<Machine, 'setCables' | 'setDiskError' | 'kill'>
  faults: BmcFaults
  /** Opens or closes the BMC's port. */
  setReachable(reachable: boolean): Promise<void>
  /** Loses what is sent for DHCP or TFTP on the lab's network, or lets it pass. */
  setBlocked(what: Blocked, isBlocked: boolean): Promise<void>
  /** What is injected and goes on, with its value: kept here. */
  injected: Map<string, string>
}

interface FaultKind {
  /** What VALUE means; null when there is none. */
  value: string | null
  doc: string
  apply(target: Target, value: string): Promise<void> | void
}

export const faultKinds = {
  'bmc-delay': {
    value: 'MILLISECONDS',
    doc: 'the BMC answers so much later; 0 ends it',
    apply: ({ faults }, value) => {
      faults.delayMs = count('bmc-delay', value)
    },
  },
  'bmc-503': {
    value: 'COUNT',
    doc: 'the next COUNT answers of the BMC are 503',
    apply: ({ faults }, value) => {
      faults.unavailableCount = count('bmc-503', value)
    },
  },
  'bmc-hang': {
    value: null,
    doc: 'the BMC takes requests and never answers',
    apply: ({ faults }) => {
      faults.hang = true
    },
  },
  'bmc-drop': {
    value: null,
    doc: 'the BMC takes requests and breaks the connection off',
    apply: ({ faults }) => {
      faults.drop = true
    },
  },
  'bmc-down': {
    value: null,
    doc: 'nothing listens at the BMC: connections are refused',
    apply: ({ setReachable }) => setReachable(false),
  },
  'bmc-lie': {
    value: 'On|Off',
    doc: 'the BMC reports this power state, whatever the machine does',
    apply: ({ faults }, value) => {
      if (value !== 'On' && value !== 'Off') throw wrong('bmc-lie', value, 'On or Off')
      faults.power = value
    },
  },
  'bmc-ignore-power': {
    value: null,
    doc: 'the BMC accepts power commands and does nothing',
    apply: ({ faults }) => {
      faults.ignoreReset = true
    },
  },
  'bmc-ignore-boot': {
    value: null,
    doc: 'the BMC accepts a boot device and forgets it: wrong boot order',
    apply: ({ faults }) => {
      faults.ignoreBoot = true
    },
  },
  'link-down': {
    value: null,
    doc: 'the network cables are pulled: no DHCP answer arrives',
    apply: ({ machine }) => machine.setCables('down'),
  },
  'dhcp-mute': {
    value: null,
    doc: 'no answer of DHCP reaches any machine of the lab',
    apply: ({ setBlocked }) => setBlocked('dhcp', true),
  },
  'tftp-stop': {
    value: null,
    doc: 'no request for a file reaches TFTP, from any machine of the lab',
    apply: ({ setBlocked }) => setBlocked('tftp', true),
  },
  'disk-error': {
    value: 'read|write',
    doc: 'from the next power-on every read or write of the disks fails',
    apply: ({ machine }, value) => {
      if (value !== 'read' && value !== 'write') throw wrong('disk-error', value, 'read or write')
      machine.setDiskError(value)
    },
  },
  kill: {
    value: null,
    doc: 'the machine loses power at once, without the BMC',
    apply: ({ machine }) => machine.kill(),
  },
  clear: {
    value: null,
    doc: 'all faults end',
    apply: async ({ machine, faults, setReachable, setBlocked }) => {
      Object.assign(faults, noBmcFaults())
      machine.setDiskError(null)
      await machine.setCables('up')
      await setReachable(true)
      await setBlocked('dhcp', false)
      await setBlocked('tftp', false)
    },
  },
} satisfies Record<string, FaultKind>

export type FaultName = keyof typeof faultKinds

/** @throws InvalidInput for an unknown kind, or a value that does not fit it */
export async function injectFault(target: Target, name: string, value: string | undefined): Promise<void> {
  if (!Object.hasOwn(faultKinds, name)) {
    const known = Object.keys(faultKinds).join(', ')
    throw new InvalidInput(`Cannot inject a fault: found the kind ${name}, expected one of ${known}`)
  }
  const kind: FaultKind = faultKinds[name as FaultName] // hasOwn has just said so
  if (kind.value === null && value !== undefined) throw wrong(name, value, 'no value')
  if (kind.value !== null && value === undefined) throw wrong(name, 'none', kind.value)
  await kind.apply(target, value ?? '')
  if (name === 'clear') target.injected.clear()
  else if (value === '0') target.injected.delete(name)
  else if (name !== 'kill') target.injected.set(name, value ?? '')
}

/** The machine as a lying BMC shows and treats it. */
export function lyingHardware(hardware: Hardware, faults: BmcFaults): Hardware {
  return {
    facts: hardware.facts,
    power: () => faults.power ?? hardware.power(),
    reset: type => {
      if (!faults.ignoreReset) hardware.reset(type)
    },
    boot: () => hardware.boot(),
    setBoot: async override => {
      if (!faults.ignoreBoot) await hardware.setBoot(override)
    },
    media: () => hardware.media(),
    insertMedia: (image, login) => hardware.insertMedia(image, login),
    ...(hardware.streamMedia && { streamMedia: async (stream: Duplex) => hardware.streamMedia?.(stream) }),
    ejectMedia: () => hardware.ejectMedia(),
    linkUp: nic => hardware.linkUp(nic),
    ...(hardware.serial && { serial: hardware.serial }),
    ...(hardware.openScreen && { openScreen: hardware.openScreen.bind(hardware) }),
    ...(hardware.secureBoot && { secureBoot: () => hardware.secureBoot?.() ?? { enabled: false, current: false } }),
    ...(hardware.setSecureBoot && { setSecureBoot: (enabled: boolean) => hardware.setSecureBoot?.(enabled) }),
  }
}

/** The service as a slow or overloaded BMC answers. */
export function failingService(service: RedfishService, faults: BmcFaults): RedfishService {
  const serve = async (request: Request): Promise<Response> => {
    if (faults.hang) return new Promise(() => {})
    // Whoever holds the socket breaks it off where there is no answer.
    if (faults.drop) throw new Error('the connection is broken off, as was asked for')
    if (faults.delayMs > 0) await sleep(faults.delayMs)
    if (faults.unavailableCount > 0) {
      faults.unavailableCount--
      const error = new RedfishError('ServiceTemporarilyUnavailable', '1')
      const headers = { 'Content-Type': 'application/json', 'Retry-After': '1' }
      return new Response(JSON.stringify(error.body()), { status: error.status, headers })
    }
    return service(request)
  }
  return Object.assign(serve, { connect: service.connect })
}

/** What the same BMC does over IPMI: how late its answers are, which packets it loses, and what it refuses for now. */
export function failingIpmi(faults: BmcFaults, isReachable: () => boolean) {
  return {
    delayMs: () => faults.delayMs,
    loses: () => faults.hang || !isReachable(),
    before() {
      if (faults.unavailableCount <= 0) return undefined
      faults.unavailableCount--
      return completion.nodeBusy
    },
  }
}

function count(name: string, value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw wrong(name, value, 'a whole number from 0')
  return Number(value)
}

function wrong(name: string, found: string, expected: string): InvalidInput {
  return new InvalidInput(`Cannot inject ${name}: found the value ${found}, expected ${expected}`)
}
