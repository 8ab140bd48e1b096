import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { Value } from 'typebox/value'
import { CommandResult, HeartbeatBody, InspectionData, Inventory, StepsResult } from '#protocol/agent.ts'
import { bundleAgent } from '#ramdisk/agent-bundle.ts'
import { type AgentProcess, startAgent } from './agent-process.ts'
import { type FakeIronic, startFakeIronic } from './fake-ironic.ts'
import { canRunContainers } from './hardware/containers.ts'

let ironic: FakeIronic
let agent: AgentProcess
const bundle = join(mkdtempSync(join(tmpdir(), 'ferrite-bundle-')), 'agent.mjs')
const node = { uuid: '6d85703a-565d-469a-96ce-30b6de53079d', properties: {}, instance_info: {} }

before(async () => {
  await bundleAgent({ outFile: bundle })
  ironic = await startFakeIronic()
  ironic.inspectionRefusals.push(409)
  ironic.lookupRefusals.push({ status: 404, text: 'no such node yet' })
  agent = startAgent(bundle, ironic, {
    parameters: `ipa-inspection-callback-url=${ironic.url}/v1/continue_inspection BOOTIF=01-52-54-00-5e-09-ff ipa-lookup-interval=0.1`,
    flags: ['--reboot-command', 'false', '--power-off-command', 'sleep 0'],
  })
  await ironic.heartbeat(1)
})

after(async () => {
  await agent.remove()
  await ironic.close()
  rmSync(dirname(bundle), { recursive: true })
})

/** Of the hardware managers; the one for containers is there where this host can run them. */
const versions = {
  ...((await canRunContainers()) ? { ContainerHardwareManager: '2' } : {}),
  generic_hardware_manager: '1.2',
}

test('inspection data arrive before the lookup, also when the API was busy at first', () => {
  const [data] = ironic.inspections
  assert.ok(Value.Check(InspectionData, data), JSON.stringify([...Value.Errors(InspectionData, data)]))
  assert.equal(data.error, null)
  assert.equal(data.boot_interface, '01-52-54-00-5e-09-ff')
  assert.ok(data.inventory.interfaces.length > 0)
  assert.ok(data.inventory.cpu.flags.length > 10)
  assert.deepEqual(
    data.configuration?.managers,
    Object.entries(versions).map(([name, version]) => ({ name, version })),
  )
  const logs = gunzipSync(Buffer.from(data.logs ?? '', 'base64'))
  assert.equal(logs.toString('latin1', 0, 7), 'journal')
  assert.match(logs.toString(), /Ferrite agent .* starts/)
})

test('the lookup goes on after a refusal, with the MACs, the inspected uuid and version 1.62', () => {
  assert.equal(ironic.lookups.length, 2)
  const [, last] = ironic.lookups
  assert.equal(last?.version, '1.62')
  assert.match(last?.url.searchParams.get('addresses') ?? '', /^([0-9a-f]{2}:){5}[0-9a-f]{2}(,|$)/)
  assert.equal(last?.url.searchParams.get('node_uuid'), node.uuid)
})

test('the heartbeat has what Ironic insists on', async () => {
  const first = ironic.heartbeats[0]
  assert.ok(Value.Check(HeartbeatBody, first))
  assert.match(first.callback_url, /^https:\/\/127\.0\.0\.1:\d+$/)
  assert.equal(ironic.heartbeats[0]?.version, '1.68')
  assert.equal(first.agent_token, ironic.token)
  const certificate = new X509Certificate(first.agent_verify_ca ?? '')
  assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1')
})

