import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Value } from 'typebox/value'
import { LogPiece } from '#protocol/ramdisk-log.ts'
import { LogStream } from './log-stream.ts'
import { defaultOptions } from './options.ts'
import { lookupFile, Store, tokenFile } from './store.ts'

/** A service that takes pieces, and an agent whose own log is all there is. */
async function world() {
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-log-'))
  const pieces: LogPiece[] = []
  const answers: number[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const status = answers.shift() ?? 202
    const piece: unknown = JSON.parse(body)
    assert.ok(Value.Check(LogPiece, piece), body.slice(0, 200))
    if (status === 202) pieces.push(piece)
    response.writeHead(status).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const url = `http://127.0.0.1:${address.port}/v1/ramdisk_log`
  const cmdlineFile = join(dir, 'cmdline')
  let stop = new AbortController()
  let stream: LogStream | undefined
  return {
    store: new Store(dir),
    url,
    pieces,
    answers,
    say: (text: string) => appendFileSync(join(dir, 'agent.log'), text),
    start(cmdline = `quiet ferrite-log-url=${url}`): LogStream {
      stop = new AbortController()
      writeFileSync(cmdlineFile, cmdline)
      stream = LogStream.start(['--guest', '--state-dir', dir, '--cmdline-file', cmdlineFile], {}, stop.signal)
      return stream
    },
    async stop() {
      stop.abort()
      await stream?.finish()
    },
    /** Waits until this has been told in all. */
    async told(text: string) {
      const all = () => pieces.map(piece => piece.text).join('')
      for (const end = performance.now() + 60_000; performance.now() < end && all() !== text; ) await sleep(20)
      assert.equal(all(), text)
    },
    async [Symbol.asyncDispose]() {
      await this.stop()
      server.closeAllConnections()
      server.close()
      rmSync(dir, { recursive: true })
    },
  }
}

test('what was said before is told first, then each line once it is whole, pieces counted', async () => {
  await using agent = await world()
  agent.say('first\nsecond\nhalf of')
  agent.start()
  await agent.told('first\nsecond\n')
  agent.say(' third\n')
  await agent.told('first\nsecond\nhalf of third\n')
  assert.deepEqual(
    agent.pieces.map(({ piece }) => piece),
    [0, 1],
  )
  const [first, second] = agent.pieces
  assert.equal(first?.boot_id, second?.boot_id)
  assert.equal('node_uuid' in (first ?? {}), false)
})

test('a node that is not known yet, and a service that is away: told again, nothing is lost', async () => {
  await using agent = await world()
  agent.answers.push(404, 503)
  agent.say('one\n')
  agent.start()
  await agent.told('one\n')
  assert.deepEqual(
    agent.pieces.map(({ piece }) => piece),
    [0],
  )
})

test('a process that is started again goes on behind what was taken', async () => {
  await using agent = await world()
  agent.say('one\n')
  agent.start()
  await agent.told('one\n')
  for (
    const end = performance.now() + 60_000;
    performance.now() < end && agent.store.readText('log-stream.json') === null;
  ) {
    await sleep(10)
  }
  await agent.stop()
  agent.say('two\n')
  agent.start()
  await agent.told('one\ntwo\n')
  assert.deepEqual(
    agent.pieces.map(({ piece }) => piece),
    [0, 1],
  )
})

test('the token proves who we are once it is known, and is in no text', async () => {
  await using agent = await world()
  const token = 'a-token-that-is-long-enough-to-be-adopted-1'
  const node = { uuid: '6d85703a-565d-469a-96ce-30b6de53079d', properties: {}, instance_info: {} }
  agent.store.writeText(tokenFile, token)
  agent.store.write(lookupFile, { node, config: { heartbeat_timeout: 300 } })
  agent.say(`with ${token}, ipa-agent-token=other\n`)
  agent.start()
  await agent.told('with ******, ipa-agent-token=******\n')
  assert.equal(agent.pieces[0]?.agent_token, token)
  assert.equal(agent.pieces[0]?.node_uuid, node.uuid)
})

test('long logs go in pieces of whole lines', async () => {
  await using agent = await world()
  const line = `${'x'.repeat(999)}\n`
  agent.say(line.repeat(100))
  agent.start()
  await agent.told(line.repeat(100))
  assert.deepEqual(
    agent.pieces.map(({ text }) => text.length),
    [32_000, 32_000, 32_000, 4_000],
  )
})

test('a receiver that wants none is left alone', async () => {
  await using agent = await world()
  agent.answers.push(403)
  agent.say('one\n')
  await agent.start().finish()
  assert.deepEqual(agent.pieces, [])
})

test('a start that fails tells its last words before the process ends', async () => {
  await using agent = await world()
  const stream = agent.start()
  agent.say('cannot read the kernel parameter ipa-api-url\n')
  await stream.finish()
  await agent.told('cannot read the kernel parameter ipa-api-url\n')
})

test('an address that comes with virtual media is learnt later; without one nothing is told', async () => {
  await using agent = await world()
  agent.say('one\n')
  await agent.start('quiet').finish()
  assert.deepEqual(agent.pieces, [])
  const stream = agent.start('quiet boot_method=vmedia')
  stream.learn({ ...defaultOptions(), logUrl: agent.url })
  await agent.told('one\n')
})
