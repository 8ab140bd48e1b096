import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import type { Agent } from '#db/agents.ts'
import { testContext } from '../test-context.ts'
import { AgentUnreachable, agentClient } from './client.ts'

const command = {
  id: '1',
  command_name: 'sync',
  command_status: 'SUCCEEDED',
  command_error: null,
  command_result: null,
}

/** An agent that tells nothing of how long it keeps connections, and answers only `perConnection` requests on each. */
async function terse(perConnection: number) {
  const sockets = new Set<Socket>()
  let posts = 0
  const server = createServer(socket => {
    sockets.add(socket)
    let served = 0
    socket.on('error', () => {})
    socket.on('data', data => {
      const text = data.toString()
      if (!/^(GET|POST) /.test(text)) return
      if (text.startsWith('POST')) posts++
      if (served++ >= perConnection) {
        socket.resetAndDestroy()
        return
      }
      const body = JSON.stringify(text.startsWith('GET') ? { commands: [] } : { command_params: {}, ...command })
      socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    url: `http://127.0.0.1:${address.port}`,
    posts: () => posts,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function clientFor(url: string) {
  const ctx = await testContext({})
  const agent = { url, verify_ca: null, token: 'x' } as Agent // all that the client reads
  return { client: agentClient({ ...ctx, agent }), [Symbol.asyncDispose]: () => ctx[Symbol.asyncDispose]() }
}

test('a connection that the agent closed while it was idle does not fail a command', async () => {
  await using agent = await terse(1)
  await using made = await clientFor(agent.url)
  assert.deepEqual(await made.client.commands(), [])
  const answer = await made.client.execute('standby.sync', {}, { wait: true })
  assert.equal(answer.command_status, 'SUCCEEDED')
  assert.equal(agent.posts(), 2)
})

test('a command whose fresh connection broke is not sent again', async () => {
  await using agent = await terse(0)
  await using made = await clientFor(agent.url)
  await assert.rejects(made.client.execute('standby.sync', {}, { wait: true }), AgentUnreachable)
  assert.equal(agent.posts(), 1)
})
