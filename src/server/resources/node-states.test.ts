import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodePatch } from '#db/nodes.ts'
import { provisionStates, type Verb, verbs, verbTarget } from '#protocol/states.ts'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let uuid: string
before(async () => {
  api = await startApi()
  uuid = await api.node()
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
const put = (what: string, body: Json, version = 'latest') =>
  api.call('PUT', `/v1/nodes/${uuid}/states/${what}`, { body, version })
const steps = [{ interface: 'deploy', step: 'erase_devices', args: {} }]
/** What each verb cannot do without. */
const needs: Partial<Record<Verb, Json>> = {
  clean: { clean_steps: steps },
  service: { service_steps: steps },
  rescue: { rescue_password: 'pw' },
}

test('every verb is taken in exactly the states of the table', async () => {
  for (const state of provisionStates) {
    for (const verb of Object.keys(verbs) as Verb[]) {
      await api.set(uuid, { provision_state: state })
      const { status } = await put('provision', { target: verb, ...needs[verb] })
      assert.equal(status, verbTarget(state, verb) ? 202 : 400, `${verb} in ${state}`)
    }
  }
})

test('a refusal is a sentence in the shape that clients read, and says so by its status', async () => {
  const told = async (target: Verb, patch: NodePatch, reservation: string | null = null) => {
    await api.set(uuid, { maintenance: false, ...patch })
    await api.db.updateTable('nodes').set({ reservation }).where('uuid', '=', uuid).execute()
    const { status, json } = await put('provision', { target, ...needs[target] })
    assert.deepEqual(Object.keys(json as Json), ['error_message'])
    const inner = JSON.parse(String((json as Json).error_message)) as Json
    assert.deepEqual([inner.faultcode, inner.debuginfo], ['Client', null])
    return [status, inner.faultstring]
  }
  assert.deepEqual(await told('deleted', { provision_state: 'enroll' }), [
    400,
    `Cannot undeploy node ${uuid} in provision state "enroll"`,
  ])
  assert.deepEqual(await told('active', { provision_state: 'available', maintenance: true }), [
    400,
    `Cannot deploy node ${uuid} while it is in maintenance`,
  ])
  assert.deepEqual(await told('provide', { provision_state: 'active' }, 'host-2'), [
    409,
    `Cannot make node ${uuid} available in provision state "active": host host-2 is working on it`,
  ])
  await api.db.updateTable('nodes').set({ reservation: null }).where('uuid', '=', uuid).execute()
})

test('a verb on its way answers where its states are, and nothing else', async () => {
  await api.set(uuid, { provision_state: 'enroll', last_error: 'old' })
  const reply = await put('provision', { target: 'manage' })
  assert.match(reply.headers.get('location') ?? '', new RegExp(`/v1/nodes/${uuid}/states$`))
  const states = (await api.call('GET', `/v1/nodes/${uuid}/states`)).json as Json
  assert.deepEqual(
    [states.provision_state, states.target_provision_state, states.last_error],
    ['verifying', 'manageable', null],
  )
  assert.ok(!('boot_mode' in ((await api.call('GET', `/v1/nodes/${uuid}/states`, { version: '1.74' })).json as Json)))
})

const deploy = { interface: 'deploy', step: 'x', args: {}, priority: 10 }
const provisions: [name: string, state: string, body: Json, status: number, version?: string, more?: Json][] = [
  ['unknown verb', 'available', { target: 'fly' }, 400],
  ['event that is no verb', 'deploying', { target: 'done' }, 400],
  ['no verb', 'available', {}, 400],
  ['manage below 1.4', 'enroll', { target: 'manage' }, 406, '1.3'],
  ['deploy below 1.73', 'available', { target: 'deploy' }, 406, '1.72'],
  ['abort of an inspection below 1.41', 'inspect wait', { target: 'abort' }, 406, '1.40'],
  ['abort of an inspection', 'inspect wait', { target: 'abort' }, 202, '1.41'],
  ['abort of a deployment below 1.110', 'wait call-back', { target: 'abort' }, 406, '1.109'],
  ['abort of a deployment', 'wait call-back', { target: 'abort' }, 202, '1.110'],
  ['abort of a cleaning', 'clean wait', { target: 'abort' }, 202, '1.13'],
  ['unhold below 1.85', 'clean hold', { target: 'unhold' }, 406, '1.84'],
  ['undeploy in any version', 'active', { target: 'undeploy' }, 202, '1.1'],
  ['active in maintenance', 'available', { target: 'active' }, 400, 'latest', { maintenance: true }],
  ['deleted in maintenance', 'active', { target: 'deleted' }, 202, 'latest', { maintenance: true }],
  ['impossible while reserved', 'enroll', { target: 'active' }, 409, 'latest', { reservation: 'host-2' }],
  ['rebuild of a protected node', 'active', { target: 'rebuild' }, 403, 'latest', { protected: true }],
  ['config drive as URL', 'available', { target: 'active', configdrive: 'http://h/x.gz' }, 202],
  ['config drive as base64', 'available', { target: 'active', configdrive: 'aGVs\nbG8=' }, 202],
  ['config drive as nonsense', 'available', { target: 'active', configdrive: 'a{b}' }, 400],
  ['config drive as object', 'available', { target: 'active', configdrive: { meta_data: {}, user_data: 'x' } }, 202],
  ['config drive as object below 1.56', 'available', { target: 'active', configdrive: { meta_data: {} } }, 400, '1.55'],
  [
    'config drive with vendor data below 1.59',
    'available',
    { target: 'active', configdrive: { vendor_data: {} } },
    400,
    '1.58',
  ],
  ['config drive with an unknown key', 'available', { target: 'active', configdrive: { other: {} } }, 400],
  ['config drive with deploy', 'available', { target: 'deploy', configdrive: 'aGVs' }, 400],
  ['config drive with rebuild below 1.35', 'active', { target: 'rebuild', configdrive: 'aGVs' }, 400, '1.34'],
  ['config drive with manage', 'enroll', { target: 'manage', configdrive: 'aGVs' }, 400],
  ['null options', 'available', { target: 'active', configdrive: null, clean_steps: null, deploy_steps: [] }, 202],
  ['unknown option', 'available', { target: 'active', nope: 1 }, 400],
  ['deploy steps', 'available', { target: 'active', deploy_steps: [deploy] }, 202],
  ['deploy steps below 1.69', 'available', { target: 'active', deploy_steps: [deploy] }, 406, '1.68'],
  ['deploy steps without priority', 'available', { target: 'active', deploy_steps: steps }, 400],
  ['deploy steps with deploy', 'available', { target: 'deploy', deploy_steps: [deploy] }, 400],
  ['clean without steps', 'manageable', { target: 'clean' }, 400],
  ['clean with an empty list', 'manageable', { target: 'clean', clean_steps: [] }, 400],
  [
    'clean with steps of an unknown interface',
    'manageable',
    { target: 'clean', clean_steps: [{ interface: 'x', step: 'y' }] },
    400,
  ],
  [
    'clean with a disallowed step',
    'manageable',
    { target: 'clean', clean_steps: [{ interface: 'vendor', step: 'send_raw' }] },
    400,
  ],
  ['clean steps with provide', 'manageable', { target: 'provide', clean_steps: steps }, 400],
  ['clean without ramdisk', 'manageable', { target: 'clean', clean_steps: steps, disable_ramdisk: 'true' }, 202],
  [
    'clean without ramdisk below 1.70',
    'manageable',
    { target: 'clean', clean_steps: steps, disable_ramdisk: true },
    406,
    '1.69',
  ],
  ['disable_ramdisk with provide', 'manageable', { target: 'provide', disable_ramdisk: true }, 400],
  ['rescue with a blank password', 'active', { target: 'rescue', rescue_password: '  ' }, 400],
  ['rescue password with manage', 'enroll', { target: 'manage', rescue_password: 'x' }, 400],
  ['unknown runbook', 'manageable', { target: 'clean', runbook: 'rb' }, 404],
  ['runbook below 1.92', 'manageable', { target: 'clean', runbook: 'rb' }, 406, '1.91'],
  ['runbook and steps', 'manageable', { target: 'clean', runbook: 'rb', clean_steps: steps }, 400],
]
for (const [name, state, body, status, version, more] of provisions) {
  test(`provision, ${name}: ${status}`, async () => {
    uuid = await api.node()
    await api.set(uuid, { provision_state: state, ...more } as Json)
    if (more?.reservation) {
      await api.db
        .updateTable('nodes')
        .set({ reservation: String(more.reservation) })
        .where('uuid', '=', uuid)
        .execute()
    }
    const reply = await put('provision', body, version)
    assert.equal(reply.status, status, reply.fault)
  })
}

const powers: [body: Json, state: Json, status: number, version?: string][] = [
  [{ target: 'power on' }, {}, 202],
  [{ target: 'rebooting' }, {}, 202],
  [{ target: 'soft power off', timeout: 30 }, {}, 202],
  [{ target: 'soft power off' }, {}, 406, '1.26'],
  [{ target: 'power off', timeout: 30 }, {}, 406, '1.26'],
  [{ target: 'power off', timeout: 0 }, {}, 400],
  [{ target: 'up' }, {}, 400],
  [{}, {}, 400],
  [{ target: 'power on' }, { provision_state: 'cleaning' }, 400],
  [{ target: 'power off' }, { disable_power_off: true }, 409],
  [{ target: 'rebooting' }, { disable_power_off: true }, 202],
]
for (const [body, state, status, version] of powers) {
  test(`power ${JSON.stringify(body)} with ${JSON.stringify(state)}: ${status}`, async () => {
    uuid = await api.node()
    await api.set(uuid, state)
    const reply = await put('power', body, version)
    assert.equal(reply.status, status, reply.fault)
  })
}

test('maintenance is set with a reason, again with another, and cleared with its fault', async () => {
  uuid = await api.node()
  const shown = async () => {
    const { maintenance, maintenance_reason, fault } = (await api.call('GET', `/v1/nodes/${uuid}`)).json as Json
    return [maintenance, maintenance_reason, fault]
  }
  const path = `/v1/nodes/${uuid}/maintenance`
  assert.equal((await api.call('PUT', path, { body: { reason: 'one' } })).status, 202)
  assert.equal((await api.call('PUT', path, { body: { reason: 'two' } })).status, 202)
  assert.deepEqual(await shown(), [true, 'two', null])
  assert.equal((await api.call('PUT', path, { body: { reason: null } })).status, 202)
  assert.deepEqual(await shown(), [true, null, null])
  await api.set(uuid, { fault: 'power failure' })
  assert.equal((await api.call('DELETE', path)).status, 202)
  assert.deepEqual(await shown(), [false, null, null])
})

test('boot devices', async () => {
  const path = `/v1/nodes/${uuid}/management/boot_device`
  assert.deepEqual((await api.call('GET', `${path}/supported`)).json, { supported_boot_devices: ['pxe', 'disk'] })
  assert.equal((await api.call('PUT', path, { body: { boot_device: 'pxe', persistent: 'True' } })).status, 204)
  assert.deepEqual((await api.call('GET', path)).json, { boot_device: 'pxe', persistent: true })
  assert.equal((await api.call('PUT', path, { body: { boot_device: 'tape' } })).status, 400)
  assert.equal((await api.call('PUT', path, { body: { boot_device: 'floppy' } })).status, 400)
  assert.equal((await api.call('PUT', path, { body: {} })).status, 400)
  assert.equal((await api.call('PUT', `/v1/nodes/${uuid}/management/inject_nmi`, { body: {} })).status, 204)
})

test('a step for contained nodes names nodes that are there', async () => {
  const [uuid, child] = [await api.node(), await api.node()]
  await api.set(uuid, { provision_state: 'manageable' })
  const ask = (limit: string) => {
    const step = {
      interface: 'power',
      step: 'power_on',
      execute_on_child_nodes: true,
      limit_child_node_execution: [limit],
    }
    return api.call('PUT', `/v1/nodes/${uuid}/states/provision`, { body: { target: 'clean', clean_steps: [step] } })
  }
  assert.equal((await ask('00000000-0000-4000-8000-000000000000')).status, 404)
  assert.equal((await ask(child)).status, 202)
})
