/**
 * What a chassis tells of temperatures, fans and power supplies, in the form of BMCs of today or of older ones; pure
 * functions of the hardware. Machines that measure nothing have none of it.
 *
 * Source: DMTF DSP2046, ThermalSubsystem, PowerSubsystem, Thermal, Power.
 */
import type { Hardware, Sensors } from './hardware.ts'
import { CHASSIS, collection, type Resource, resource } from './resources.ts'

const thermalSubsystem = `${CHASSIS}/ThermalSubsystem`
const powerSubsystem = `${CHASSIS}/PowerSubsystem`
const fans = `${thermalSubsystem}/Fans`
const supplies = `${powerSubsystem}/PowerSupplies`
const link = (uri: string): Resource => ({ '@odata.id': uri })

/** The chassis' links to what it measures. */
export function sensorLinks(hardware: Hardware): Resource {
  const sensors = hardware.sensors?.()
  if (!sensors) return {}
  return sensors.hasSubsystems
    ? { ThermalSubsystem: link(thermalSubsystem), PowerSubsystem: link(powerSubsystem) }
    : { Thermal: link(`${CHASSIS}/Thermal`), Power: link(`${CHASSIS}/Power`) }
}

/** The resource below the chassis at this path; null where there is none. */
export function sensorResource(hardware: Hardware, below: string): Resource | null {
  const sensors = hardware.sensors?.()
  if (!sensors) return null
  const path = `${CHASSIS}/${below}`
  const all = sensors.hasSubsystems ? subsystemResources(sensors) : wholeResources(sensors)
  return all.get(path) ?? null
}

function wholeResources(sensors: Sensors): Map<string, Resource> {
  const part = (uri: string, index: number, name: string, rest: Resource) => ({
    '@odata.id': `${uri}#/${index}`,
    MemberId: String(index),
    Name: name,
    ...rest,
  })
  const thermal = `${CHASSIS}/Thermal`
  const power = `${CHASSIS}/Power`
  return new Map([
    [
      thermal,
      resource(thermal, 'Thermal.v1_7_1.Thermal', 'Thermal', {
        Temperatures: sensors.temperatures.map(({ name, context, celsius }, index) =>
          part(`${thermal}#/Temperatures`, index, name, {
            ReadingCelsius: celsius,
            PhysicalContext: context,
            Status: { State: 'Enabled', Health: 'OK' },
          }),
        ),
        Fans: sensors.fans.map(({ name, rpm, health }, index) =>
          part(`${thermal}#/Fans`, index, name, {
            Reading: rpm,
            ReadingUnits: 'RPM',
            Status: { State: 'Enabled', Health: health },
          }),
        ),
      }),
    ],
    [
      power,
      resource(power, 'Power.v1_7_1.Power', 'Power', {
        PowerSupplies: sensors.supplies.map(({ name, watts, capacityWatts, health }, index) =>
          part(`${power}#/PowerSupplies`, index, name, {
            LastPowerOutputWatts: watts,
            PowerCapacityWatts: capacityWatts,
            Status: { State: 'Enabled', Health: health },
          }),
        ),
      }),
    ],
  ])
}

function subsystemResources(sensors: Sensors): Map<string, Resource> {
  const metrics = `${thermalSubsystem}/ThermalMetrics`
  const found: Resource[] = [
    resource(thermalSubsystem, 'ThermalSubsystem.v1_3_2.ThermalSubsystem', 'Thermal subsystem', {
      ThermalMetrics: link(metrics),
      Fans: link(fans),
    }),
    resource(metrics, 'ThermalMetrics.v1_3_1.ThermalMetrics', 'Thermal metrics', {
      TemperatureReadingsCelsius: sensors.temperatures.map(({ name, context, celsius }) => ({
        DeviceName: name,
        PhysicalContext: context,
        Reading: celsius,
      })),
    }),
    collection(
      fans,
      'Fan',
      sensors.fans.map((_, index) => `${fans}/${index}`),
    ),
    ...sensors.fans.map(({ name, rpm, health }, index) =>
      resource(`${fans}/${index}`, 'Fan.v1_5_2.Fan', name, {
        SpeedPercent: { Reading: Math.min(100, Math.round(rpm / 120)), SpeedRPM: rpm },
        Status: { State: 'Enabled', Health: health },
      }),
    ),
    resource(powerSubsystem, 'PowerSubsystem.v1_1_3.PowerSubsystem', 'Power subsystem', {
      PowerSupplies: link(supplies),
    }),
    collection(
      supplies,
      'PowerSupply',
      sensors.supplies.map((_, index) => `${supplies}/${index}`),
    ),
    ...sensors.supplies.flatMap(({ name, watts, capacityWatts, health }, index) => {
      const uri = `${supplies}/${index}`
      return [
        resource(uri, 'PowerSupply.v1_6_0.PowerSupply', name, {
          PowerCapacityWatts: capacityWatts,
          Status: { State: 'Enabled', Health: health },
          Metrics: link(`${uri}/Metrics`),
        }),
        resource(`${uri}/Metrics`, 'PowerSupplyMetrics.v1_1_2.PowerSupplyMetrics', `Metrics of ${name}`, {
          OutputPowerWatts: { Reading: watts },
        }),
      ]
    }),
  ]
  return new Map(found.map(one => [String(one['@odata.id']), one]))
}
