import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requestsAnswered } from '../measured.ts'
import { startApi } from '../test-api.ts'

test('metrics are sent as they are made, without a version, and are not there unless switched on', async () => {
  const metrics = {
    async *text() {
      yield 'a 1\n'
      yield 'b 2\n'
    },
  }
  await using api = await startApi({}, { metrics })
  const reply = await fetch(`${api.url}/metrics`)
  assert.equal(reply.status, 200)
  assert.equal(reply.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  assert.equal(await reply.text(), 'a 1\nb 2\n')

  await using other = await startApi()
  assert.equal((await fetch(`${other.url}/metrics`)).status, 404)
})

test('each request is told to whoever measures, by its endpoint', async () => {
  await using api = await startApi()
  const heard: object[] = []
  const end = requestsAnswered.listen(({ durationMs, ...rest }) => heard.push({ ...rest, timed: durationMs >= 0 }))
  await api.call('GET', '/v1/nodes')
  await api.call('GET', '/v1/nodes/nobody')
  await api.call('GET', '/v1/nowhere')
  end()
  await api.call('GET', '/v1/nodes')
  assert.deepEqual(heard, [
    { endpoint: 'node.list', method: 'GET', status: 200, timed: true },
    { endpoint: 'node.get', method: 'GET', status: 404, timed: true },
    { endpoint: 'none', method: 'GET', status: 404, timed: true },
  ])
})
