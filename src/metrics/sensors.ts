/** What sensors of nodes told last, as metrics: read some hundred nodes at a time. */
import type { Db } from '#db/database.ts'
import { type LatestSensors, latestSensors } from '#db/sensors.ts'
import { type Family, labelText, sample } from '#lib/instruments.ts'
import { type Sensor, sensorHealths, sensorTypes } from '#protocol/sensors.ts'

const nodesAtOnce = 200

interface Gauge {
  readonly name: string
  readonly help: string
  lines(latest: LatestSensors): [labels: string, value: number][]
}

const gauges: readonly Gauge[] = [
  readings('ferrite_sensor_temperature_celsius', 'Temperature that the BMC of a node tells.', 'celsius'),
  readings('ferrite_sensor_fan_speed_rpm', 'Speed of a fan in turns a minute.', 'rpm'),
  readings('ferrite_sensor_fan_speed_percent', 'Speed of a fan, of BMCs that tell no turns.', 'percent'),
  readings('ferrite_sensor_power_watts', 'Output of a power supply.', 'watts'),
  {
    name: 'ferrite_sensor_health',
    help: 'Health of a part as its BMC tells it: 0 is OK, 1 warning, 2 critical.',
    lines: latest =>
      sensorsOf(latest).flatMap(({ labels, sensor: { health } }) =>
        health === undefined ? [] : [[labels, sensorHealths.indexOf(health)]],
      ),
  },
  {
    name: 'ferrite_sensors_read_timestamp_seconds',
    help: 'When the sensors of a node were read last, in seconds since 1970.',
    lines: latest => [[nodeLabels(latest), latest.readAtMs / 1000]],
  },
  {
    name: 'ferrite_sensors_stale',
    help: '1 where the last read of the sensors of a node failed.',
    lines: latest => [[nodeLabels(latest), latest.isStale ? 1 : 0]],
  },
]

export function sensorFamilies(db: Db): Family[] {
  return gauges.map(({ name, help, lines }) => ({
    name,
    help,
    type: 'gauge',
    async *samples() {
      for (let last: string | undefined = ''; last !== undefined; ) {
        const page: LatestSensors[] = await latestSensors(db, last, nodesAtOnce)
        for (const latest of page) for (const [labels, value] of lines(latest)) yield sample(name, labels, value)
        last = page.at(-1)?.uuid
      }
    },
  }))
}

function readings(name: string, help: string, unit: NonNullable<Sensor['unit']>): Gauge {
  const lines = (latest: LatestSensors) =>
    sensorsOf(latest).flatMap(({ labels, sensor }): [string, number][] =>
      sensor.unit === unit && sensor.reading !== undefined ? [[labels, sensor.reading]] : [],
    )
  return { name, help, lines }
}

function sensorsOf(latest: LatestSensors): { labels: string; sensor: Sensor }[] {
  return sensorTypes.flatMap(type =>
    Object.entries(latest.data[type] ?? {}).map(([name, sensor]) => ({
      labels: `${nodeLabels(latest)},${labelText({ type, sensor: name })}`,
      sensor,
    })),
  )
}

function nodeLabels({ uuid, name }: LatestSensors): string {
  return labelText({ node: uuid, name: name ?? '' })
}
