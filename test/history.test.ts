/**
 * A node's history, through the real API and the real conductor over fake hardware: whatever somebody asks of a node
 * leaves an entry that says who asked, for which project, which conductor did it, how the node stood and how long it took.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { addNode } from '#conductor/test-engine.ts'
import { findNode, type Node, takeLease } from '#db/nodes.ts'
import type { ProvisionState } from '#protocol/states.ts'
import { nobody } from '#server/auth.ts'
import { type InProcess, startInProcess } from './in-process.ts'

interface Entry {
  severity: string
  event: string
  event_type: string
  conductor: string | null
  user: string | null
  project: string | null
  state: string | null
  target_provision_state: string | null
  duration_seconds: number | null
}

let state: InProcess
const host = 'conductor-of-history'

before(async () => {
  const auth = { authenticate: () => ({ ...nobody, userId: 'user-1', userName: 'ann', projectId: 'project-1' }) }
  state = await startInProcess(
    {
      DEFAULT: {
        host,
        enabled_hardware_types: ['fake-hardware'],
        enabled_boot_interfaces: ['fake'],
        enabled_console_interfaces: ['fake'],
        enabled_deploy_interfaces: ['fake'],
        enabled_inspect_interfaces: ['fake'],
        enabled_management_interfaces: ['fake'],
        enabled_network_interfaces: ['noop', 'flat'],
        enabled_power_interfaces: ['fake'],
        enabled_rescue_interfaces: ['fake'],
      },
    },
    auth,
  )
})
after(() => state.close())

async function call(method: string, path: string, body?: object, expected = [200, 202, 204]): Promise<unknown> {
  const response = await fetch(`${state.url}/v1/nodes/${path}`, {
    method,
    headers: { 'content-type': 'application/json', 'x-openstack-ironic-api-version': '1.115' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  assert.ok(expected.includes(response.status), `${method} ${path}: ${response.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

async function historyOf(uuid: string): Promise<Entry[]> {
  const { history } = (await call('GET', `${uuid}/history?detail=true`)) as { history: Entry[] } // by its schema
  return history
}

/** Polls; a node that never gets there fails the test by what it is instead. */
async function eventually(uuid: string, ready: (node: Node) => boolean): Promise<void> {
  const endMs = Date.now() + 60_000
  for (;;) {
    const node = await findNode(state.db, uuid)
    assert.ok(node)
    if (ready(node)) return
    const { provision_state, last_error, lease } = node
    assert.ok(Date.now() < endMs, `still ${JSON.stringify({ provision_state, last_error, lease })}`)
    await sleep(10)
  }
}

function newNode(provision_state: ProvisionState, more: object = {}): Promise<string> {
  const interfaces = { network_interface: 'noop', inspect_interface: 'fake', rescue_interface: 'fake' }
  const driver_info = { rescue_kernel: 'http://127.0.0.1:1/k', rescue_ramdisk: 'http://127.0.0.1:1/r' }
  const fields = { driver: 'fake-hardware', power_state: 'power off', driver_info, ...interfaces, ...more }
  return addNode(state.db, provision_state, fields)
}

async function ask(uuid: string, target: string, wanted: ProvisionState, options: object = {}): Promise<void> {
  await call('PUT', `${uuid}/states/provision`, { target, ...options })
  await eventually(uuid, node => node.provision_state === wanted && node.lease === null)
}

/** Every entry says who asked and who did it. */
function checkNames(history: readonly Entry[]): void {
  for (const entry of history) {
    assert.deepEqual([entry.conductor, entry.user, entry.project], [host, 'user-1', 'project-1'], entry.event)
    assert.notEqual(entry.state, null, entry.event)
  }
}

