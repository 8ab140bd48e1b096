/**
 * What a BMC's commands do to the hardware behind it: power, boot options, sensors, what it is. An answer is the
 * completion code and its data. Sessions are not known here.
 *
 * Source: IPMI v2.0 rev 1.1, 20 "Global commands", 28 "Chassis commands", 33 "SDR", 35 "Sensor device commands".
 */
import { chassisControls, commands, completion, netFns, privileges } from '#protocol/ipmi/commands.ts'
import type { Message } from '#protocol/ipmi/message.ts'
import type { BootTarget, Hardware, ResetType } from '../redfish/hardware.ts'
import { type SimulatedSensor, sensorsOf } from './sensors.ts'

export interface BmcState {
  hardware: Hardware
  /** Parameters of the boot options, as they were set. */
  bootOptions: Map<number, Uint8Array>
  sdrReservation: number
  sdrBytes: number
}

type Answer = readonly number[] | Promise<readonly number[]>
type Handler = (state: BmcState, data: Uint8Array) => Answer

/** By network function and command: the privilege that it needs, and what it does. */
const handlers: Readonly<Record<number, Readonly<Record<number, readonly [privilege: number, Handler]>>>> = {
  [netFns.chassis]: {
    [commands.chassis.status]: [privileges.USER, chassisStatus],
    [commands.chassis.control]: [privileges.OPERATOR, chassisControl],
    [commands.chassis.setBootOptions]: [privileges.OPERATOR, setBootOptions],
    [commands.chassis.getBootOptions]: [privileges.OPERATOR, getBootOptions],
  },
  [netFns.sensor]: { [commands.sensor.getReading]: [privileges.USER, sensorReading] },
  [netFns.app]: {
    [commands.app.getDeviceId]: [privileges.USER, deviceId],
    [commands.app.coldReset]: [privileges.ADMINISTRATOR, () => [completion.ok]],
    [commands.app.warmReset]: [privileges.ADMINISTRATOR, () => [completion.ok]],
  },
  [netFns.storage]: {
    [commands.storage.getRepositoryInfo]: [privileges.USER, repositoryInfo],
    [commands.storage.reserveRepository]: [privileges.USER, reserve],
    [commands.storage.getSdr]: [privileges.USER, sdr],
  },
}

export async function answerCommand(state: BmcState, request: Message, privilege: number): Promise<readonly number[]> {
  const found = handlers[request.netFn]?.[request.command]
  if (!found) return [completion.invalidCommand]
  const [needed, handle] = found
  return privilege < needed ? [completion.insufficientPrivilege] : handle(state, request.data)
}

function isOn({ hardware }: BmcState): boolean {
  return ['On', 'PoweringOff'].includes(hardware.power())
}

function chassisStatus(state: BmcState): Answer {
  const sensors = state.hardware.sensors?.()
  const isBad = (parts: readonly { health: string }[] = []) => parts.some(({ health }) => health === 'Critical')
  const power = (isOn(state) ? 0x01 : 0) | (isBad(sensors?.supplies) ? 0x08 : 0)
  return [completion.ok, power, 0, isBad(sensors?.fans) ? 0x08 : 0]
}

const resets: Readonly<Record<number, ResetType>> = {
  [chassisControls.off]: 'ForceOff',
  [chassisControls.on]: 'On',
  [chassisControls.cycle]: 'PowerCycle',
  [chassisControls.reset]: 'ForceRestart',
  [chassisControls.diagnosticInterrupt]: 'Nmi',
  [chassisControls.softOff]: 'GracefulShutdown',
}

function chassisControl(state: BmcState, [control = 0xff]: Uint8Array): Answer {
  const type = resets[control]
  if (!type) return [completion.invalidData]
  const needsPower = type === 'PowerCycle' || type === 'ForceRestart' || type === 'Nmi'
  if (needsPower && !isOn(state)) return [completion.notNow]
  state.hardware.reset(type)
  return [completion.ok]
}

const bootFlags = 5
/** Parameters without meaning here that clients set around the flags. */
const keptParameters = [0, 1, 3, 4]

const targets: Readonly<Record<number, BootTarget>> = { 0: 'None', 1: 'Pxe', 2: 'Hdd', 5: 'Cd' }

