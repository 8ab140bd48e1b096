/**
 * Metrics in the text format of Prometheus, outside of the API: no version, no authentication, and only where it is
 * switched on. Each family of metrics is a function from the rows to its lines; they are written as they are read, some
 * hundred nodes at a time, so that a large fleet's answer is never in memory as a whole.
 *
 * Source: Prometheus, "Exposition formats", text-based format 0.0.4.
 */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Db } from '#db/database.ts'
import { type LatestSensors, latestSensors } from '#db/sensors.ts'
import { type Sensor, sensorHealths, sensorTypes } from '#protocol/sensors.ts'

export const metricsPath = '/metrics'
const nodesAtOnce = 200

/** Adds the route. */
export function addMetrics(app: FastifyInstance, db: Db): void {
  app.route({
    method: 'GET',
    url: metricsPath,
    config: { outside: true },
    async handler(_request, reply) {
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(Readable.from(metricsText(db)))
    },
  })
}

interface Family {
  readonly name: string
  readonly help: string
  lines(latest: LatestSensors): string[]
}

const families: readonly Family[] = [
  readings('ferrite_sensor_temperature_celsius', 'Temperature that the BMC of a node tells.', 'celsius'),
  readings('ferrite_sensor_fan_speed_rpm', 'Speed of a fan in turns a minute.', 'rpm'),
  readings('ferrite_sensor_fan_speed_percent', 'Speed of a fan, of BMCs that tell no turns.', 'percent'),
  readings('ferrite_sensor_power_watts', 'Output of a power supply.', 'watts'),
  {
    name: 'ferrite_sensor_health',
    help: 'Health of a part as its BMC tells it: 0 is OK, 1 warning, 2 critical.',
    lines: latest =>
      sensorsOf(latest).flatMap(({ labels, sensor: { health } }) =>
        health === undefined ? [] : [`{${labels}} ${sensorHealths.indexOf(health)}`],
      ),
  },
  {
    name: 'ferrite_sensors_read_timestamp_seconds',
    help: 'When the sensors of a node were read last, in seconds since 1970.',
    lines: latest => [`{${nodeLabels(latest)}} ${latest.readAtMs / 1000}`],
  },
  {
    name: 'ferrite_sensors_stale',
    help: '1 where the last read of the sensors of a node failed.',
    lines: latest => [`{${nodeLabels(latest)}} ${latest.isStale ? 1 : 0}`],
  },
]

async function* metricsText(db: Db): AsyncGenerator<string> {
  for (const { name, help, lines } of families) {
    yield `# HELP ${name} ${help}\n# TYPE ${name} gauge\n`
    for (let last: string | undefined = ''; last !== undefined; ) {
      const page: LatestSensors[] = await latestSensors(db, last, nodesAtOnce)
      const text = page.flatMap(latest => lines(latest).map(line => `${name}${line}\n`)).join('')
      if (text !== '') yield text
      last = page.at(-1)?.uuid
    }
  }
}

function readings(name: string, help: string, unit: NonNullable<Sensor['unit']>): Family {
  const lines = (latest: LatestSensors) =>
    sensorsOf(latest).flatMap(({ labels, sensor }) =>
      sensor.unit === unit && sensor.reading !== undefined ? [`{${labels}} ${sensor.reading}`] : [],
    )
  return { name, help, lines }
}

function sensorsOf(latest: LatestSensors): { labels: string; sensor: Sensor }[] {
  return sensorTypes.flatMap(type =>
    Object.entries(latest.data[type] ?? {}).map(([name, sensor]) => ({
      labels: `${nodeLabels(latest)},type="${type}",sensor="${escaped(name)}"`,
      sensor,
    })),
  )
}

function nodeLabels({ uuid, name }: LatestSensors): string {
  return `node="${uuid}",name="${escaped(name ?? '')}"`
}

function escaped(text: string): string {
  return text.replace(/["\\\n]/g, found => (found === '\n' ? '\\n' : `\\${found}`))
}
