/** The commands on nodes against the real API: what they change, what they print, wrong input. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { insertFlow, putStep, updateFlow, writeProgress } from '#db/flows.ts'
import { takeLease } from '#db/nodes.ts'
import { keepPiece } from '#db/ramdisk-logs.ts'
import { startApi, type TestApi } from '#server/test-api.ts'
import { TestClient } from './test-client.ts'

let api: TestApi
let cli: TestClient
let n1: string
let n2: string
before(async () => {
  api = await startApi()
  cli = new TestClient({ OS_ENDPOINT: api.url })
  n1 = await api.node({ name: 'n1', owner: 'me' })
  n2 = await api.node({ name: 'n2' })
})
after(() => api[Symbol.asyncDispose]())

async function stored(name: string): Promise<Record<string, unknown>> {
  const { json, status, fault } = await api.call('GET', `/v1/nodes/${name}`)
  assert.equal(status, 200, fault)
  return json as Record<string, unknown> // a node is an object
}

test('node create', async () => {
  const made = await cli.one(
    `node create --driver fake-hardware --name n3 --driver-info fake_address=x --driver-info fake_password=hush --property cpus=4 --extra a=1 --resource-class big --automated-clean --owner me --lessee you --description 'in rack 7' --shard east --conductor-group '' --boot-interface ipxe --disable-power-off --parent-node n1 --network-data '{"links": [], "networks": [], "services": []}' --instance-info x=y`,
  )
  const { driver_info, properties, automated_clean, parent_node, disable_power_off, network_data } = made
  assert.deepEqual(driver_info, { fake_address: 'x', fake_password: '******' })
  assert.deepEqual([properties, automated_clean, parent_node, disable_power_off], [{ cpus: 4 }, true, n1, true])
  assert.deepEqual(network_data, { links: [], networks: [], services: [] })
  await cli.fails('node create --driver nothing', 1, /nothing.*HTTP 400/)
  await cli.fails('node create --name x', 2, /Missing option --driver/)
  await cli.fails('node create --driver fake-hardware --automated-clean --no-automated-clean', 2, /exclude each other/)
})

test('node list', async () => {
  const names = async (more: string) => (await cli.list(`node list --fields name ${more}`)).map(({ name }) => name)
  assert.deepEqual(Object.keys((await cli.list('node list'))[0] ?? {}), [
    'uuid',
    'name',
    'instance_uuid',
    'power_state',
    'provision_state',
    'maintenance',
  ])
  assert.deepEqual(await names('--sort name:desc'), ['n2', 'n1'])
  assert.deepEqual(await names('--include-children --sort name'), ['n1', 'n2', 'n3'])
  for (const filter of [
    '--parent-node n1',
    '--resource-class big --include-children',
    '--lessee you --include-children',
    '--description-contains rack --include-children',
    '--sharded --include-children',
    '--shards east west --include-children',
  ]) {
    assert.deepEqual(await names(filter), ['n3'], filter)
  }
  assert.deepEqual(await names('--owner me --include-children --sort name'), ['n1', 'n3'])
  assert.deepEqual(await names('--unsharded --sort name'), ['n1', 'n2'])
  assert.deepEqual(await names('--no-maintenance --no-retired --unassociated --driver fake-hardware --limit 1'), ['n1'])
  assert.deepEqual(await names('--provision-state enroll --conductor-group "" --sort name'), ['n1', 'n2'])
  for (const none of [
    '--maintenance',
    '--retired',
    '--associated',
    '--fault "power failure"',
    '--instance-name x',
    '--driver redfish',
  ]) {
    assert.deepEqual(await names(none), [], none)
  }
  assert.deepEqual(await names(`--marker ${n1}`), ['n2'])
  assert.equal((await cli.list('node list --long'))[0]?.driver, 'fake-hardware')
  await cli.fails('node list --provision-state nonsense', 1, /HTTP 400/)
  await cli.fails('node list --sharded --unsharded', 2, /exclude each other/)
  await cli.fails('node list --fields uuid colour', 1, /colour.*HTTP 400/)
})

test('node list goes on over pages, and tells when there are more', async () => {
  const one = await startApi({ api: { max_limit: 1 } })
  try {
    for (const name of ['a', 'b', 'c']) await one.node({ name })
    const paging = new TestClient({ OS_ENDPOINT: one.url })
    const lines = async (line: string) => (await paging.ok(line)).split('\n').length - 1
    assert.deepEqual([await lines('node list --limit 2 -f value'), await lines('node list --limit 0 -f value')], [2, 3])
    assert.match((await paging.run('node list')).err, /first 1 only/)
  } finally {
    await one[Symbol.asyncDispose]()
  }
})

test('node show', async () => {
  assert.equal((await cli.one('node show n1')).uuid, n1)
  assert.deepEqual(await cli.one('node show n3 --fields name driver_info'), {
    name: 'n3',
    driver_info: { fake_address: 'x', fake_password: '******' },
  })
  await cli.fails('node show nobody', 1, /nobody.*HTTP 404/)
})

test('node set', async () => {
  const instance = '50000000-0000-4000-8000-000000000001'
  await cli.ok(
    `node set n1 --instance-uuid ${instance} --instance-name web --retired --retired-reason old --property a=5 --deploy-interface fake --no-automated-clean --network-data '{"links": [], "networks": [], "services": []}'`,
  )
  const found = await stored('n1')
  assert.deepEqual(
    [found.instance_uuid, found.instance_name, found.retired, found.retired_reason],
    [instance, 'web', true, 'old'],
  )
  assert.deepEqual([found.properties, found.deploy_interface, found.automated_clean], [{ a: 5 }, 'fake', false])
  assert.equal((await cli.one(`node show --instance ${instance}`)).name, 'n1')
  await cli.ok('node set n1 --reset-deploy-interface')
  assert.equal((await stored('n1')).deploy_interface, 'direct')
  await cli.ok('node set n1 n2 --extra rack=7 --raid-interface fake')
  await cli.ok(`node set n2 --target-raid-config '{"logical_disks": [{"size_gb": "MAX", "raid_level": "1"}]}'`)
  assert.deepEqual((await stored('n2')).target_raid_config, { logical_disks: [{ size_gb: 'MAX', raid_level: '1' }] })
  await cli.ok('node set n3 --enable-power-off')
  assert.equal((await stored('n3')).disable_power_off, false)
  await cli.ok('node set n3 --driver redfish --reset-interfaces')
  assert.equal((await stored('n3')).power_interface, 'redfish')
  await cli.fails('node set n1 --boot-interface ipxe --reset-boot-interface', 2, /exclude each other/)
  await cli.fails('node set n1 --boot-interface nothing', 1, /no boot interface nothing.*HTTP 400/)
  await cli.fails('node set n1 --reset-interfaces', 2, /needs --driver/)
  await cli.fails('node set n1 n2 --name x', 2, /fits one node only/)
})

test('node unset', async () => {
  await cli.ok(
    'node unset n1 --instance-uuid --instance-name --property a --retired --retired-reason --automated-clean',
  )
  const found = await stored('n1')
  assert.deepEqual([found.instance_uuid, found.instance_name, found.properties], [null, null, {}])
  assert.deepEqual([found.retired, found.automated_clean], [false, null])
  await cli.ok('node unset n2 --target-raid-config')
  assert.deepEqual((await stored('n2')).target_raid_config, {})
  await cli.ok('node unset n1 n2 --extra rack')
  await cli.fails('node unset n1 --drivers', 2, /Unknown option --drivers/)
})

test('node validate', async () => {
  const rows = await cli.list('node validate n1')
  assert.deepEqual(rows.find(({ Interface }) => Interface === 'power')?.Result, true)
  assert.deepEqual(
    rows.map(({ Interface }) => Interface).toSorted(),
    rows.map(({ Interface }) => Interface),
  )
  await cli.fails('node validate', 2, /Missing argument <node>/)
})

test('node children list', async () => {
  const uuid = String((await stored('n3')).uuid)
  assert.deepEqual(await cli.list('node children list n1'), [{ children: uuid }])
  await cli.fails('node children list nobody', 1, /HTTP 404/)
})

test('node maintenance set', async () => {
  await cli.ok('node maintenance set n1 n2 --reason "new fan"')
  const { maintenance, maintenance_reason } = await stored('n1')
  assert.deepEqual([maintenance, maintenance_reason], [true, 'new fan'])
  await cli.fails('node maintenance set n1 nobody', 1, /Cannot begin the maintenance of node nobody: .*HTTP 404/)
})

test('node maintenance unset', async () => {
  await cli.ok('node maintenance unset n1 n2')
  assert.equal((await stored('n2')).maintenance, false)
})

test('node power on', async () => {
  await cli.ok('node power on n1 n2')
  assert.equal((await stored('n2')).power_state, 'power on')
  await cli.fails('node power on n1 --power-timeout 0', 2, /needs 1 or more/)
})

test('node power off', async () => {
  await cli.ok('node power off n1 --soft --power-timeout 30')
  assert.equal((await stored('n1')).power_state, 'power off')
  await cli.fails('node power off', 2, /Missing argument <node>/)
})

test('node reboot', async () => {
  await cli.ok('node reboot n1')
  await cli.ok('node reboot n1 --soft')
  assert.equal((await stored('n1')).power_state, 'power on')
})

test('node unlock', async () => {
  const lease = { holder: 'host-2', purpose: 'deploy', nowMs: Date.now(), forMs: 600_000, visible: true }
  await takeLease(api.db, n2, lease)
  assert.equal((await stored('n2')).reservation, 'host-2')
  const { holder, purpose, since } = await cli.one('node unlock n2')
  assert.deepEqual([holder, purpose, typeof since], ['host-2', 'deploy', 'string'])
  assert.equal((await stored('n2')).reservation, null)
  await cli.fails('node unlock n2', 1, /nobody holds it.*HTTP 409/)
})

test('node why', async () => {
  const { verdict, cause, summary } = await cli.one('node why n1')
  assert.deepEqual([verdict, cause, summary], ['fine', 'fine', 'Nothing is wrong'])
  await cli.fails('node why nobody', 1, /HTTP 404/)
})

/** What the service plans for a node that is there. */
async function planned(verb: string, options = ''): Promise<void> {
  const { from_state, power, boots } = await cli.one(`node plan ${verb} n1 --raw ${options}`)
  assert.deepEqual([typeof from_state, power, boots], ['string', [{ to: 'power on', why: 'for tests' }], 1], verb)
}