async function setBootOptions({ hardware, bootOptions }: BmcState, data: Uint8Array): Promise<readonly number[]> {
  const parameter = (data[0] ?? 0) & 0x7f
  if (parameter !== bootFlags) {
    if (!keptParameters.includes(parameter)) return [0x80]
    bootOptions.set(parameter, data.slice(1))
    return [completion.ok]
  }
  const [, flags = 0, device = 0] = data
  bootOptions.set(bootFlags, data.slice(1))
  const target = targets[(device >> 2) & 0x0f]
  if (target === undefined) return [completion.ok]
  if (target !== 'None' && !hardware.facts.bootTargets.includes(target)) return [completion.invalidData]
  const isSet = (flags & 0x80) !== 0 && target !== 'None'
  const enabled = (flags & 0x40) !== 0 ? 'Continuous' : 'Once'
  await hardware.setBoot(isSet ? { enabled, target } : { enabled: 'Disabled', target: 'None' })
  return [completion.ok]
}

function getBootOptions(state: BmcState, [parameter = 0]: Uint8Array): Answer {
  const kept = state.bootOptions.get(parameter)
  if (parameter !== bootFlags) return kept ? [completion.ok, 1, parameter, ...kept] : [0x80]
  const [flags = 0, device = 0, ...rest] = kept ?? [0, 0, 0, 0, 0]
  const { enabled, target } = state.hardware.boot()
  const named = targets[(device >> 2) & 0x0f]
  // What a boot has used up does not hold any more.
  const isUsedUp = named !== undefined && enabled === 'Disabled'
  const selector = Object.entries(targets).find(([, each]) => each === target)?.[0] ?? '0'
  const current = named === undefined ? device : (device & 0xc3) | (Number(selector) << 2)
  return [completion.ok, 1, bootFlags, isUsedUp ? flags & 0x7f : flags, current, ...rest]
}

/** Ours is no maker that has a number: the private one of "reserved for examples". */
const manufacturer = [0x39, 0x30, 0x00]

function deviceId(): Answer {
  return [completion.ok, 0x20, 0x01, 0x01, 0x00, 0x02, 0x83, ...manufacturer, 0x01, 0x00, 0, 0, 0, 0]
}

function sensorReading({ hardware }: BmcState, [number = 0]: Uint8Array): Answer {
  const sensor = sensorsOf(hardware)[number - 1]
  if (!sensor) return [completion.notPresent]
  const { raw, states } = sensor
  return raw === null ? [completion.ok, 0, 0x60, 0, 0] : [completion.ok, raw, 0xc0, states & 0xff, 0x80 | (states >> 8)]
}

function repositoryInfo({ hardware }: BmcState): Answer {
  const count = sensorsOf(hardware).length
  return [completion.ok, 0x51, count & 0xff, count >> 8, 0xff, 0xff, 1, 0, 0, 0, 1, 0, 0, 0, 0x02]
}

function reserve(state: BmcState): Answer {
  state.sdrReservation = (state.sdrReservation + 1) & 0xffff || 1
  return [completion.ok, state.sdrReservation & 0xff, state.sdrReservation >> 8]
}

const lastRecord = 0xffff

function sdr(state: BmcState, data: Uint8Array): Answer {
  const [low = 0, high = 0, idLow = 0, idHigh = 0, offset = 0, wanted = 0xff] = data
  const reservation = low | (high << 8)
  if ((offset > 0 || reservation !== 0) && reservation !== state.sdrReservation) return [completion.reservationLost]
  const all = sensorsOf(state.hardware)
  const asked = idLow | (idHigh << 8)
  const index = asked === lastRecord ? all.length - 1 : asked
  const sensor: SimulatedSensor | undefined = all[index]
  if (!sensor) return [completion.notPresent]
  const { record } = sensor
  const length = wanted === 0xff ? record.length - offset : wanted
  if (length > state.sdrBytes) return [completion.tooManyBytes]
  const next = index + 1 < all.length ? index + 1 : lastRecord
  return [completion.ok, next & 0xff, next >> 8, ...record.subarray(offset, offset + length)]
}
