/**
 * Sensors over IPMI, in the shape that all drivers tell them: temperatures, fans, power supplies and their output,
 * drives, and the faults of the chassis. Voltages, currents and the rest have no place in that shape yet.
 *
 * Source: IPMI v2.0 rev 1.1, 35.5 "Get Sensor Reading Factors", 35.14 "Get Sensor Reading", tables 42-2 "Generic event
 * and reading types", 42-3 "Sensor types", 43-13 "Entity IDs", 43-15 "Sensor units".
 */
import { commands, netFns } from '#protocol/ipmi/commands.ts'
import type { Sensor, SensorData, SensorType } from '#protocol/sensors.ts'
import type { NodeContext } from '../driver.ts'
import { chassisStatus } from './chassis.ts'
import type { IpmiClient } from './client.ts'
import { clientOf } from './clients.ts'
import { IpmiRefused } from './faults.ts'
import { sensorRecords } from './repository.ts'
import { type Analog, decodeFactors, isNonLinear, readingOf, type SensorRecord } from './sdr.ts'

const getFactors = 0x23
const thresholds = 0x01
const byType = 0x6f

const units = { celsius: 1, fahrenheit: 2, kelvin: 3, watts: 6, rpm: 18 } as const
const types = { temperature: 0x01, fan: 0x04, powerSupply: 0x08, powerUnit: 0x09, other: 0x0b, drive: 0x0d } as const

interface Reading {
  /** Undefined: the sensor has none now. */
  raw: number | undefined
  states: number
}

/** All that the BMC tells. @throws HardwareFault when it cannot be reached or has no readable description of them */
export async function readSensors(ctx: NodeContext): Promise<SensorData> {
  const { signal } = ctx
  const client = clientOf(ctx)
  const { faults } = await chassisStatus(client, signal)
  const system: Sensor = faults.length > 0 ? { health: 'Critical', about: faults.join(', ') } : { health: 'OK' }
  const data: Partial<Record<SensorType, Record<string, Sensor>>> = { System: { chassis: system } }
  for (const record of await sensorRecords(client, signal)) {
    const type = typeOf(record)
    // Sensors of other controllers have to be asked there.
    if (!type || record.owner !== bmcOwner) continue
    const reading = await readingFrom(client, record, signal)
    if (!reading) continue
    data[type] ??= {}
    const named = data[type]
    named[uniqueName(named, record)] = await sensorOf(client, record, reading, signal)
  }
  return data
}

const bmcOwner = 0x20

/** Undefined for a sensor that says nothing that anybody asks for here. */
export function typeOf({ type, analog, eventType }: SensorRecord): SensorType | undefined {
  const isAnalog = analog !== null && eventType === thresholds
  switch (type) {
    case types.temperature:
      return isAnalog ? 'Temperature' : undefined
    case types.fan:
      return 'Fan'
    case types.powerSupply:
    case types.powerUnit:
    case types.other:
      if (isAnalog) return analog.unit === units.watts ? 'Power' : undefined
      return type === types.powerSupply && eventType === byType ? 'Power' : undefined
    case types.drive:
      return eventType === byType ? 'Drive' : undefined
    default:
      return undefined
  }
}

/** Undefined where it cannot be read now: a part that is not there, a machine that is off. */
async function readingFrom(
  client: IpmiClient,
  record: SensorRecord,
  signal: AbortSignal,
): Promise<Reading | undefined> {
  const { getReading: command } = commands.sensor
  const what = `the question for sensor "${record.name}"`
  const asked = { netFn: netFns.sensor, command, data: [record.number], lun: record.lun, asUser: true, what }
  const answer = await client.ask(asked, signal).catch(error => {
    if (error instanceof IpmiRefused && !error.mayPass) return undefined
    throw error
  })
  const [raw, flags = 0, first = 0, second = 0] = answer ?? []
  const isScanned = (flags & 0x40) !== 0
  const isAvailable = (flags & 0x20) === 0
  if (raw === undefined || !isScanned || !isAvailable) return undefined
  return { raw, states: first | ((second & 0x7f) << 8) }
}

