import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
const path = '/v1/runbooks'
const step = (more: Json = {}) => ({ interface: 'raid', step: 'create', order: 1, ...more })
const create = (name: string, body: Json = {}, version = 'latest') =>
  api.call('POST', path, { body: { name, steps: [step()], ...body }, version })
const patch = (name: string, ...body: Json[]) => api.call('PATCH', `${path}/${name}`, { body })

test('a runbook has every field of its version', async () => {
  const { status, json } = await create('weekly.clean', {
    steps: [step({ order: '3' })],
    owner: 'p1',
    description: 'x',
  })
  const one = json as Json
  assert.equal(status, 201)
  assert.equal(Object.keys(one).length, 12)
  assert.deepEqual(
    [one.steps, one.public, one.owner, one.disable_ramdisk, one.traits],
    [[step({ order: 3 })], false, 'p1', false, []],
  )
  const older = (await api.call('GET', `${path}/weekly.clean`, { version: '1.111' })).json as Json
  assert.equal('traits' in older || 'description' in older, false)
  assert.equal((await api.call('GET', `${path}?project=true&detail=true`)).status, 200)
})

test('refused runbooks', async () => {
  const status = async (name: string, body: Json = {}, version = 'latest') => (await create(name, body, version)).status
  assert.equal(await status('weekly', {}, '1.111'), 400, 'below 1.112 the name is a trait')
  assert.equal(await status('CUSTOM_OLD', {}, '1.111'), 201)
  assert.equal(await status('CUSTOM_OLD'), 409)
  assert.equal(await status('two words'), 400)
  assert.equal(await status('6d85703a-565d-469a-96ce-30b6de53079d'), 400)
  assert.equal(await status('a', { steps: [step(), step()] }), 400)
  assert.equal(await status('a', { steps: [step({ order: undefined })] }), 400)
  assert.equal(await status('a', { traits: ['CUSTOM_X'] }), 400)
  assert.equal(await status('a', { public: true, owner: 'p1' }), 400)
  assert.equal(await status('CUSTOM_D', { description: 'x' }, '1.111'), 406)
  assert.equal(await status('CUSTOM_D', {}, '1.91'), 405)
})

test('a public runbook has no owner', async () => {
  await create('shared', { owner: 'p1' })
  const { status, json } = await patch('shared', { op: 'replace', path: '/public', value: true })
  assert.deepEqual([status, (json as Json).owner, (json as Json).public], [200, null, true])
  assert.equal((await patch('shared', { op: 'add', path: '/owner', value: 'p2' })).status, 400)
  assert.equal((await patch('shared', { op: 'add', path: '/traits/-', value: 'CUSTOM_X' })).status, 400)
  assert.equal((await api.call('DELETE', `${path}/shared`)).status, 204)
  assert.equal((await api.call('DELETE', `${path}/shared`)).status, 404)
})

test('traits of a runbook', async () => {
  await create('marked')
  const traits = `${path}/marked/traits`
  const now = async () => ((await api.call('GET', traits)).json as Json).traits
  assert.equal((await api.call('PUT', traits, { body: { traits: ['CUSTOM_B', 'CUSTOM_A'] } })).status, 204)
  const added = await api.call('PUT', `${traits}/HW_CPU_X86_VMX`)
  assert.deepEqual([added.status, added.headers.get('location')], [204, `${api.url}${traits}/HW_CPU_X86_VMX`])
  assert.deepEqual(await now(), ['CUSTOM_A', 'CUSTOM_B', 'HW_CPU_X86_VMX'])
  assert.equal((await api.call('PUT', `${traits}/gold`)).status, 400)
  assert.equal((await api.call('DELETE', `${traits}/CUSTOM_NEVER`)).status, 204)
  assert.equal((await api.call('DELETE', `${traits}/CUSTOM_A`)).status, 204)
  assert.deepEqual(await now(), ['CUSTOM_B', 'HW_CPU_X86_VMX'])
  assert.equal((await api.call('DELETE', traits)).status, 204)
  assert.deepEqual(await now(), [])
  assert.equal((await api.call('GET', traits, { version: '1.111' })).status, 404)
})

test('a runbook is no way around the steps that are disallowed', async () => {
  const uuid = await api.node({})
  await api.set(uuid, { provision_state: 'manageable', traits: ['CUSTOM_RAW'] })
  const steps = [{ interface: 'vendor', step: 'send_raw', order: 1, args: {} }]
  await api.call('POST', path, { body: { name: 'CUSTOM_RAW', steps } })
  for (const target of ['clean', 'service']) {
    await api.set(uuid, { provision_state: target === 'clean' ? 'manageable' : 'active' })
    const body = { target, runbook: 'CUSTOM_RAW' }
    const { status, fault } = await api.call('PUT', `/v1/nodes/${uuid}/states/provision`, { body, version: '1.111' })
    assert.deepEqual([status, fault], [400, 'The step vendor.send_raw is disallowed here'], target)
  }
})

test('a runbook in place of steps: its steps in their order, for nodes that fit it', async () => {
  const uuid = await api.node({})
  await api.set(uuid, { provision_state: 'manageable' })
  const book = {
    name: 'CUSTOM_WIPE',
    disable_ramdisk: true,
    steps: [
      { interface: 'power', step: 'power_off', order: 2 },
      { interface: 'power', step: 'power_on', order: 1, args: {} },
    ],
  }
  assert.equal((await api.call('POST', path, { body: book })).status, 201)
  const clean = (version = '1.115') =>
    api.call('PUT', `/v1/nodes/${uuid}/states/provision`, {
      body: { target: 'clean', runbook: 'CUSTOM_WIPE' },
      version,
    })

  const unfit = await clean()
  assert.equal(unfit.status, 400)
  assert.match(unfit.fault, /has no traits/)
  assert.equal((await clean('1.111')).status, 400, 'the name is the trait, which the node has not')
  await api.call('PUT', `${path}/CUSTOM_WIPE/traits`, { body: { traits: ['CUSTOM_OLD'] } })
  assert.match((await clean()).fault, /expected CUSTOM_OLD/)

  await api.set(uuid, { traits: ['CUSTOM_OLD'] })
  assert.equal((await clean()).status, 202)
  assert.deepEqual(api.conductor.told.provisioned.at(-1)?.[1], {
    disable_ramdisk: true,
    clean_steps: [
      { interface: 'power', step: 'power_on', args: {} },
      { interface: 'power', step: 'power_off' },
    ],
  })
})