test('node plan deploy', async () => {
  await planned('deploy')
  const rows = await cli.list('node plan deploy n1')
  assert.deepEqual(
    rows.find(({ part }) => part === 'power'),
    { part: 'power', what: 'power on: for tests' },
  )
  await cli.fails('node plan deploy nobody', 1, /HTTP 404/)
  await cli.ok('node maintenance set n1')
  const { status, out, err } = await cli.run('node plan deploy n1 -f json')
  await cli.ok('node maintenance unset n1')
  assert.equal(status, 1)
  assert.match(err, /would be refused now, for 1 reason/)
  assert.deepEqual(JSON.parse(out)[0], { part: 'refusal', what: 'it is in maintenance (invalid-input)' })
})
test('node plan rebuild', () => planned('rebuild'))
test('node plan undeploy', () => planned('undeploy'))
test('node plan provide', () => planned('provide'))
test('node plan inspect', () => planned('inspect'))
test('node plan rescue', () => planned('rescue'))
test('node plan unrescue', () => planned('unrescue'))
test('node plan manage', () => planned('manage'))
test('node plan adopt', () => planned('adopt'))
test('node plan clean', async () => {
  await cli.fails('node plan clean n1', 2, /Missing option/)
  await planned('clean', `--clean-steps '[{"interface":"deploy","step":"x"}]'`)
})
test('node plan service', async () => {
  await cli.fails('node plan service n1', 2, /Missing option/)
  await planned('service', `--service-steps '[{"interface":"deploy","step":"x"}]'`)
})

