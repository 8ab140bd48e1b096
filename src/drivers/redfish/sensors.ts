/**
 * Sensors over Redfish: temperatures, fans and power supplies of the chassis that a system sits in, drives of its
 * storage, and the health that it sums up itself. Chassis of today have subsystems with a resource for each part, older
 * ones one resource for all; each is read where it is offered. A part that the BMC does not have is left out.
 *
 * Source: DMTF DSP2046, Chassis, Thermal, ThermalSubsystem, Power, PowerSubsystem, Drive.
 */
import { type Static, Type } from 'typebox'
import { type Sensor, type SensorData, type SensorType, sensorHealths } from '#protocol/sensors.ts'
import type { NodeContext } from '../driver.ts'
import { Asker, partLimit } from './asker.ts'
import { type Reader, Reference, reader } from './client.ts'
import { Amount, Maybe, Text } from './maybe.ts'
import { readSystem } from './system.ts'

const Status = Maybe(Type.Object({ Health: Text, State: Text }))
const Part = { MemberId: Text, Id: Text, Name: Text, PhysicalContext: Text, Status }
/** A sensor within another resource. */
const Excerpt = Maybe(Type.Object({ Reading: Amount, SpeedRPM: Amount }))

const chassis = reader(
  'chassis',
  Type.Object({
    Thermal: Maybe(Reference),
    ThermalSubsystem: Maybe(Reference),
    Power: Maybe(Reference),
    PowerSubsystem: Maybe(Reference),
  }),
)
const thermal = reader(
  'thermal resource',
  Type.Object({
    Temperatures: Maybe(Type.Array(Type.Object({ ...Part, ReadingCelsius: Amount }))),
    Fans: Maybe(Type.Array(Type.Object({ ...Part, FanName: Text, Reading: Amount, ReadingUnits: Text }))),
  }),
)
const thermalSubsystem = reader(
  'thermal subsystem',
  Type.Object({ ThermalMetrics: Maybe(Reference), Fans: Maybe(Reference) }),
)
const thermalMetrics = reader(
  'thermal metrics',
  Type.Object({
    TemperatureReadingsCelsius: Maybe(
      Type.Array(Type.Object({ DeviceName: Text, DataSourceUri: Text, PhysicalContext: Text, Reading: Amount })),
    ),
  }),
)
const fan = reader('fan', Type.Object({ ...Part, SpeedPercent: Excerpt }))
const power = reader(
  'power resource',
  Type.Object({ PowerSupplies: Maybe(Type.Array(Type.Object({ ...Part, LastPowerOutputWatts: Amount }))) }),
)
const powerSubsystem = reader('power subsystem', Type.Object({ PowerSupplies: Maybe(Reference) }))
const powerSupply = reader('power supply', Type.Object({ ...Part, Metrics: Maybe(Reference) }))
const powerSupplyMetrics = reader('power supply metrics', Type.Object({ OutputPowerWatts: Excerpt }))
const storage = reader('storage', Type.Object({ Drives: Maybe(Type.Array(Reference)) }))
const drive = reader('drive', Type.Object({ ...Part, Model: Text }))

type Found = [type: SensorType, name: string, sensor: Sensor]

/** All that the BMC tells. @throws HardwareFault when it cannot be reached, or tells nothing of its systems */
export async function readSensors(ctx: NodeContext): Promise<SensorData> {
  const { client, system } = await readSystem(ctx)
  const asker = new Asker(client, ctx.signal)
  const found: Found[] = []
  const health = healthOf(system.Status?.HealthRollup ?? system.Status?.Health)
  if (health) found.push(['System', 'system', { health }])
  for (const { '@odata.id': path } of system.Links?.Chassis ?? []) {
    const body = await asker.get(path, chassis)
    if (!body) continue
    found.push(...(await thermalOf(asker, body)), ...(await powerOf(asker, body)))
  }
  for (const path of await asker.members(system.Storage)) {
    const body = await asker.get(path, storage)
    for (const each of (body?.Drives ?? []).slice(0, partLimit)) {
      const part = await asker.get(each['@odata.id'], drive)
      if (part) found.push(['Drive', nameOf(part), { ...standing(part), ...about(part.Model) }])
    }
  }
  return gathered(found)
}

