import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from '../test-api.ts'

test('a plan is asked with the options of the verb; what makes no sense is refused, what the node is at is told', async () => {
  await using api = await startApi()
  const uuid = await api.node({ name: 'node-1' })
  await api.set(uuid, { provision_state: 'available' })
  const ask = (body: object) => api.call('POST', '/v1/nodes/node-1/plan', { body })

  const { status, json } = await ask({ target: 'active', deploy_steps: [] })
  assert.equal(status, 200)
  const { node_uuid, verb, to_state, refusals } = json as Record<string, unknown>
  assert.deepEqual([node_uuid, verb, to_state, refusals], [uuid, 'active', 'deploying', []])
  assert.equal(api.conductor.told.provisioned.length, 0)

  // Impossible now: no error, but part of the answer.
  await api.call('PUT', '/v1/nodes/node-1/maintenance', { body: { reason: 'a look' } })
  const kept = await ask({ target: 'unrescue' })
  assert.equal(kept.status, 200)
  assert.equal((kept.json as { to_state: unknown }).to_state, null)
  assert.deepEqual((kept.json as { refusals: unknown[] }).refusals.length, 1)

  assert.match((await ask({ target: 'clean' })).fault, /needs clean_steps or a runbook/)
  assert.match(
    (await ask({ target: 'active', clean_steps: [{ interface: 'deploy', step: 'x' }] })).fault,
    /belongs to clean/,
  )
  assert.equal((await ask({ target: 'nonsense' })).status, 400)
  assert.equal((await api.call('POST', '/v1/nodes/nobody/plan', { body: { target: 'active' } })).status, 404)
  // A password that nothing will use is not asked for.
  await api.set(uuid, { provision_state: 'active' })
  assert.equal((await ask({ target: 'rescue' })).status, 200)
})

test('steps of a runbook are planned as its own; one that may not be used is a reason', async () => {
  await using api = await startApi()
  const uuid = await api.node({ name: 'node-1' })
  await api.set(uuid, { provision_state: 'manageable' })
  const steps = [{ interface: 'deploy', step: 'erase_devices', args: {}, order: 1 }]
  const { status } = await api.call('POST', '/v1/runbooks', { body: { name: 'CUSTOM_WIPE', steps } })
  assert.equal(status, 201)
  const ask = () => api.call('POST', '/v1/nodes/node-1/plan', { body: { target: 'clean', runbook: 'CUSTOM_WIPE' } })
  const refused = (await ask()).json as { refusals: { message: string }[] }
  assert.match(refused.refusals[0]?.message ?? '', /Cannot use runbook CUSTOM_WIPE/)
})