test('node inject nmi', async () => {
  await cli.ok('node inject nmi n1')
  await cli.fails('node inject nmi n3', 1, /takes no NMI.*HTTP 400/)
})

test('node boot device set', async () => {
  await cli.ok('node boot device set n1 n2 pxe --persistent')
  await cli.fails('node boot device set n1 floppy', 1, /HTTP 400/)
  await cli.fails('node boot device set n1', 2, /Missing argument <device>/)
})

test('node boot device show', async () => {
  assert.deepEqual(await cli.one('node boot device show n2'), { boot_device: 'pxe', persistent: true })
  assert.match(await cli.ok('node boot device show n2 --supported -f value'), /pxe, disk/)
})

test('node boot mode set', async () => {
  await cli.ok('node boot mode set n1 n2 bios')
  assert.equal((await stored('n2')).boot_mode, 'bios')
  await cli.fails('node boot mode set n1 coreboot', 2, /expected one of uefi, bios/)
})

test('node secure boot on', async () => {
  await cli.ok('node secure boot on n1')
  assert.equal((await stored('n1')).secure_boot, true)
  await cli.fails('node secure boot on n3', 1, /no secure boot.*HTTP 400/)
})

test('node secure boot off', async () => {
  await cli.ok('node secure boot off n1')
  assert.equal((await stored('n1')).secure_boot, false)
})

