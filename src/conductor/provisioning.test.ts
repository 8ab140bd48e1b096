import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import type { Node } from '#db/nodes.ts'
import type { Verb } from '#protocol/states.ts'
import { objections, startPatch } from './provisioning.ts'
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

test('all that speaks against a verb is told in English, with what would help', async () => {
  const config = await loadConfig()
  const about = { uuid: 'n1', provision_state: 'enroll', maintenance: true, protected: true, protected_reason: 'mine' }
  const node = { ...about, reservation: null, retired: true } as unknown as Node // all it reads
  const told = (...[verb, more]: [Verb, object?]) =>
    [...objections({ ...node, ...more }, verb, config)].map(({ status, message }) => `${status} ${message}`)
  assert.deepEqual(told('deleted'), [
    '400 Cannot undeploy node n1 in provision state "enroll"',
    '403 Cannot undeploy node n1: it is protected (mine); expected protected to be unset first',
  ])
  assert.deepEqual(told('active', { reservation: 'host-2' }), [
    '400 Cannot deploy node n1 while it is in maintenance',
    '409 Cannot deploy node n1 in provision state "enroll": host host-2 is working on it',
  ])
  assert.deepEqual(told('provide', { provision_state: 'manageable', maintenance: false }), [
    '400 Cannot make node n1 available: it is retired',
  ])
})
