/**
 * Every verb in every state, against the table of states: what it allows runs to its end over fake hardware, through the
 * real API and the real conductor; everything else is refused as Ironic refuses it, and changes nothing.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { addNode } from '#conductor/test-engine.ts'
import { findNode, type Node } from '#db/nodes.ts'
import { type ProvisionState, provision, provisionStates, type Verb, verbs, verbTarget } from '#protocol/states.ts'
import { type InProcess, startInProcess } from './in-process.ts'

/** What a refusal calls the verbs whose names are no English verbs. */
const inEnglish: Partial<Record<string, string>> = {
  active: 'deploy',
  deleted: 'undeploy',
  provide: 'make .* available',
  unrescue: 'end the rescue of',
  unhold: 'end the hold of',
}

let state: InProcess

before(async () => {
  state = await startInProcess({
    DEFAULT: {
      enabled_hardware_types: ['fake-hardware'],
      enabled_inspect_interfaces: ['fake', 'agent'],
      enabled_rescue_interfaces: ['fake', 'agent'],
      enabled_boot_interfaces: ['fake'],
      enabled_deploy_interfaces: ['fake'],
      enabled_management_interfaces: ['fake'],
      enabled_power_interfaces: ['fake'],
    },
    conductor: { node_locked_retry_attempts: 60, node_locked_retry_interval: 1 },
  })
})
after(() => state.close())

/** What a verb needs besides its name. */
const bodies: Partial<Record<Verb, object>> = {
  clean: { clean_steps: [{ interface: 'power', step: 'power_on' }] },
  service: { service_steps: [{ interface: 'power', step: 'reboot' }] },
  rescue: { rescue_password: 'a word' },
}

/** Where a verb ends that was allowed. */
const ends: Record<(typeof verbs)[Verb]['event'], (from: ProvisionState) => ProvisionState> = {
  deploy: () => 'active',
  rebuild: () => 'active',
  delete: () => 'available',
  manage: () => 'manageable',
  provide: () => 'available',
  inspect: () => 'manageable',
  abort: from => (from.startsWith('service') ? 'active' : (verbTarget(from, 'abort') ?? from)),
  clean: () => 'manageable',
  adopt: () => 'active',
  rescue: () => 'rescue',
  unrescue: () => 'active',
  unhold: from => (from === 'clean hold' ? 'manageable' : 'active'),
  service: () => 'active',
}

/** How a node comes to wait or to be held: the state it starts in, its fields, the verb and its body. */
const wait = { interface: 'deploy', step: 'wait', args: {} }
const hold = { interface: 'deploy', step: 'hold', args: {} }
const ways: Partial<Record<ProvisionState, [from: ProvisionState, verb: Verb, body: object, fields?: object]>> = {
  'inspect wait': ['manageable', 'inspect', {}, { inspect_interface: 'agent' }],
  'clean wait': ['manageable', 'clean', { clean_steps: [wait] }],
  'clean hold': ['manageable', 'clean', { clean_steps: [hold] }],
  'wait call-back': ['available', 'active', { deploy_steps: [{ ...wait, priority: 150 }] }],
  'deploy hold': ['available', 'active', { deploy_steps: [{ ...hold, priority: 150 }] }],
  'service wait': ['active', 'service', { service_steps: [wait] }],
  'service hold': ['active', 'service', { service_steps: [hold] }],
  'rescue wait': ['active', 'rescue', { rescue_password: 'x' }, { rescue_interface: 'agent' }],
}

async function nodeIn(wanted: ProvisionState): Promise<string> {
  const [from, verb, body, fields] = ways[wanted] ?? [wanted]
  const ramdisk = { rescue_kernel: 'http://127.0.0.1:1/k', rescue_ramdisk: 'http://127.0.0.1:1/r' }
  const interfaces = { network_interface: 'noop', inspect_interface: 'fake', rescue_interface: 'fake' }
  const more = { driver: 'fake-hardware', driver_info: ramdisk, power_state: 'power off', ...interfaces, ...fields }
  const uuid = await addNode(state.db, from, more)
  if (verb) {
    assert.equal((await ask(uuid, verb, body)).status, 202)
    await eventually(uuid, node => node.provision_state === wanted && node.reservation === null)
  }
  return uuid
}

async function ask(uuid: string, verb: Verb, body: object = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(`${state.url}/v1/nodes/${uuid}/states/provision`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', 'x-openstack-ironic-api-version': '1.115' },
    body: JSON.stringify({ target: verb, ...body }),
  })
  return { status: response.status, text: await response.text() }
}