test('node console enable', async () => {
  await cli.ok('node set n1 --console-interface fake')
  await cli.ok('node console enable n1')
  assert.equal((await stored('n1')).console_enabled, true)
  await cli.fails('node console enable n2', 1, /no console.*HTTP 400/)
})

test('node console show', async () => assert.equal((await cli.one('node console show n1')).console_enabled, true))

test('node console disable', async () => {
  await cli.ok('node console disable n1')
  assert.equal((await stored('n1')).console_enabled, false)
})

test('node trait add', async () => {
  assert.equal(await cli.ok('node trait add n1 CUSTOM_A CUSTOM_B'), 'Added trait CUSTOM_A\nAdded trait CUSTOM_B\n')
  await cli.ok('node add trait n1 CUSTOM_C')
  await cli.fails('node trait add n1 nonsense', 1, /HTTP 400/)
})

test('node trait list', async () => {
  assert.equal(await cli.ok('node trait list n1 -f value'), 'CUSTOM_A\nCUSTOM_B\nCUSTOM_C\n')
})

test('node trait remove', async () => {
  await cli.ok('node trait remove n1 CUSTOM_A')
  await cli.ok('node remove trait n1 CUSTOM_B')
  assert.deepEqual((await stored('n1')).traits, ['CUSTOM_C'])
  assert.equal(await cli.ok('node trait remove n1 --all'), 'Removed all traits\n')
  assert.deepEqual((await stored('n1')).traits, [])
  await cli.fails('node trait remove n1 --all CUSTOM_A', 2, /use --all instead/)
})

const vif = '60000000-0000-4000-8000-000000000001'

test('node vif attach', async () => {
  await cli.ok('port create 52:54:00:00:00:01 --node n1')
  const port = await cli.one('port create 52:54:00:00:00:02 --node n1')
  await cli.ok('node set n1 --network-interface flat')
  await cli.ok(`node vif attach n1 ${vif} --port-uuid ${port.uuid} --vif-info a=1`)
  await cli.fails(`node vif attach n1 ${vif} --vif-info id=5`, 2, /cannot have the key id/)
  await cli.fails(`node vif attach n1 ${vif}`, 1, /HTTP 409/)
})

test('node vif list', async () => assert.deepEqual(await cli.list('node vif list n1'), [{ id: vif }]))

test('node vif detach', async () => {
  await cli.ok(`node vif detach n1 ${vif}`)
  assert.equal(await cli.ok('node vif list n1 -f value'), '')
  await cli.fails(`node vif detach n1 ${vif}`, 1, /HTTP 400/)
})

const at = '2026-11-21T05:47:09.128000+00:00'

test('node bios setting list', async () => {
  const rest = { lower_bound: null, upper_bound: null, min_length: null, max_length: null, read_only: 0, unique: 0 }
  const given = { attribute_type: 'Enumeration', allowable_values: '["On","Off"]', reset_required: 1, created_at: at }
  await api.db
    .insertInto('bios_settings')
    .values({ node_uuid: n1, name: 'Virtualization/VT', value: 'On', updated_at: null, ...given, ...rest })
    .execute()
  const name = 'Virtualization/VT'
  assert.deepEqual(await cli.list('node bios setting list n1'), [{ name, value: 'On' }])
  assert.deepEqual((await cli.list('node bios setting list n1 --long'))[0]?.allowable_values, ['On', 'Off'])
  const chosen = await cli.list('node bios setting list n1 --fields name attribute_type')
  assert.deepEqual(chosen, [{ name, attribute_type: 'Enumeration' }])
  await cli.fails('node bios setting list n1 --fields colour', 1, /HTTP 400/)
})

test('node bios setting show', async () => {
  assert.equal((await cli.one('node bios setting show n1 Virtualization/VT')).value, 'On')
  await cli.fails('node bios setting show n1 LogicalProc', 1, /LogicalProc.*HTTP 404/)
})

