/** A short slice of `npm run chaos`: machines are deployed while their conductor is killed, and nothing is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chaos } from './chaos/chaos.ts'

test('deployments under kills, flaky BMCs and flaky agents come out as if nothing had been', async () => {
  const report = await chaos({
    seed: 7,
    nodes: 10,
    engine: 'sqlite',
    conductors: 1,
    kill: { everyMs: 2500 },
    concurrency: 10,
    failures: 0.05,
    bootFailures: 0,
    say: line => console.log(line),
  })
  assert.deepEqual(report.lost, [])
  assert.deepEqual(report.bugs, [])
  assert.equal(report.deploy.count, 10)
  assert.ok(report.kills > 0, 'somebody was killed')
})
