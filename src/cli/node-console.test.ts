/** A console in the terminal: what is typed goes there, what the machine says comes back, Ctrl-] ends it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '#server/test-api.ts'
import { run } from './main.ts'
import { TestClient } from './test-client.ts'
import { testTerminal } from './test-terminal.ts'

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

test('node console view: a viewer on this host gets a stream of its own, until Ctrl-C', async () => {
  const uuid = await api.node({ name: 'screen', driver: 'redfish' })
  await api.set(uuid, { console_enabled: true })
  const terminal = testTerminal({ env: { OS_ENDPOINT: api.url, OS_AUTH_TYPE: 'none' } })
  let said = ''
  const pointed = Promise.withResolvers<number>()
  const write = (text: string) => {
    said += text
    const [, port] = /127\.0\.0\.1::(\d+) /.exec(said) ?? []
    if (port) pointed.resolve(Number(port))
  }
  const running = run(['node', 'console', 'view', 'screen'], { ...terminal, err: { write } })
  const port = await Promise.race([pointed.promise, running.then(() => Promise.reject(new Error(said)))])
  for (const word of ['RFB 003.008\n', 'again']) {
    const viewer = connect(port, '127.0.0.1')
    viewer.write(word)
    const [heard] = await once(viewer, 'data')
    assert.equal(String(heard), word)
    viewer.destroy()
  }
  terminal.interrupt()
  assert.equal(await running, 0)
  await client.fails('node console attach screen', 1, /it is a screen; ferrite node console view shows it/)
  await client.fails('node console view n1', 1, /its console is a line; ferrite node console attach shows it/)
  await client.fails('node console view off', 1, /switched off, or another conductor offers it/)
})

test('a console that is off, and a service that is not there, are told as with any command', async () => {
  await client.fails('node console attach off', 1, /switched off, or another conductor offers it/)
  const nowhere = new TestClient({ OS_ENDPOINT: 'http://127.0.0.1:9', OS_AUTH_TYPE: 'none' })
  await nowhere.fails('node console attach n1', 1, /connection refused/)
})