test('node firmware list', async () => {
  const versions = { initial_version: '1', current_version: '2', last_version_flashed: '2' }
  const unknown = { vendor: null, model: null, serial_number: null }
  await api.db
    .insertInto('firmware_components')
    .values({ node_uuid: n1, component: 'bmc', ...versions, ...unknown, created_at: at, updated_at: null })
    .execute()
  const [row] = await cli.list('node firmware list n1')
  assert.deepEqual([row?.component, row?.current_version, row?.vendor], ['bmc', '2', undefined])
  await cli.fails('node firmware list nobody', 1, /HTTP 404/)
})

test('node inventory save', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-cli-'))
  try {
    const file = join(folder, 'inventory.json')
    await cli.fails(`node inventory save n2 --file ${file}`, 1, /HTTP 404/)
    const inventory = JSON.stringify({ inventory: { cpu: { count: 2 } }, plugin_data: {} })
    await api.db.updateTable('nodes').set({ inventory }).where('uuid', '=', n2).execute()
    await cli.ok(`node inventory save n2 --file ${file}`)
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), JSON.parse(inventory))
    assert.deepEqual(JSON.parse(await cli.ok('node inventory save n2')), JSON.parse(inventory))
    await cli.fails(`node inventory save n2 --file ${folder}/x/y.json`, 1, /Cannot write the inventory to/)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('node history list', async () => {
  const event = { at, node_uuid: n1, flow_id: null, kind: 'aborted', data: '{"message": "Stopped by hand"}' }
  await api.db.insertInto('events').values(event).execute()
  const rows = await cli.list('node history list n1')
  assert.ok(rows.some(row => row.event === 'Stopped by hand'))
  assert.deepEqual(Object.keys(rows[0] ?? {}), ['uuid', 'created_at', 'severity', 'event'])
  assert.ok('duration_seconds' in ((await cli.list('node history list n1 --long'))[0] ?? {}))
  await cli.fails('node history list nobody', 1, /HTTP 404/)
})

test('node history get', async () => {
  const row = (await cli.list('node history list n1')).find(({ event }) => event === 'Stopped by hand')
  const found = await cli.one(`node history get n1 ${row?.uuid}`)
  assert.deepEqual([found.event, 'links' in found], ['Stopped by hand', false])
  await cli.fails('node history get n1 60000000-0000-4000-8000-0000000000aa', 1, /HTTP 404/)
})

test('node passthru list', async () => assert.deepEqual(await cli.list('node passthru list n1'), []))

test('node passthru call', async () => {
  for (const method of ['POST', 'GET', 'DELETE']) {
    await cli.fails(`node passthru call n1 eject --http-method ${method}`, 1, /no vendor method "eject"/)
  }
  await cli.fails('node passthru call n1 eject --arg a=1', 1, /no vendor method "eject"/)
  await cli.fails('node passthru call n1 eject --arg a=1 --http-method GET', 2, /which has no body/)
})

test('node vmedia list', async () => await cli.fails('node vmedia list n1', 1, /does not support virtual media/))

test('node vmedia attach', async () => {
  await cli.fails('node vmedia attach n1 cdrom https://images/x.iso', 1, /does not support virtual media/)
  await cli.fails('node vmedia attach n1 tape https://images/x.iso', 2, /expected one of cdrom/)
  await cli.fails('node vmedia attach n1 cdrom gopher://x --download-source local', 1, /one of http, https/)
})

test('node vmedia detach', async () => {
  await cli.fails('node vmedia detach n1 --device cdrom --device disk', 1, /does not support virtual media/)
})

test('node indicator list', async () => assert.deepEqual(await cli.list('node indicator list n1'), []))
test('node indicator show', async () => await cli.fails('node indicator show n1 led@system', 1, /no indicator/))
test('node indicator set', async () => {
  await cli.fails('node indicator set n1 led@system on', 1, /no indicator/)
  await cli.fails('node indicator set n1 led@system pink', 2, /expected one of on, off, blinking/)
})

/** A verb from one state, and the state that the API has stored when it answers. */
async function verb(line: string, from: string, to: string): Promise<void> {
  await api.set(n1, { provision_state: from as never, target_provision_state: null }) // a state of the table
  await cli.ok(line)
  assert.equal((await stored('n1')).provision_state, to, line)
}
const steps = (kind: string, more: string) => `'[{"interface":"${kind}","step":"x","args":{}${more}}]'`