test('every verb is told, with its moves and its end', async () => {
  const uuid = await newNode('enroll')
  const clean = { clean_steps: [{ interface: 'power', step: 'power_on' }] }
  const hold = [{ interface: 'deploy', step: 'hold', args: {}, priority: 150 }]
  await ask(uuid, 'manage', 'manageable')
  await ask(uuid, 'inspect', 'manageable')
  await ask(uuid, 'clean', 'manageable', clean)
  await ask(uuid, 'provide', 'available')
  await ask(uuid, 'active', 'deploy hold', { deploy_steps: hold })
  await ask(uuid, 'unhold', 'active')
  await ask(uuid, 'rebuild', 'active')
  await ask(uuid, 'rescue', 'rescue', { rescue_password: 'open sesame' })
  await ask(uuid, 'unrescue', 'active')
  await ask(uuid, 'service', 'active', { service_steps: [{ interface: 'power', step: 'reboot' }] })
  await ask(uuid, 'deleted', 'available')
  await ask(uuid, 'manage', 'manageable')
  await ask(uuid, 'adopt', 'active')
  const history = await historyOf(uuid)
  checkNames(history)
  assert.doesNotMatch(JSON.stringify(history), /sesame/)
  assert.deepEqual(
    history.filter(({ event }) => event.startsWith('Requested: ')).map(({ event }) => event.slice(11)),
    [
      ...['manage (verify)', 'inspect', 'clean', 'provide (clean)', 'deploy', 'unhold (deploy)', 'rebuild (deploy)'],
      ...['rescue', 'unrescue', 'service', 'delete (undeploy)', 'adopt'],
    ],
  )
  // The way back from available is a move and no work.
  assert.ok(history.some(({ event }) => event === 'Moved from "available" to "manageable"'))
  const requested = history.find(({ event }) => event === 'Requested: deploy')
  assert.deepEqual([requested?.state, requested?.target_provision_state], ['deploying', 'active'])
  const ends = history.filter(({ event }) => event.startsWith('Ended: '))
  assert.equal(ends.length, 11)
  assert.ok(ends.every(({ duration_seconds: took }) => took !== null && took >= 0))
  const step = history.find(({ event }) => event === 'Ended the clean step power.power_on')
  assert.deepEqual([step?.state, step?.event_type], ['cleaning', 'cleaning'])
  assert.notEqual(step?.duration_seconds, null)
  const moves = history.filter(({ event_type: type }) => type === 'transition')
  assert.ok(moves.slice(1).every(({ duration_seconds: took }) => took !== null))
})

test('an abort is told, and what fails is an error', async () => {
  const uuid = await newNode('manageable')
  await ask(uuid, 'clean', 'clean wait', { clean_steps: [{ interface: 'deploy', step: 'wait', args: {} }] })
  await call('PUT', `${uuid}/states/provision`, { target: 'abort' })
  await eventually(uuid, node => node.provision_state === 'clean failed' && node.lease === null)
  const history = await historyOf(uuid)
  checkNames(history)
  const aborted = history.find(({ event }) => event === 'clean was aborted by request in state "clean wait"')
  assert.deepEqual([aborted?.severity, aborted?.event_type], ['ERROR', 'cleaning'])
})