async function nodeNow(uuid: string): Promise<Node> {
  const node = await findNode(state.db, uuid)
  assert.ok(node)
  return node
}

/** Polls; a node that never gets there fails the test by what it is instead. */
async function eventually(uuid: string, ready: (node: Node) => boolean): Promise<Node> {
  const endMs = Date.now() + 60_000
  for (;;) {
    const node = await nodeNow(uuid)
    if (ready(node)) return node
    const { provision_state, last_error, reservation } = node
    assert.ok(Date.now() < endMs, `still ${JSON.stringify({ provision_state, last_error, reservation })}`)
    await sleep(10)
  }
}

for (const from of provisionStates) {
  describe(`from ${from}`, { concurrency: true }, () => {
    for (const verb of Object.keys(verbs) as Verb[]) {
      if (verbTarget(from, verb) === undefined) {
        test(`${verb} is refused`, async () => {
          const uuid = await nodeIn(from)
          const earlier = await nodeNow(uuid)
          const { status, text } = await ask(uuid, verb, bodies[verb])
          assert.equal(status, 400, text)
          assert.match(text, new RegExp(`"?${inEnglish[verb] ?? verb}.*${from}`))
          assert.deepEqual((await nodeNow(uuid)).provision_state, earlier.provision_state)
        })
        continue
      }
      const end = ends[verbs[verb].event](from)
      test(`${verb} ends in ${end}`, async () => {
        const uuid = await nodeIn(from)
        const { status, text } = await ask(uuid, verb, bodies[verb])
        assert.equal(status, 202, text)
        const node = await eventually(uuid, now => now.provision_state === end && now.lease === null)
        assert.equal(node.target_provision_state, provision[end].kind === 'stable' ? null : node.target_provision_state)
        if (verb !== 'abort') assert.equal(node.last_error, null)
        assert.deepEqual([node.clean_step, node.deploy_step, node.service_step], [{}, {}, {}])
        assert.equal(node.maintenance, false)
      })
    }
  })
}

test('a verb that is not possible while a conductor works on the node may be asked again: 409', async () => {
  for (const from of provisionStates.filter(one => provision[one].kind === 'transitional')) {
    const uuid = await addNode(state.db, from, { driver: 'fake-hardware', reservation: 'another-conductor' })
    const { status, text } = await ask(uuid, 'provide')
    assert.equal(status, 409, text)
  }
})

test('a retired node cannot be provided, and goes to manageable when its instance goes', async () => {
  const fields = { driver: 'fake-hardware', network_interface: 'noop', retired: true, power_state: 'power on' }
  const { status, text } = await ask(await addNode(state.db, 'manageable', fields), 'provide')
  assert.equal(status, 400)
  assert.match(text, /retired/)
  const uuid = await addNode(state.db, 'active', fields)
  assert.equal((await ask(uuid, 'deleted')).status, 202)
  await eventually(uuid, node => node.provision_state === 'manageable' && node.lease === null)
})

test('what maintenance forbids is refused with the status that Ironic gives', async () => {
  const statuses: [ProvisionState, Verb, number][] = [
    ['available', 'active', 400],
    ['active', 'rebuild', 400],
    ['active', 'rescue', 400],
    ['rescue', 'unrescue', 400],
    ['active', 'service', 400],
    ['manageable', 'clean', 400],
    ['service failed', 'abort', 409],
    ['manageable', 'inspect', 202],
    ['manageable', 'adopt', 202],
  ]
  for (const [from, verb, wanted] of statuses) {
    const fields = { driver: 'fake-hardware', network_interface: 'noop', inspect_interface: 'fake', maintenance: true }
    const uuid = await addNode(state.db, from, fields)
    const { status, text } = await ask(uuid, verb, bodies[verb])
    assert.equal(status, wanted, `${verb} from ${from}: ${text}`)
  }
})

test('the rest of an inspection that waits goes on when its data comes', async () => {
  const uuid = await nodeIn('inspect wait')
  const inventory = {
    inventory: {
      interfaces: [{ name: 'eth0', mac_address: '52:54:00:00:00:99', ipv4_address: '192.0.2.1', ipv6_address: null }],
      cpu: { architecture: 'x86_64', count: 1 },
      memory: { physical_mb: 1024, total: 1 },
      disks: [],
      boot: { current_boot_mode: 'uefi', pxe_interface: '52:54:00:00:00:99' },
    },
    error: null,
  }
  assert.deepEqual(await state.conductor.inspectionData(inventory, uuid), { uuid })
  await eventually(uuid, node => node.provision_state === 'manageable' && node.lease === null)
})
