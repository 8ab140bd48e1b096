/** What a BMC measures of its machine: stored as the latest of each node, offered as metrics. Values only. */
import { type Static, Type } from 'typebox'

/** The better ones first. */
export const sensorHealths = ['OK', 'Warning', 'Critical'] as const

/** One sensor, or one part that tells how it does. What a BMC does not tell is left out. */
export const Sensor = Type.Object({
  /** In `unit`. */
  reading: Type.Optional(Type.Number()),
  unit: Type.Optional(
    Type.Union([Type.Literal('celsius'), Type.Literal('rpm'), Type.Literal('percent'), Type.Literal('watts')]),
  ),
  health: Type.Optional(Type.Union([Type.Literal('OK'), Type.Literal('Warning'), Type.Literal('Critical')])),
  /** Where it sits, or what part it is, in the BMC's words. */
  about: Type.Optional(Type.String()),
})
export type Sensor = Static<typeof Sensor>

/** The kinds of Ironic's `[sensor_data] data_types`. */
export const sensorTypes = ['Temperature', 'Fan', 'Power', 'Drive', 'System'] as const
export type SensorType = (typeof sensorTypes)[number]

/** By type and by a name that is unique within it. */
export type SensorData = Partial<Record<SensorType, Readonly<Record<string, Sensor>>>>