test('root documents, links, redirects', async () => {
  const { port } = new URL(ironic.heartbeats[0]?.callback_url ?? '')
  const root = await agent.call('GET', '/', { token: null })
  assert.equal(root.status, 200)
  assert.equal(root.body.default_version.links[0].href, `https://127.0.0.1:${port}/v1`)
  const version = await agent.call('GET', '/v1/', { token: null })
  assert.equal(version.body.commands[0].href, `https://127.0.0.1:${port}/v1/commands/`)
  const redirect = await agent.call('POST', '/v1/commands?wait=true', { token: null })
  assert.equal(redirect.status, 308)
  assert.equal(redirect.headers.location, `https://127.0.0.1:${port}/v1/commands/?wait=true`)
  const status = await agent.call('GET', '/status', { token: null })
  assert.ok(Math.abs(status.body.started_at - Date.now() / 1000) < 60)
  assert.equal((await agent.call('GET', '/v1/status/', { token: null })).status, 404)
})

for (const [name, expected, call] of [
  ['no token', [401, '401 Unauthorized: Token invalid.'], { token: null }],
  ['a wrong token', [401, '401 Unauthorized: Token invalid.'], { token: 'x'.repeat(43) }],
  ['no JSON', [400, /^400 Bad Request: the body is not JSON/], { body: '{' }],
  ['no params', [400, /^400 Bad Request: expected/], { json: { name: 'standby.sync' } }],
  ['a name without a dot', [400, /^Invalid command: sync/], { json: { name: 'sync', params: {} } }],
  ['an unknown command', [400, /^Invalid command: /], { json: { name: 'standby.dance', params: {} } }],
  ['a name of every object', [400, /^Invalid command: /], { json: { name: 'standby.constructor', params: {} } }],
  ['an unknown extension', [404, 'Not found: Extension with id y not found.'], { json: { name: 'y.z', params: {} } }],
  [
    'an unknown parameter',
    [400, /^Invalid command parameters: standby.sync does not know speed/],
    { json: { name: 'standby.sync', params: { speed: 1 } } },
  ],
  [
    'an image without a checksum',
    [400, /^Invalid command parameters: .*no usable checksum/],
    { json: { name: 'standby.prepare_image', params: { image_info: { id: 'x', urls: ['http://x/'] } } } },
  ],
  [
    'an image without urls',
    [400, /^Invalid command parameters: .*urls/],
    { json: { name: 'standby.prepare_image', params: { image_info: { id: 'x', urls: [] } } } },
  ],
] satisfies [string, [number, string | RegExp], object][]) {
  test(`${name} is refused in the form conductors read`, async () => {
    const { status, body } = await agent.call('POST', '/v1/commands/', call)
    const [wanted, text] = expected
    assert.equal(status, wanted, JSON.stringify(body))
    if (typeof text === 'string') assert.equal(body.faultstring, text)
    else assert.match(body.faultstring, text)
    assert.deepEqual(await agent.commands(), [])
  })
}

test('wrong paths and methods', async () => {
  assert.equal((await agent.call('GET', '/v2/')).status, 404)
  assert.equal((await agent.call('DELETE', '/v1/commands/')).status, 405)
  const missing = await agent.call('GET', '/v1/commands/9e573ca5')
  assert.deepEqual([missing.status, missing.body.faultstring], [404, 'Not found: Command with id 9e573ca5 not found.'])
})

