import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { CommandBoard } from './commands.ts'
import { agentApi } from './server.ts'

const token = 'a-token-that-is-long-enough-to-be-adopted-1'
const silent = { info() {}, warn() {}, error() {}, debug() {} }
const commands = [
  { id: '1', command_name: 'collect_system_logs', command_result: { system_logs: 'H4sI' } },
  { id: '2', command_name: 'execute_clean_step', command_result: { clean_result: 'done' } },
]

/** The API over a board that has run two commands. */
async function served(readsWithoutToken: boolean) {
  const board = { list: () => commands, get: (id: string) => commands.find(command => command.id === id) }
  const server = createServer(
    agentApi({
      board: board as unknown as CommandBoard, // of which only reading is asked for
      token: () => token,
      readsWithoutToken: () => readsWithoutToken,
      version: '1',
      startedAt: 0,
      log: silent,
    }),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // TCP
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(base + path, init)
    return { status: answer.status, text: await answer.text() }
  }
  return { ask, [Symbol.asyncDispose]: async () => void server.close() }
}

test('a conductor of today has to show the token for everything', async () => {
  await using api = await served(false)
  assert.equal((await api.ask('/v1/commands/')).status, 401)
  assert.equal((await api.ask('/v1/commands/2')).status, 401)
  assert.equal((await api.ask(`/v1/commands/?agent_token=${token}`)).status, 200)
})

test('an older conductor reads results without its token, but no logs, and starts nothing', async () => {
  await using api = await served(true)
  const { status, text } = await api.ask('/v1/commands/')
  assert.equal(status, 200)
  assert.deepEqual(JSON.parse(text).commands[1], commands[1])
  assert.ok(!text.includes('H4sI'), text)
  assert.equal(JSON.parse((await api.ask('/v1/commands/2')).text).command_result.clean_result, 'done')
  const post = { method: 'POST', body: '{"name":"standby.sync","params":{}}' }
  assert.equal((await api.ask('/v1/commands/', post)).status, 401)
  assert.equal((await api.ask('/v1/commands/?agent_token=wrong')).status, 401, 'a wrong token is worse than none')
  assert.equal((await api.ask('/v1/commands/')).status, 200, 'and changes nothing')
})

test('once somebody read with the token, nobody reads without', async () => {
  await using api = await served(true)
  const { text } = await api.ask(`/v1/commands/1?agent_token=${token}`)
  assert.ok(text.includes('H4sI'))
  assert.equal((await api.ask('/v1/commands/')).status, 401)
})
