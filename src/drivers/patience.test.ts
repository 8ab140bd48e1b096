import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HardwareFault } from './driver.ts'
import { patiently } from './patience.ts'
import { BmcRefused, BmcUnreachable } from './redfish/faults.ts'
import { testContext } from './test-context.ts'

/** Fails so often, then answers. */
function failing(times: number, error: Error) {
  const asked = { count: 0 }
  const ask = async () => {
    if (asked.count++ < times) throw error
    return 'on'
  }
  return { asked, ask }
}

test('an outage of seconds is waited out, a longer one is told', async () => {
  for (const error of [
    new BmcUnreachable('no route'),
    new BmcRefused('busy', { status: 503, said: '' }),
    new BmcRefused('slow down', { status: 429, said: '' }),
  ]) {
    const ctx = await testContext({})
    const short = failing(5, error)
    assert.equal(await patiently(ctx, 10_000, short.ask), 'on')
    assert.deepEqual(ctx.pauses, [1000, 1000, 1000, 1000, 1000])
    const long = failing(50, error)
    await assert.rejects(patiently(ctx, 10_000, long.ask), error)
    assert.equal(long.asked.count, 11)
  }
})

test('what will not pass is told at once', async () => {
  for (const error of [
    new HardwareFault('broken'),
    new BmcRefused('no', { status: 400, said: '' }),
    new BmcRefused('bug', { status: 500, said: '' }),
    new TypeError('ours'),
  ]) {
    const ctx = await testContext({})
    const { asked, ask } = failing(1, error)
    await assert.rejects(patiently(ctx, 10_000, ask), error)
    assert.deepEqual([asked.count, ctx.pauses], [1, []])
  }
})