test('changes of a node and of what belongs to it are told by the names of the fields, and no value is', async () => {
  const uuid = await newNode('manageable')
  const made = async (path: string, body: object) =>
    ((await call('POST', `../${path}`, { node_uuid: uuid, ...body }, [201])) as { uuid: string }).uuid // they have one
  const change = (path: string, ...patch: [path: string, value: unknown][]) =>
    call(
      'PATCH',
      path,
      patch.map(([path, value]) => ({ op: 'add', path, value })),
    )
  const port = await made('ports', { address: '52:54:00:12:34:66' })
  const group = await made('portgroups', {})
  const target = await made('volume/targets', { volume_type: 'iscsi', boot_index: 0, volume_id: 'v' })
  await change(uuid, ['/driver_info/redfish_password', 'opensesame'], ['/extra/rack', '7'])
  await change(uuid, ['/extra/rack', '7'])
  await call('PUT', `${uuid}/traits`, { traits: ['CUSTOM_B', 'CUSTOM_A'] })
  await call('PUT', `${uuid}/traits/CUSTOM_C`)
  await call('DELETE', `${uuid}/traits/CUSTOM_A`)
  await call('DELETE', `${uuid}/traits`)
  await change(`../ports/${port}`, ['/extra/a', 'opensesame'], ['/pxe_enabled', false])
  await change(`../portgroups/${group}`, ['/mode', 'balance-rr'])
  await change(`../volume/targets/${target}`, ['/properties/auth_password', 'opensesame'])
  for (const path of [`ports/${port}`, `portgroups/${group}`, `volume/targets/${target}`]) {
    await call('DELETE', `../${path}`)
  }
  await change(uuid, ['/maintenance', true], ['/maintenance', false])

  const history = await historyOf(uuid)
  checkNames(history)
  assert.doesNotMatch(JSON.stringify(history), /opensesame/)
  const events = history.map(({ event }) => event.replace(/^Done: /, ''))
  assert.deepEqual(events, [
    'change driver_info, extra',
    ...['set the traits CUSTOM_A, CUSTOM_B', 'add the trait CUSTOM_C', 'remove the trait CUSTOM_A'],
    'remove all traits',
    ...[`change extra, pxe_enabled of port ${port}`, `change mode of portgroup ${group}`],
    `change properties of volume target ${target}`,
    ...[`delete port ${port}`, `delete portgroup ${group}`, `delete volume target ${target}`],
  ])
})

test('power, boot, console, maintenance, RAID, VIFs, NMI and lock are told', async () => {
  const uuid = await newNode('manageable', { console_interface: 'fake', network_interface: 'flat' })
  await call('POST', '../ports', { node_uuid: uuid, address: '52:54:00:12:34:56' }, [201])
  const rest = () => eventually(uuid, node => node.lease === null && node.target_power_state === null)
  for (const target of ['power on', 'rebooting', 'power off']) {
    await call('PUT', `${uuid}/states/power`, { target })
    await rest()
  }
  await call('PUT', `${uuid}/states/boot_mode`, { target: 'uefi' })
  await rest()
  await call('PUT', `${uuid}/states/secure_boot`, { target: true })
  await rest()
  await call('PUT', `${uuid}/management/boot_device`, { boot_device: 'pxe', persistent: false })
  await call('PUT', `${uuid}/management/inject_nmi`, {})
  await call('PUT', `${uuid}/states/console`, { enabled: true })
  await call('PUT', `${uuid}/maintenance`, { reason: 'a cable' })
  await call('DELETE', `${uuid}/maintenance`)
  await call('POST', `${uuid}/vifs`, { id: 'vif-1' })
  await call('DELETE', `${uuid}/vifs/vif-1`)
  await call('DELETE', `${uuid}/vifs/vif-1`, undefined, [400])
  await takeLease(state.db, uuid, { holder: host, purpose: 'test', nowMs: Date.now(), forMs: 60_000, visible: true })
  await call('POST', `${uuid}/unlock`, {})

  const history = await historyOf(uuid)
  checkNames(history)
  assert.ok(history.every(one => one.state === 'manageable' && one.target_provision_state === null))
  const events = history.map(one => one.event.replace(/since .*/, 'since then'))
  assert.deepEqual(events, [
    ...['Requested: power on', 'Ended: power (done)'],
    ...['Requested: rebooting', 'Ended: power (done)'],
    ...['Requested: power off', 'Ended: power (done)'],
    ...['Requested: boot mode uefi', 'Ended: boot settings (done)'],
    ...['Requested: secure boot on', 'Ended: boot settings (done)'],
    ...['Done: set boot device to "pxe" for the next boot', 'Done: inject NMI', 'Done: switch console on'],
    ...[
      'Done: set maintenance: a cable',
      'Done: clear maintenance',
      'Done: attach VIF vif-1',
      'Done: detach VIF vif-1',
    ],
    `Taken from conductor ${host}, which held it for "test" since then`,
  ])
  const timed = history.filter(({ event }) => /^(Ended|Done):/.test(event))
  assert.ok(timed.every(one => one.duration_seconds !== null))
})