test('node manage', async () => await verb('node manage n1', 'enroll', 'verifying'))
test('node inspect', async () => await verb('node inspect n1', 'manageable', 'inspecting'))
test('node provide', async () => await verb('node provide n1', 'manageable', 'cleaning'))
test('node adopt', async () => await verb('node adopt n1', 'manageable', 'adopting'))
test('node undeploy', async () => await verb('node undeploy n1', 'active', 'deleting'))
test('node unrescue', async () => await verb('node unrescue n1', 'rescue', 'unrescuing'))
test('node unhold', async () => await verb('node unhold n1', 'clean hold', 'clean wait'))
test('node abort', async () => {
  await verb('node abort n1', 'inspect wait', 'inspect failed')
  await cli.fails('node abort n1', 1, /inspect failed.*HTTP 400/)
})
test('node rescue', async () => {
  await verb('node rescue n1 --rescue-password hush', 'active', 'rescuing')
  await cli.fails('node rescue n1', 2, /Missing option --rescue-password/)
  const { out, err } = await cli.run('node rescue n1 --rescue-password hush --debug')
  assert.ok(!(out + err).includes('hush'), err)
})
test('node deploy', async () => {
  const drive = `--config-drive '{"meta_data": {"a": 1}}'`
  await verb(`node deploy n1 ${drive} --deploy-steps ${steps('deploy', ',"priority":1')}`, 'available', 'deploying')
  await cli.fails('node deploy n1 --config-drive /nothing/there', 1, /it is no file or directory/)
})
test('node rebuild', async () => await verb('node rebuild n1 --config-drive https://drives/x', 'active', 'deploying'))
test('node clean', async () => {
  await verb(`node clean n1 --clean-steps ${steps('deploy', '')} --disable-ramdisk`, 'manageable', 'cleaning')
  await cli.fails('node clean n1', 2, /--clean-steps or --runbook/)
  await cli.fails(`node clean n1 --clean-steps [] --runbook x`, 2, /exclude each other/)
  await cli.fails('node clean n1 --runbook nothing', 1, /HTTP 4/)
})
test('node service', async () => {
  await verb(`node service n1 --service-steps ${steps('deploy', '')}`, 'active', 'servicing')
  await cli.fails('node service n1', 2, /--service-steps or --runbook/)
})

test('--wait follows the node, and ends with its failure or with the time', async () => {
  await api.set(n1, { provision_state: 'enroll', target_provision_state: null })
  cli.onSleep = () => api.set(n1, { provision_state: 'manageable', target_provision_state: null })
  assert.match(await cli.ok('node manage n1 --wait 60'), /manageable/)
  cli.onSleep = () =>
    api.set(n1, { provision_state: 'clean failed', target_provision_state: null, last_error: 'no disk' })
  const failed = await cli.run('node provide n1 --wait')
  assert.equal(failed.status, 1)
  assert.match(failed.err, /did not reach state available: it came to rest in clean failed: no disk/)
  cli.onSleep = undefined
  await api.set(n1, { provision_state: 'manageable', target_provision_state: null, last_error: null })
  const late = await cli.run('node inspect n1 --wait 3')
  assert.equal(late.status, 1)
  assert.match(late.err, /Stopped waiting .* after 3 s: node n1 is inspecting/)
})

test('node delete', async () => {
  assert.equal(await cli.ok('node delete n3 n2'), 'Deleted node n3\nDeleted node n2\n')
  assert.equal((await api.call('GET', '/v1/nodes/n2')).status, 404)
  await cli.fails('node delete n2', 1, /HTTP 404/)
})

test('node logs', async () => {
  await cli.fails('node logs n1', 1, /none of any boot/)
  const { uuid } = await stored('n1')
  const [old, last] = ['11111111-2222-4333-8444-555555555555', 'aaaaaaaa-2222-4333-8444-555555555555']
  const piece = (bootId: string, number: number, text: string, at: string) =>
    keepPiece(api.db, { nodeUuid: String(uuid), bootId, piece: number, text, at }, 10_000)
  await piece(old, 0, 'older\n', '2026-01-01T00:00:00+00:00')
  await piece(last, 0, '[ 1.00] one\n', '2026-01-01T00:01:00+00:00')
  await piece(last, 1, '[ 2.00] two\n', '2026-01-01T00:01:01+00:00')
  assert.equal(await cli.ok('node logs n1'), '[ 1.00] one\n[ 2.00] two\n')
  assert.equal(await cli.ok('node logs n1 --boot 1111'), 'older\n')
  await cli.fails('node logs n1 --boot 2222', 1, /none of a boot 2222/)
  await cli.fails('node logs nobody', 1, /nobody/)
  assert.equal(
    (await cli.ok('node logs n1 --list')).split('\n')[0],
    `${last}  2026-01-01T00:01:00+00:00 to 2026-01-01T00:01:01+00:00  24 bytes`,
  )
  await cli.fails('node logs n1 --list --follow', 2, /exclude each other/)
})