test('steps are listed by manager, with versions', async () => {
  const offered = async (kind: 'clean' | 'deploy' | 'service') => {
    const result = await agent.command(`${kind}.get_${kind}_steps`, { node, ports: [] }, true)
    assert.ok(Value.Check(CommandResult, result))
    assert.equal(result.command_name, `get_${kind}_steps`)
    const steps = result.command_result
    assert.ok(Value.Check(StepsResult, steps))
    assert.deepEqual(steps.hardware_manager_version, versions)
    const list = steps[`${kind}_steps`]?.GenericHardwareManager ?? []
    return Object.fromEntries(list.map(one => [`${one.interface}.${one.step}`, [one.priority, one.abortable]]))
  }
  const burnIns = (...names: string[]) => Object.fromEntries(names.map(name => [`deploy.burnin_${name}`, [0, true]]))
  assert.deepEqual(await offered('clean'), {
    'deploy.erase_devices_metadata': [99, true],
    'deploy.erase_devices': [10, true],
    'deploy.erase_devices_express': [0, true],
    'deploy.erase_pstore': [0, true],
    'deploy.clean_uefi_nvram': [0, true],
    'raid.delete_configuration': [0, true],
    'raid.create_configuration': [0, true],
    ...burnIns('cpu', 'disk', 'gpu', 'memory', 'network'),
  })
  assert.deepEqual(await offered('deploy'), {
    'deploy.erase_devices_metadata': [0, undefined],
    'deploy.clean_uefi_nvram': [0, undefined],
    'deploy.write_image': [0, undefined],
    'deploy.execute_bootc_install': [0, undefined],
    'deploy.inject_files': [0, undefined],
    'raid.apply_configuration': [0, undefined],
  })
  assert.deepEqual(await offered('service'), {
    'deploy.write_image': [0, true],
    'deploy.execute_bootc_install': [0, undefined],
    'deploy.inject_files': [0, true],
    'raid.delete_configuration': [0, true],
    'raid.create_configuration': [0, true],
    'raid.apply_configuration': [0, true],
    ...burnIns('cpu', 'gpu', 'memory', 'network'),
  })
})

test('an asynchronous command answers at once, makes others wait their turn, and forces a heartbeat', async () => {
  const beats = ironic.heartbeats.length
  const step = { step: 'erase_devices_metadata', interface: 'deploy' }
  const started = await agent.command('clean.execute_clean_step', {
    step,
    node,
    ports: [],
    clean_version: versions,
    some_extra: true,
  })
  assert.equal(started.command_status, 'RUNNING')
  const { body } = await agent.call('GET', `/v1/commands/${started.id}?wait=TRUE`)
  assert.deepEqual(
    [body.command_status, body.command_result],
    ['SUCCEEDED', { clean_result: {}, clean_step: { interface: 'deploy', step: 'erase_devices_metadata' } }],
  )
  const startedAt = performance.now()
  await ironic.heartbeat(beats + 1)
  assert.ok(performance.now() - startedAt < 8_000)
})

test('another command while one runs is refused as busy', async () => {
  await agent.command('standby.power_off')
  const { status, body } = await agent.call('POST', '/v1/commands/', { json: { name: 'standby.sync', params: {} } })
  assert.deepEqual([status, body.faultstring], [409, 'Agent is busy: executing command power_off'])
  assert.equal((await agent.ended()).command_status, 'SUCCEEDED')
})

test('a reboot that does not happen is a failed command', async () => {
  await agent.command('standby.run_image')
  const result = await agent.ended()
  assert.equal(result.command_status, 'FAILED')
  assert.equal(result.command_error?.type, 'SystemRebootError')
})

test('other hardware managers than those listed: version mismatch', async () => {
  const step = { step: 'erase_devices_metadata', interface: 'deploy' }
  await agent.command('deploy.execute_deploy_step', { step, node, deploy_version: { other: '1' } })
  const result = await agent.ended()
  assert.equal(result.command_status, 'CLEAN_VERSION_MISMATCH')
  assert.equal(result.command_error?.type, 'VersionMismatch')
})

test('a service step runs as a cleaning one does', async () => {
  const step = { step: 'create_configuration', interface: 'raid', args: {} }
  await agent.command('service.execute_service_step', { step, node, ports: [] })
  const { command_status, command_result } = await agent.ended()
  assert.equal(command_status, 'SUCCEEDED')
  // The node wants no RAID.
  assert.deepEqual(command_result, {
    service_result: {},
    service_step: { interface: 'raid', step: 'create_configuration' },
  })
})

test('only agents that stand alone are told their node', async () => {
  const json = { name: 'poll.set_node_info', params: { node_info: node } }
  const { status, body } = await agent.call('POST', '/v1/commands/', { json })
  assert.equal(status, 400)
  assert.match(body.faultstring, /set_node_info is for stand-alone agents/)
})