async function sensorOf(
  client: IpmiClient,
  record: SensorRecord,
  { raw, states }: Reading,
  signal: AbortSignal,
): Promise<Sensor> {
  const health = healthOf(record, states)
  const about = entityNames[record.entity.id]
  const told: Sensor = { ...(health ? { health } : {}), ...(about ? { about } : {}) }
  if (!record.analog || record.eventType !== thresholds || raw === undefined) return told
  return { ...told, ...(await measured(client, record, record.analog, raw, signal)) }
}

async function measured(
  client: IpmiClient,
  record: SensorRecord,
  analog: Analog,
  raw: number,
  signal: AbortSignal,
): Promise<Sensor> {
  let { factors } = analog
  if (isNonLinear(analog)) {
    const what = `the question for the factors of sensor "${record.name}"`
    const asked = {
      netFn: netFns.sensor,
      command: getFactors,
      data: [record.number, raw],
      lun: record.lun,
      asUser: true,
    }
    const answer = await client.ask({ ...asked, what }, signal).catch(error => {
      if (error instanceof IpmiRefused && !error.mayPass) return undefined
      throw error
    })
    if (!answer || answer.length < 7) return {}
    factors = decodeFactors(answer.subarray(1))
  }
  const reading = readingOf(analog, raw, factors)
  return reading === undefined ? {} : inOurUnit(analog, reading)
}

function inOurUnit({ unit, isPercentage }: Analog, reading: number): Sensor {
  if (isPercentage) return { reading, unit: 'percent' }
  switch (unit) {
    case units.celsius:
      return { reading, unit: 'celsius' }
    case units.fahrenheit:
      return { reading: rounded(((reading - 32) * 5) / 9), unit: 'celsius' }
    case units.kelvin:
      return { reading: rounded(reading - 273.15), unit: 'celsius' }
    case units.rpm:
      return { reading, unit: 'rpm' }
    case units.watts:
      return { reading, unit: 'watts' }
    default:
      return {}
  }
}

/** States that hold, as bits: which of them are bad, by what kind of sensor. */
const badStates: Readonly<Record<number, { critical: number; warning: number }>> = {
  // Failure, lost input, input out of range; predictive failure, wrong configuration.
  [types.powerSupply]: { critical: 0b0011010, warning: 0b1100100 },
  // Fault, failed array; predictive failure, consistency check, critical array, rebuild under way.
  [types.drive]: { critical: 0b001000010, warning: 0b010110100 },
}
const thresholdStates = { critical: 0b110110, warning: 0b001001 }

export function healthOf(
  { type, eventType }: Pick<SensorRecord, 'type' | 'eventType'>,
  states: number,
): Sensor['health'] {
  const bad = eventType === thresholds ? thresholdStates : eventType === byType ? badStates[type] : undefined
  if (!bad) return undefined
  return (states & bad.critical) !== 0 ? 'Critical' : (states & bad.warning) !== 0 ? 'Warning' : 'OK'
}

const entityNames: Readonly<Record<number, string>> = {
  3: 'processor',
  4: 'disk',
  7: 'system board',
  8: 'memory module',
  10: 'power supply',
  15: 'drive backplane',
  23: 'system chassis',
  29: 'fan',
  30: 'cooling unit',
  32: 'memory device',
  55: 'air inlet',
  64: 'air inlet',
  65: 'processor',
  66: 'system board',
}

/** Names repeat: the entity's number tells them apart, else a count. */
function uniqueName(named: Readonly<Record<string, Sensor>>, { name, entity }: SensorRecord): string {
  let unique = name
  for (let number = 2; Object.hasOwn(named, unique); number += 1) {
    unique = number === 2 ? `${name} ${entity.id}.${entity.instance}` : `${name} #${number}`
  }
  return unique
}

const rounded = (value: number) => Math.round(value * 100) / 100
