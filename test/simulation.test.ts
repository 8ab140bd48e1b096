import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openWorkshop, simulate } from './simulation/simulate.ts'

const seeds = 8

test('whatever goes wrong, every node gets where it was asked to be', async t => {
  const workshop = await openWorkshop()
  let deaths = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const result = await simulate(seed, workshop)
    assert.deepEqual(result.violations, [], `npm run simulate -- --seed ${seed}`)
    deaths += result.struck.death + result.struck.deathAtRequest
  }
  t.diagnostic(`${seeds} simulations, ${deaths} deaths of conductors`)
  assert.ok(deaths > 0)
})

test('the same seed tells the same story', async () => {
  const workshop = await openWorkshop()
  const stories = [[], []] as string[][]
  for (const story of stories) await simulate(5, workshop, line => story.push(line))
  assert.ok((stories[0]?.length ?? 0) > 50)
  assert.deepEqual(stories[0], stories[1])
})