test('an unknown step fails by name', async () => {
  await agent.command('clean.execute_clean_step', { step: { step: 'polish', interface: 'deploy' }, node })
  const result = await agent.ended()
  assert.equal(result.command_error?.type, 'HardwareManagerMethodNotFound')
  assert.match(
    result.command_error?.details ?? '',
    /Cannot run polish: none of (ContainerHardwareManager, )?GenericHardwareManager offers it/,
  )
})

test('a synchronous command that fails is recorded under its full name, and the list stays readable', async () => {
  const result = await agent.command('clean.get_clean_steps', { node: { uuid: 5 }, ports: [] })
  assert.deepEqual([result.command_status, result.command_name], ['FAILED', 'clean.get_clean_steps'])
  assert.equal((await agent.commands()).at(-1)?.command_name, 'clean.get_clean_steps')
})

test('whole-disk images need no boot loader; those of a partition need their disk', async () => {
  await agent.command('image.install_bootloader', { root_uuid: '0x00000000', target_boot_mode: 'uefi' })
  assert.equal((await agent.ended()).command_status, 'SUCCEEDED')
  await agent.command('image.install_bootloader', { root_uuid: '0b1c2d3e-0000-1111-2222-333344445555' })
  assert.match((await agent.ended()).command_error?.details ?? '', /^Looking for a root disk/)
})

test('a flow runs its commands in order and stops at the first failure', async () => {
  await agent.command('flow.start_flow', { flow: [{ 'standby.sync': {} }, { 'standby.get_partition_uuids': {} }] })
  assert.deepEqual(
    (await agent.ended()).command_result,
    [undefined, {}].map(value => value ?? null),
  )
  await agent.command('flow.start_flow', {
    flow: [{ 'clean.get_clean_steps': { node: { uuid: 5 } } }, { 'standby.sync': {} }],
  })
  assert.equal((await agent.ended()).command_status, 'FAILED')
})

test('inventory, logs and partition uuids', async () => {
  const { command_result: inventory } = await agent.command('poll.get_hardware_info')
  assert.ok(Value.Check(Inventory, inventory), JSON.stringify([...Value.Errors(Inventory, inventory)]))
  assert.equal(inventory.boot.pxe_interface, '01-52-54-00-5e-09-ff')
  const logs = await agent.command('log.collect_system_logs', {}, true)
  const { system_logs: packed } = logs.command_result as { system_logs: string } // asserted by unpacking
  assert.match(gunzipSync(Buffer.from(packed, 'base64')).toString(), /Command standby.power_off/)
  assert.deepEqual((await agent.command('standby.get_partition_uuids', {}, true)).command_result, {})
})

test('the token is in the store for root alone, and never in the log', () => {
  assert.equal(readFileSync(join(agent.dir, 'state/token'), 'utf8'), ironic.token)
  assert.ok(!agent.output().includes(ironic.token))
  assert.ok(!readFileSync(join(agent.dir, 'state/agent.log'), 'utf8').includes(ironic.token))
})

test('killed and started again, the agent is the same one: token, certificate, commands; no second lookup', async () => {
  const lookups = ironic.lookups.length
  const commands = await agent.commands()
  const beats = ironic.heartbeats.length
  await agent.kill()
  agent.start()
  await ironic.heartbeat(beats + 1)
  assert.equal(ironic.lookups.length, lookups)
  assert.deepEqual(await agent.commands(), commands)
})

test('a node that was enrolled anew is looked up again', async () => {
  const beats = ironic.heartbeats.length
  ironic.heartbeatRefusals.push({ status: 404, text: 'Node could not be found' })
  await agent.command('standby.power_off')
  await ironic.heartbeat(beats + 1)
  assert.equal(ironic.lookups.length, 3)
})

test('lockdown answers first and then closes the port for good', async () => {
  assert.equal((await agent.command('system.lockdown')).command_status, 'SUCCEEDED')
  await sleep(1_500)
  await assert.rejects(agent.call('GET', '/'), /ECONNREFUSED/)
  assert.ok(existsSync(join(agent.dir, 'state')))
  assert.match(agent.output(), /Locked down/)
})
