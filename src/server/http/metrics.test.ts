import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enlistSensors, writeSensors } from '#db/sensors.ts'
import { startApi } from '../test-api.ts'

test('metrics tell the latest of each node, and are not there unless switched on', async () => {
  await using api = await startApi({ ferrite: { metrics: true } })
  const uuid = await api.node({ name: 'node-1' })
  await api.node({ name: 'never-read' })
  await enlistSensors(api.db, { nowMs: 0, everyMs: 1000 })
  const readAtMs = 1_700_000_000_500
  const data = {
    Temperature: { 'CPU "1"': { reading: 51.5, unit: 'celsius', health: 'OK', about: 'CPU' } },
    Fan: { Fan: { reading: 0, unit: 'rpm', health: 'Critical' } },
  } as const
  await writeSensors(api.db, uuid, { readAtMs, data })
  await writeSensors(api.db, uuid, { error: 'the BMC is away' })

  const reply = await fetch(`${api.url}/metrics`)
  assert.equal(reply.status, 200)
  assert.equal(reply.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  const lines = (await reply.text()).split('\n')
  const node = `node="${uuid}",name="node-1"`
  assert.deepEqual(
    lines.filter(line => line !== '' && !line.startsWith('#')),
    [
      `ferrite_sensor_temperature_celsius{${node},type="Temperature",sensor="CPU \\"1\\""} 51.5`,
      `ferrite_sensor_fan_speed_rpm{${node},type="Fan",sensor="Fan"} 0`,
      `ferrite_sensor_health{${node},type="Temperature",sensor="CPU \\"1\\""} 0`,
      `ferrite_sensor_health{${node},type="Fan",sensor="Fan"} 2`,
      `ferrite_sensors_read_timestamp_seconds{${node}} 1700000000.5`,
      `ferrite_sensors_stale{${node}} 1`,
    ],
  )
  assert.ok(lines.includes('# TYPE ferrite_sensor_health gauge'))

  await using other = await startApi()
  assert.equal((await fetch(`${other.url}/metrics`)).status, 404)
})
