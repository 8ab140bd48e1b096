import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Conflict } from '#lib/fault.ts'
import { startApi } from './test-api.ts'
import { untilWritten } from './until-written.ts'

const step = { interface: 'bios', step: 'apply', args: {} }
const bodies: Readonly<Record<string, object>> = {
  chassis: {},
  deploy_templates: { name: 'CUSTOM_A', steps: [{ ...step, priority: 1 }] },
  runbooks: { name: 'CUSTOM_A', steps: [{ ...step, order: 1 }] },
  allocations: { resource_class: 'a' },
}

for (const [kind, body] of Object.entries(bodies)) {
  test(`of patches to ${kind} at the same time none is lost`, async () => {
    await using api = await startApi()
    api.moveAway()
    const made = await api.call('POST', `/v1/${kind}`, { body })
    const path = `/v1/${kind}/${(made.json as { uuid: string }).uuid}`
    const keys = Array.from({ length: 6 }, (_, index) => `k${index}`)
    const patches = keys.map(key => api.call('PATCH', path, { body: [{ op: 'add', path: `/extra/${key}`, value: 1 }] }))
    for (const { status, fault } of await Promise.all(patches)) assert.equal(status, 200, fault)
    const { extra } = (await api.call('GET', path)).json as { extra: object }
    assert.deepEqual(Object.keys(extra).sort(), keys.toSorted())
  })
}

test('traits of a runbook that are added at the same time are all there', async () => {
  await using api = await startApi()
  api.moveAway()
  const { json } = await api.call('POST', '/v1/runbooks', { body: bodies.runbooks })
  const path = `/v1/runbooks/${(json as { uuid: string }).uuid}/traits`
  const traits = Array.from({ length: 6 }, (_, index) => `CUSTOM_${String.fromCharCode(65 + index)}`)
  const replies = await Promise.all(traits.map(trait => api.call('PUT', `${path}/${trait}`)))
  assert.deepEqual([...new Set(replies.map(one => one.status))], [204])
  assert.deepEqual((await api.call('GET', path)).json, { traits })
})

test('an object that never rests is given up on', async () => {
  let tries = 0
  const busy = untilWritten('it', async () => {
    tries += 1
    return false
  })
  await assert.rejects(busy, Conflict)
  assert.equal(tries, 20)
})
