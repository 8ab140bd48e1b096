/**
 * What hardware measures as IPMI has it: for each sensor a record that describes it and a raw reading. Temperatures are
 * signed degrees, fans have a factor, power supplies tell watts and, as a sensor of states, whether they failed.
 *
 * Source: IPMI v2.0 rev 1.1, 43.1 "SDR type 01h", 43.2 "SDR type 02h", table 42-3 "Sensor type codes".
 */
import type { Hardware, SensorHealth } from '../redfish/hardware.ts'

export interface SimulatedSensor {
  record: Buffer
  /** Null: there is no reading now. */
  raw: number | null
  /** Of a threshold sensor: which are passed; of a sensor of states: which hold. */
  states: number
}

const types = { temperature: 0x01, fan: 0x04, powerSupply: 0x08, other: 0x0b } as const
const units = { celsius: 1, watts: 6, rpm: 18 } as const
const entities = { board: 7, fan: 29, powerSupply: 10 } as const
/** Thresholds that are passed: upper non-critical, upper critical. */
const passed: Readonly<Record<SensorHealth, number>> = { OK: 0, Warning: 0x08, Critical: 0x18 }
/** The supply is there, and it failed or will fail. */
const supplyStates: Readonly<Record<SensorHealth, number>> = { OK: 0x01, Warning: 0x05, Critical: 0x03 }
const rpmPerStep = 100
const wattsPerStep = 4

/** Sensor numbers count from 1, records from 0. */
export function sensorsOf(hardware: Hardware): SimulatedSensor[] {
  const measured = hardware.sensors?.()
  if (!measured) return []
  const made: ((number: number) => SimulatedSensor)[] = [
    ...measured.temperatures.map(({ name, celsius }) => (number: number) => ({
      record: full({ number, name, type: types.temperature, unit: units.celsius, entity: entities.board, factor: 1 }),
      raw: Math.round(celsius) & 0xff,
      states: 0,
    })),
    ...measured.fans.map(({ name, rpm, health }) => (number: number) => ({
      record: full({ number, name, type: types.fan, unit: units.rpm, entity: entities.fan, factor: rpmPerStep }),
      raw: Math.min(255, Math.round(rpm / rpmPerStep)),
      states: passed[health],
    })),
    ...measured.supplies.flatMap(({ name, watts, health }) => [
      (number: number) => ({
        record: full({
          number,
          name: `${name} Output`,
          type: types.other,
          unit: units.watts,
          entity: entities.powerSupply,
          factor: wattsPerStep,
        }),
        raw: Math.min(255, Math.round(watts / wattsPerStep)),
        states: 0,
      }),
      (number: number) => ({
        record: compact({ number, name: `${name} Status`, type: types.powerSupply, entity: entities.powerSupply }),
        raw: 0,
        states: supplyStates[health],
      }),
    ]),
  ]
  return made.map((make, index) => make(index + 1))
}

/** @param sensor.factor what one step of the raw reading stands for */
function full(sensor: {
  number: number
  name: string
  type: number
  unit: number
  entity: number
  factor: number
}): Buffer {
  const { number, name, type, unit, entity, factor } = sensor
  const record = Buffer.alloc(48)
  record.set(headOf(0x01, number, entity))
  record.set([0x7f, 0x68, type, 0x01], 10)
  // All thresholds can be read; temperatures are in two's complement.
  record.set([0x3f, 0x3f], 18)
  record[20] = type === types.temperature ? 0x80 : 0
  record[21] = unit
  record[24] = factor & 0xff
  record[25] = (factor >> 2) & 0xc0
  return named(record, 47, name)
}

function compact(sensor: { number: number; name: string; type: number; entity: number }): Buffer {
  const { number, name, type, entity } = sensor
  const record = Buffer.alloc(32)
  record.set(headOf(0x02, number, entity))
  record.set([0x67, 0x40, type, 0x6f], 10)
  // The states that it can tell; it has no analogue reading.
  record.set([0x0f, 0x00, 0x0f, 0x00, 0x0f, 0x00, 0xc0], 14)
  return named(record, 31, name)
}

function headOf(type: number, number: number, entity: number): number[] {
  const id = number - 1
  return [id & 0xff, id >> 8, 0x51, type, 0, 0x20, 0, number, entity, number]
}

/** Adds the name, in ASCII, and writes the length of the whole. */
function named(record: Buffer, at: number, name: string): Buffer {
  const text = Buffer.from(name.slice(0, 16), 'latin1')
  record[at] = 0xc0 | text.length
  const whole = Buffer.concat([record, text])
  whole[4] = whole.length - 5
  return whole
}
