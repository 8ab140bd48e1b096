/** A console in the terminal: what is typed goes there, what the machine says comes back, Ctrl-] ends it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '#server/test-api.ts'
import { TestClient } from './test-client.ts'

let api: TestApi
let client: TestClient
before(async () => {
  api = await startApi()
  client = new TestClient({ OS_ENDPOINT: api.url, OS_AUTH_TYPE: 'none' })
  const uuid = await api.node({ name: 'n1', console_interface: 'fake' })
  await api.node({ name: 'off', console_interface: 'fake' })
  await api.set(uuid, { console_enabled: true })
})
after(() => api[Symbol.asyncDispose]())

test('node console attach: a console is followed and typed at until Ctrl-]', async () => {
  const { status, out, err } = await client.run('node console attach n1', 'root\r\x1dnever sent')
  assert.deepEqual([status, out], [0, 'root\r'], err)
  assert.match(err, /console of n1; Ctrl-\] ends it\.\n.*\nThe console is closed\.\n$/s)
})

test('a console that is off, and a service that is not there, are told as with any command', async () => {
  await client.fails('node console attach off', 1, /switched off, or another conductor offers it/)
  const nowhere = new TestClient({ OS_ENDPOINT: 'http://127.0.0.1:9', OS_AUTH_TYPE: 'none' })
  await nowhere.fails('node console attach n1', 1, /connection refused/)
})