test('node timeline', async () => {
  const { uuid } = await stored('n1')
  await cli.fails('node timeline n1', 1, /has had no run/)
  await runOf(String(uuid), 'deploy', [
    ['a place to deploy', 0, 5],
    ['boot deploy: on: wait', 5, 8],
  ])
  const rows = await cli.list('node timeline n1')
  assert.deepEqual(
    rows.map(({ phase, seconds }) => [phase, seconds]),
    [
      ['queue', 5],
      ['bmc', 3],
    ],
  )
  assert.deepEqual(Object.keys(rows[0] ?? {}), ['phase', 'step', 'seconds', 'bytes', 'rate_bytes_per_s', 'what'])
  const [last] = await cli.list('node timeline n1 --runs')
  assert.deepEqual([last?.kind, last?.outcome, last?.unattributed_s], ['deploy', 'done', 0])
  assert.equal((await cli.list(`node timeline n1 --run ${last?.id}`)).length, 2)
  await cli.fails('node timeline n1 --run 99999', 1, /no run 99999/)
  assert.match(await cli.ok('node timeline n1 -f csv -c phase -c seconds'), /queue.*5/)
})

test('node history', async () => {
  assert.deepEqual(
    (await cli.list('node history n1 --long')).map(({ phase }) => phase),
    ['queue', 'bmc'],
  )
})

test('node watch', async () => {
  const { uuid } = await stored('n1')
  assert.equal((await cli.one('node watch n1')).outcome, 'done')
  const id = await runOf(String(uuid), 'clean', [['a place to clean', 0, null]])
  const progress = { step: 'deploy.erase_devices', phase: 'erase', bytes: 2 ** 20, total_bytes: 4 * 2 ** 20 }
  const figures = { rate_bytes_per_s: 2 ** 20, eta_s: 3, updated_at: new Date().toISOString() }
  await writeProgress(api.db, id, { ...progress, ...figures })
  let looks = 0
  cli.onSleep = async () => {
    looks += 1
    if (looks === 2)
      await updateFlow(api.db, id, { state: 'failed', error: 'the disk is dead', ended_at: new Date().toISOString() })
  }
  const { status, out, err } = await cli.run('node watch n1 -f json')
  cli.onSleep = undefined
  assert.equal(status, 1)
  assert.match(err, /n1: clean {2}queue {2}erase {2}25 % {2}1\.0 MiB of 4\.0 MiB {2}1\.0 MiB\/s/)
  assert.match(err, /The clean of node n1 was failed: the disk is dead/)
  assert.equal(JSON.parse(out).outcome, 'failed')
  await cli.fails('node watch nobody', 1, /nobody/)
})

/** A run with these records, in seconds from its start; one without an end is under way. */
async function runOf(uuid: string, kind: string, records: [name: string, from: number, to: number | null][]) {
  const beganMs = Date.now() - 60_000
  const time = (seconds: number) => new Date(beganMs + seconds * 1000).toISOString()
  const asked = { requested_by: null, requested_project: null, request_id: null, conductor: 'host-1', lease_token: 1 }
  const id = await insertFlow(api.db, { node_uuid: uuid, kind, args: {}, ...asked, nowMs: beganMs })
  for (const [seq, [name, from, to]] of records.entries()) {
    await putStep(api.db, id, {
      name,
      seq,
      state: to === null ? 'started' : 'done',
      result: undefined,
      deadlineMs: null,
      started_at: time(from),
      ended_at: to === null ? null : time(to),
    })
  }
  const end = records.at(-1)?.[2]
  if (typeof end === 'number') await updateFlow(api.db, id, { state: 'done', ended_at: time(end) })
  return id
}