type Body<R> = R extends Reader<infer S> ? Static<S> : never

async function thermalOf(asker: Asker, body: Body<typeof chassis>): Promise<Found[]> {
  const subsystem = await asker.linked(body.ThermalSubsystem, thermalSubsystem)
  if (!subsystem) {
    const all = await asker.linked(body.Thermal, thermal)
    return [
      ...(all?.Temperatures ?? []).flatMap(part => temperature(part, nameOf(part), part.ReadingCelsius)),
      ...(all?.Fans ?? []).map((part): Found => {
        const unit = part.ReadingUnits === 'Percent' ? 'percent' : 'rpm'
        const name = part.FanName ?? nameOf(part)
        return ['Fan', name, { ...reading(part.Reading, unit), ...standing(part), ...about(part.PhysicalContext) }]
      }),
    ]
  }
  const metrics = await asker.linked(subsystem.ThermalMetrics, thermalMetrics)
  const temperatures = (metrics?.TemperatureReadingsCelsius ?? []).flatMap(part => {
    const name = part.DeviceName ?? part.DataSourceUri?.split('/').at(-1) ?? part.PhysicalContext ?? 'unnamed'
    return temperature(part, name, part.Reading)
  })
  const fans: Found[] = []
  for (const path of await asker.members(subsystem.Fans)) {
    const part = await asker.get(path, fan)
    if (!part) continue
    const { SpeedRPM: rpm, Reading: percent } = part.SpeedPercent ?? {}
    const speed = typeof rpm === 'number' ? reading(rpm, 'rpm') : reading(percent, 'percent')
    fans.push(['Fan', nameOf(part), { ...speed, ...standing(part), ...about(part.PhysicalContext) }])
  }
  return [...temperatures, ...fans]
}

async function powerOf(asker: Asker, body: Body<typeof chassis>): Promise<Found[]> {
  const subsystem = await asker.linked(body.PowerSubsystem, powerSubsystem)
  const found: Found[] = []
  if (!subsystem) {
    const all = await asker.linked(body.Power, power)
    for (const part of all?.PowerSupplies ?? []) {
      found.push(['Power', nameOf(part), { ...reading(part.LastPowerOutputWatts, 'watts'), ...standing(part) }])
    }
    return found
  }
  for (const path of await asker.members(subsystem.PowerSupplies)) {
    const part = await asker.get(path, powerSupply)
    if (!part) continue
    const metrics = await asker.linked(part.Metrics, powerSupplyMetrics)
    found.push(['Power', nameOf(part), { ...reading(metrics?.OutputPowerWatts?.Reading, 'watts'), ...standing(part) }])
  }
  return found
}

interface Standing {
  Status?: { Health?: string | null; State?: string | null } | null
}

/** A sensor without a reading is an empty socket. */
function temperature(
  part: Standing & { PhysicalContext?: string | null },
  name: string,
  celsius: number | null | undefined,
): Found[] {
  if (typeof celsius !== 'number') return []
  return [['Temperature', name, { ...reading(celsius, 'celsius'), ...standing(part), ...about(part.PhysicalContext) }]]
}

function reading(value: number | null | undefined, unit: NonNullable<Sensor['unit']>): Sensor {
  return typeof value === 'number' ? { reading: value, unit } : {}
}

function standing({ Status: status }: Standing): Sensor {
  const health = healthOf(status?.Health)
  return health ? { health } : {}
}

function about(text: string | null | undefined): Sensor {
  return text ? { about: text } : {}
}

function healthOf(text: string | null | undefined): Sensor['health'] {
  return sensorHealths.find(known => known === text)
}

function nameOf(part: { Name?: string | null; MemberId?: string | null; Id?: string | null }): string {
  return part.Name ?? part.MemberId ?? part.Id ?? 'unnamed'
}

/** By type and name; a name that comes again gets a number. */
function gathered(found: readonly Found[]): SensorData {
  const data: Partial<Record<SensorType, Record<string, Sensor>>> = {}
  for (const [type, name, sensor] of found) {
    data[type] ??= {}
    const named = data[type]
    let unique = name
    for (let number = 2; Object.hasOwn(named, unique); number += 1) unique = `${name} #${number}`
    named[unique] = sensor
  }
  return data
}
