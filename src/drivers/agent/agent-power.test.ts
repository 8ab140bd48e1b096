import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Agent } from '#db/agents.ts'
import { timestamp } from '#protocol/field.ts'
import { Unsupported } from '../driver.ts'
import { testContext } from '../test-context.ts'
import power from './agent-power.ts'

const nowMs = 1_700_000_000_000
/** An agent that called `agoS` seconds ago. */
const calledAgo = (agoS: number, more: Partial<Agent> = {}) => ({
  agent: { url: 'https://192.0.2.7:9999', heartbeat_at: timestamp(nowMs - agoS * 1000), ...more } as Agent, // all that is read
})

test('the power is on while the agent calls, and else nobody knows', async () => {
  const ctx = await testContext({ config: { deploy: { fast_track: true, fast_track_timeout: 300 } } })
  assert.equal(await power.get({ ...ctx, ...calledAgo(299) }), 'power on')
  assert.equal(await power.get({ ...ctx, ...calledAgo(301) }), null)
  assert.equal(await power.get({ ...ctx, ...calledAgo(1, { url: null }) }), null, 'nobody called since the last boot')
  assert.equal(await power.get(ctx), null)
})

test('it needs fast track and an agent that lives', async () => {
  const on = await testContext({ config: { deploy: { fast_track: true } } })
  await power.validate({ ...on, ...calledAgo(1) })
  await assert.rejects(power.validate({ ...on, ...calledAgo(9999) }), /last heartbeat came at 2023-.*within 300 s/)
  await assert.rejects(power.validate(on), /last heartbeat came at no time/)
  const off = await testContext({})
  await assert.rejects(power.validate({ ...off, ...calledAgo(1) }), /fast track is off/)
  const own = await testContext({ node: { driver_info: { fast_track: 'yes' } } })
  await power.validate({ ...own, ...calledAgo(1) })
})

test('it switches nothing', async () => {
  const ctx = await testContext({})
  for (const target of ['power on', 'power off', 'soft power off'] as const) {
    await assert.rejects(power.set({ ...ctx, ...calledAgo(1) }, target), Unsupported)
  }
})
