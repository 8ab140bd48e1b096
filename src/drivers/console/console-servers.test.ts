import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { testContext } from '../test-context.ts'
import { consolesOf } from './console-servers.ts'

/** A port that was closed counts for a moment longer. */
async function open(expected: number): Promise<void> {
  const found = () => process.getActiveResourcesInfo().filter(name => name === 'TCPServerWrap').length
  for (const endMs = performance.now() + 60_000; found() !== expected; await sleep(5)) {
    assert.ok(performance.now() < endMs, `${found()} ports are open, expected ${expected}`)
  }
}

test('a console that two start at once has one port, and none when it is stopped', async () => {
  await using ctx = await testContext({ config: { console: { socat_address: '127.0.0.1' } } })
  const consoles = consolesOf(ctx)
  const plan = { port: null, key: 'its BMC', open: () => Promise.reject(new Error('nobody looks at it')) }
  await Promise.all([
    consoles.start(ctx, plan),
    consoles.start(ctx, plan),
    consoles.start(ctx, { ...plan, key: 'new' }),
  ])
  await open(1)
  await consoles.stop(ctx.node.uuid)
  await open(0)
})
