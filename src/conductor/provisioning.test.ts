import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import type { Node } from '#db/nodes.ts'
import { startPatch } from './provisioning.ts'
import { caller } from './test-engine.ts'

type Source = 'instance' | 'request' | 'none'

/** The lessee that starting by `event` writes; undefined where it writes none. */
async function lesseeBy(event: string, source: Source, { node = {}, conductor = {}, project = 'asking' } = {}) {
  const config = await loadConfig({ overrides: { conductor: { automatic_lessee_source: source, ...conductor } } })
  const whole = { lessee: null, instance_name: null, instance_info: { project_id: 'named' }, driver_internal_info: {} }
  const now = { ...whole, ...node } as unknown as Node // all it reads
  const patch = startPatch(event, { ...caller, project }, config, now)(now)
  assert.equal(patch.driver_internal_info?.automatic_lessee, patch.lessee === undefined ? undefined : true)
  return patch.lessee
}

test('a deployment lends the node to whom the option says, if nobody has it yet', async () => {
  assert.equal(await lesseeBy('deploy', 'instance'), 'named')
  assert.equal(await lesseeBy('deploy', 'request'), 'asking')
  assert.equal(await lesseeBy('deploy', 'none'), undefined)
  assert.equal(await lesseeBy('deploy', 'request', { conductor: { automatic_lessee: false } }), undefined)
  assert.equal(await lesseeBy('deploy', 'request', { node: { lessee: 'another' } }), undefined)
  assert.equal(await lesseeBy('deploy', 'instance', { node: { instance_info: {} } }), undefined)
})

test('a deployment notes whether an administrator wants it, each time anew', async () => {
  const config = await loadConfig({ overrides: { conductor: { automatic_lessee: false } } })
  const noted = (admin: boolean, driver_internal_info: Record<string, unknown>) => {
    const fields = { lessee: null, instance_name: 'here', instance_info: {}, driver_internal_info }
    const node = fields as unknown as Node // all it reads
    return startPatch('rebuild', { ...caller, admin }, config, node)(node).driver_internal_info
  }
  assert.deepEqual(noted(true, { more: 1 }), { more: 1, asked_by_admin: true })
  assert.deepEqual(noted(false, { more: 1, asked_by_admin: true }), { more: 1 })
  assert.equal(noted(false, {}), undefined)
  assert.equal(noted(true, { asked_by_admin: true }), undefined)
})

test('a request for no project lends nothing, and neither does any other verb', async () => {
  const config = await loadConfig({ overrides: { conductor: { automatic_lessee_source: 'request' } } })
  const fields = { lessee: null, instance_name: 'here', instance_info: {}, driver_internal_info: {} }
  const node = fields as unknown as Node // all it reads
  const lent = (project: string | null) => startPatch('deploy', { ...caller, project }, config, node)(node)
  assert.deepEqual(lent(null), {})
  assert.equal(lent('asking').lessee, 'asking')
  for (const event of ['rebuild', 'provide', 'rescue']) assert.equal(await lesseeBy(event, 'request'), undefined)
})
