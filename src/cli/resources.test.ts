/** The commands of every resource but the node, against the real API: what they change, what they print, wrong input. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { appendEvent } from '#db/events.ts'
import { startApi, type TestApi } from '#server/test-api.ts'
import { run } from './main.ts'
import { TestClient } from './test-client.ts'
import { testTerminal } from './test-terminal.ts'

let api: TestApi
let cli: TestClient
let node: string
before(async () => {
  api = await startApi()
  cli = new TestClient({ OS_ENDPOINT: api.url })
  node = await api.node({ name: 'n1' })
})
after(() => api[Symbol.asyncDispose]())

/** What the API itself has, so that no test believes the client alone. */
async function stored(path: string): Promise<Record<string, unknown>> {
  const { json, status, fault } = await api.call('GET', `/v1/${path}`)
  assert.equal(status, 200, fault)
  return json as Record<string, unknown> // every object of the API is one
}
async function gone(path: string): Promise<void> {
  assert.equal((await api.call('GET', `/v1/${path}`)).status, 404)
}
const missing = '00000000-0000-4000-8000-0000000000ff'

describe('chassis', () => {
  const uuid = '10000000-0000-4000-8000-000000000001'
  test('chassis create', async () => {
    const made = await cli.one(`chassis create --uuid ${uuid} --description 'row 7' --extra rack=7`)
    assert.deepEqual([made.uuid, made.description, made.extra], [uuid, 'row 7', { rack: 7 }])
    assert.ok(!('links' in made) && !('nodes' in made))
    await cli.fails('chassis create --extra rack', 1, /no "=" in it/)
    await cli.fails('chassis create --name x', 2, /Unknown option --name/)
  })
  test('chassis list', async () => {
    assert.deepEqual(await cli.list('chassis list'), [{ uuid, description: 'row 7' }])
    const [long] = await cli.list('chassis list --long')
    assert.deepEqual(Object.keys(long ?? {}), ['uuid', 'description', 'created_at', 'updated_at', 'extra'])
    assert.deepEqual(await cli.list('chassis list --fields extra --limit 1'), [{ extra: { rack: 7 } }])
    await cli.fails('chassis list --fields colour', 1, /HTTP 400/)
    await cli.fails('chassis list --limit -1', 2, /needs 0 or more/)
  })
  test('chassis show', async () => {
    assert.equal(await cli.ok(`chassis show ${uuid} --fields description -f value`), 'row 7\n')
    await cli.fails(`chassis show ${missing}`, 1, /HTTP 404/)
  })
  test('chassis set', async () => {
    await cli.ok(`chassis set ${uuid} --description 5 --extra 'a={"b": [1]}'`)
    const { description, extra } = await stored(`chassis/${uuid}`)
    assert.deepEqual([description, extra], ['5', { rack: 7, a: { b: [1] } }])
    await cli.fails(`chassis set ${uuid}`, 2, /Nothing to set/)
  })
  test('chassis unset', async () => {
    await cli.ok(`chassis unset ${uuid} --description --extra a --extra rack`)
    const { description, extra } = await stored(`chassis/${uuid}`)
    assert.deepEqual([description, extra], [null, {}])
    await cli.fails(`chassis unset ${uuid} --extra a`, 1, /HTTP 400/)
  })
  test('chassis delete', async () => {
    assert.equal(await cli.ok(`chassis delete ${uuid}`), `Deleted chassis ${uuid}\n`)
    await gone(`chassis/${uuid}`)
    await cli.fails(`chassis delete ${uuid} ${missing}`, 1, /Cannot delete chassis 1.*404.*\nCannot delete chassis 0/s)
  })
})

describe('port', () => {
  const mac = '52:54:00:00:00:01'
  test('port create', async () => {
    const made = await cli.one(
      `port create ${mac} --node n1 --name eth0 --pxe-enabled no --local-link-connection switch_id=0a:1b:2c:3d:4e:5f --local-link-connection port_id=eth1 --local-link-connection switch_info=x --physical-network rack --category data --vendor acme --description 'left one' --extra a=1`,
    )
    assert.deepEqual([made.address, made.node_uuid, made.pxe_enabled], [mac, node, false])
    assert.deepEqual(made.local_link_connection, { switch_id: '0a:1b:2c:3d:4e:5f', port_id: 'eth1', switch_info: 'x' })
    await cli.fails(`port create ${mac} --node n1`, 1, /HTTP 409/)
    await cli.fails(`port create 52:54:00:00:00:02 --node nobody`, 1, /nobody.*HTTP 404/)
    await cli.fails('port create 52:54:00:00:00:02', 2, /Missing option --node/)
    await cli.fails(`port create 52:54:00:00:00:02 --node n1 --pxe-enabled maybe`, 1, /expected true or false/)
  })
  test('port list', async () => {
    assert.equal(await cli.ok('port list --node n1 -f value -c address'), `${mac}\n`)
    assert.equal(await cli.ok(`port list --address 52:54:00:00:00:09 -f value`), '')
    assert.deepEqual((await cli.list('port list --long'))[0]?.category, 'data')
    await cli.fails('port list --long --fields uuid', 2, /exclude each other/)
  })
  test('port show', async () => {
    assert.equal(await cli.ok(`port show --address ${mac} -f value -c name`), 'eth0\n')
    assert.deepEqual(await cli.one('port show eth0 --fields name vendor'), { name: 'eth0', vendor: 'acme' })
    await cli.fails('port show --address 52:54:00:00:00:09', 1, /no port has it/)
  })
  test('port set', async () => {
    await cli.ok('port group create --node n1 --name bond0')
    await cli.ok(`port set eth0 --pxe-enabled --port-group bond0 --address 52:54:00:00:00:05 --extra b=2`)
    const { pxe_enabled, portgroup_uuid, address, extra } = await stored('ports/eth0')
    const { uuid } = await stored('portgroups/bond0')
    assert.deepEqual([pxe_enabled, portgroup_uuid, address, extra], [true, uuid, '52:54:00:00:00:05', { a: 1, b: 2 }])
    assert.equal(await cli.ok('port list --port-group bond0 -f value -c address'), '52:54:00:00:00:05\n')
    await cli.ok('port set eth0 --pxe-disabled')
    assert.equal((await stored('ports/eth0')).pxe_enabled, false)
    await cli.fails('port set eth0 --pxe-enabled --pxe-disabled', 2, /exclude each other/)
    await cli.fails('port set eth0 --address nonsense', 1, /HTTP 400/)
  })
  test('port unset', async () => {
    await cli.ok('port unset eth0 --port-group')
    await cli.ok('port unset eth0 --extra a --physical-network --local-link-connection switch_info --vendor')
    const { extra, portgroup_uuid, physical_network, local_link_connection, vendor } = await stored('ports/eth0')
    assert.deepEqual([extra, portgroup_uuid, physical_network, vendor], [{ b: 2 }, null, null, null])
    assert.deepEqual(local_link_connection, { switch_id: '0a:1b:2c:3d:4e:5f', port_id: 'eth1' })
    await cli.fails('port unset eth0 --address', 2, /Unknown option --address/)
  })
  test('port delete', async () => {
    const { uuid } = await stored('ports/eth0')
    assert.equal(await cli.ok(`port delete ${uuid}`), `Deleted port ${uuid}\n`)
    await gone(`ports/${uuid}`)
    await cli.fails('port delete', 2, /Missing argument <port>/)
  })
})

describe('port group', () => {
  const mac = '52:54:00:00:00:21'
  test('port group create', async () => {
    const made = await cli.one(
      `port group create --node n1 --name lacp --address ${mac} --mode 802.3ad --property miimon=100 --unsupport-standalone-ports --physical-network rack --category data`,
    )
    assert.deepEqual([made.node_uuid, made.mode, made.properties], [node, '802.3ad', { miimon: 100 }])
    assert.equal(made.standalone_ports_supported, false)
    await cli.fails('port group create --name other', 2, /Missing option --node/)
  })
  test('port group list', async () => {
    assert.equal(await cli.ok(`port group list --address ${mac} -f value -c name`), 'lacp\n')
    assert.deepEqual(
      (await cli.list('port group list --node n1 --long --sort name')).map(({ name }) => name),
      ['bond0', 'lacp'],
    )
    assert.equal(await cli.ok('port group list --shards a b -f value'), '')
  })
  test('port group show', async () => {
    assert.equal((await cli.one('port group show lacp')).address, mac)
    assert.equal(await cli.ok(`port group show --address ${mac} --fields name -f value`), 'lacp\n')
    await cli.fails('port group show nothing', 1, /HTTP 404/)
  })
  test('port group set', async () => {
    await cli.ok('port group set lacp --support-standalone-ports --mode active-backup --property a=b --extra c=1')
    const { standalone_ports_supported, mode, properties, extra } = await stored('portgroups/lacp')
    assert.deepEqual(
      [standalone_ports_supported, mode, properties, extra],
      [true, 'active-backup', { miimon: 100, a: 'b' }, { c: 1 }],
    )
    await cli.fails('port group set lacp --support-standalone-ports --unsupport-standalone-ports', 2, /exclude/)
  })
  test('port group unset', async () => {
    await cli.ok('port group unset lacp --address --extra c --property a --physical-network --category')
    const { address, extra, properties, physical_network, category } = await stored('portgroups/lacp')
    assert.deepEqual([address, extra, properties, physical_network, category], [null, {}, { miimon: 100 }, null, null])
  })
  test('port group delete', async () => {
    assert.equal(await cli.ok('port group delete lacp bond0'), 'Deleted port group lacp\nDeleted port group bond0\n')
    await gone('portgroups/lacp')
  })
})

describe('volume connector', () => {
  const uuid = '20000000-0000-4000-8000-000000000001'
  test('volume connector create', async () => {
    const made = await cli.one(
      `volume connector create --uuid ${uuid} --node n1 --type iqn --connector-id iqn.2026-01.example:n1 --extra a=1`,
    )
    assert.deepEqual([made.node_uuid, made.type, made.connector_id], [node, 'iqn', 'iqn.2026-01.example:n1'])
    await cli.fails(
      `volume connector create --node n1 --type tape --connector-id x`,
      2,
      /found "tape", expected one of iqn/,
    )
    await cli.fails(`volume connector create --node n1 --type ip`, 2, /Missing option --connector-id/)
  })
  test('volume connector list', async () => {
    assert.deepEqual(await cli.list('volume connector list --node n1 --fields uuid type'), [{ uuid, type: 'iqn' }])
    assert.deepEqual((await cli.list('volume connector list --long'))[0]?.extra, { a: 1 })
    await cli.fails('volume connector list --node nobody', 1, /HTTP 40/)
  })
  test('volume connector show', async () => {
    assert.equal((await cli.one(`volume connector show ${uuid}`)).type, 'iqn')
    await cli.fails(`volume connector show ${missing}`, 1, /HTTP 404/)
  })
  // Only a machine that is off may change by what it reaches volumes.
  test('volume connector set', async () => {
    await api.set(node, { power_state: 'power off' })
    await cli.ok(`volume connector set ${uuid} --type ip --connector-id 192.0.2.7 --extra b=2`)
    const { type, connector_id, extra } = await stored(`volume/connectors/${uuid}`)
    assert.deepEqual([type, connector_id, extra], ['ip', '192.0.2.7', { a: 1, b: 2 }])
  })
  test('volume connector unset', async () => {
    await cli.ok(`volume connector unset ${uuid} --extra a`)
    assert.deepEqual((await stored(`volume/connectors/${uuid}`)).extra, { b: 2 })
    await cli.fails(`volume connector unset ${uuid} --type`, 2, /Unknown option --type/)
  })
  test('volume connector delete', async () => {
    await cli.ok(`volume connector delete ${uuid}`)
    await gone(`volume/connectors/${uuid}`)
  })
})

describe('volume target', () => {
  const uuid = '20000000-0000-4000-8000-000000000002'
  test('volume target create', async () => {
    const made = await cli.one(
      `volume target create --uuid ${uuid} --node n1 --type iscsi --boot-index 0 --volume-id v1 --property target_lun=1 --property auth_password=hush`,
    )
    assert.deepEqual([made.node_uuid, made.volume_type, made.boot_index], [node, 'iscsi', 0])
    assert.ok(!JSON.stringify(made).includes('hush'))
    await cli.fails('volume target create --node n1 --type iscsi --boot-index -1 --volume-id x', 2, /needs 0 or more/)
    await cli.fails('volume target create --node n1 --type iscsi --boot-index x --volume-id x', 2, /whole number/)
  })
  test('volume target list', async () => {
    assert.deepEqual(await cli.list('volume target list --fields uuid boot_index'), [{ uuid, boot_index: 0 }])
    const long = await cli.ok('volume target list --long --node n1')
    assert.match(long, /target_lun/)
  })
  test('volume target show', async () => {
    assert.equal((await cli.one(`volume target show ${uuid}`)).volume_id, 'v1')
    await cli.fails(`volume target show ${missing}`, 1, /HTTP 404/)
  })
  test('volume target set', async () => {
    await cli.ok(`volume target set ${uuid} --boot-index 1 --type fc --volume-id v2 --property a=b --extra c=d`)
    const { boot_index, volume_type, volume_id, extra } = await stored(`volume/targets/${uuid}`)
    assert.deepEqual([boot_index, volume_type, volume_id, extra], [1, 'fc', 'v2', { c: 'd' }])
  })
  test('volume target unset', async () => {
    await cli.ok(`volume target unset ${uuid} --property a --extra c`)
    const { properties, extra } = await stored(`volume/targets/${uuid}`)
    assert.deepEqual([Object.keys(properties ?? {}), extra], [['target_lun', 'auth_password'], {}])
  })
  test('volume target delete', async () => {
    await cli.ok(`volume target delete ${uuid}`)
    await gone(`volume/targets/${uuid}`)
  })
})

describe('deploy template', () => {
  const steps = '[{"interface":"deploy","step":"write","args":{"password":"hush"},"priority":1}]'
  test('deploy template create', async () => {
    const made = await cli.one(`deploy template create CUSTOM_A --steps '${steps}' --extra a=1`)
    assert.equal(made.name, 'CUSTOM_A')
    assert.ok(!JSON.stringify(made).includes('hush'))
    await cli.ok('deploy template create CUSTOM_B --steps -', steps)
    await cli.fails(`deploy template create lower --steps '${steps}'`, 1, /HTTP 400/)
    await cli.fails('deploy template create CUSTOM_C --steps nonsense', 1, /no file, and no JSON/)
    await cli.fails('deploy template create CUSTOM_C', 2, /Missing option --steps/)
  })
  test('deploy template list', async () => {
    assert.equal(await cli.ok('deploy template list --sort name:desc -f value -c name'), 'CUSTOM_B\nCUSTOM_A\n')
    assert.match(await cli.ok('deploy template list --long --limit 1 -f csv'), /"write"|'write'/)
  })
  test('deploy template show', async () => {
    assert.equal((await cli.one('deploy template show CUSTOM_A --fields name')).name, 'CUSTOM_A')
    await cli.fails('deploy template show CUSTOM_X', 1, /HTTP 404/)
  })
  test('deploy template set', async () => {
    const other = '[{"interface":"bios","step":"apply","args":{},"priority":5}]'
    await cli.ok(`deploy template set CUSTOM_B --name CUSTOM_D --extra b=2 --steps '${other}'`)
    const { steps: kept, extra } = await stored('deploy_templates/CUSTOM_D')
    assert.deepEqual([kept, extra], [JSON.parse(other), { b: 2 }])
  })
  test('deploy template unset', async () => {
    await cli.ok('deploy template unset CUSTOM_D --extra b')
    assert.deepEqual((await stored('deploy_templates/CUSTOM_D')).extra, {})
  })
  test('deploy template delete', async () => {
    await cli.ok('deploy template delete CUSTOM_A CUSTOM_D')
    await gone('deploy_templates/CUSTOM_A')
  })
})

describe('runbook', () => {
  const steps = '[{"interface":"bios","step":"apply","args":{},"order":1}]'
  test('runbook create', async () => {
    const made = await cli.one(
      `runbook create --name CUSTOM_R --steps '${steps}' --public --disable-ramdisk --description x`,
    )
    assert.deepEqual([made.name, made.public, made.disable_ramdisk, made.description], ['CUSTOM_R', true, true, 'x'])
    await cli.ok(`runbook create --name r2 --steps '${steps}' --public false --owner me`)
    assert.deepEqual((await stored('runbooks/r2')).owner, 'me')
    await cli.fails('runbook create --name r3', 2, /Missing option --steps/)
  })
  test('runbook list', async () => {
    assert.deepEqual((await cli.list('runbook list')).map(({ name }) => name).toSorted(), ['CUSTOM_R', 'r2'])
    assert.deepEqual((await cli.list('runbook list --long --limit 1'))[0]?.disable_ramdisk, true)
  })
  test('runbook show', async () => {
    assert.deepEqual(await cli.one('runbook show r2 --fields name public'), { name: 'r2', public: false })
    await cli.fails('runbook show nothing', 1, /HTTP 404/)
  })
  test('runbook set', async () => {
    await cli.ok('runbook set CUSTOM_R --public false --disable-ramdisk 0 --extra a=1 --description y --name CUSTOM_S')
    const { public: open, disable_ramdisk, extra, description } = await stored('runbooks/CUSTOM_S')
    assert.deepEqual([open, disable_ramdisk, extra, description], [false, false, { a: 1 }, 'y'])
    await cli.fails('runbook set CUSTOM_S --steps 5', 1, /HTTP 400/)
  })
  test('runbook unset', async () => {
    await cli.ok('runbook unset r2 --owner')
    await cli.ok('runbook unset CUSTOM_S --extra a --description')
    const { extra, description } = await stored('runbooks/CUSTOM_S')
    assert.deepEqual([(await stored('runbooks/r2')).owner, extra, description], [null, {}, null])
    await cli.fails('runbook unset CUSTOM_S --name', 1, /HTTP 400/)
  })
  test('runbook trait add', async () => {
    assert.equal(await cli.ok('runbook trait add r2 CUSTOM_A CUSTOM_B'), 'Added trait CUSTOM_A\nAdded trait CUSTOM_B\n')
    await cli.fails('runbook trait add r2 nonsense', 1, /HTTP 400/)
  })
  test('runbook trait list', async () => {
    assert.equal(await cli.ok('runbook trait list r2 -f value'), 'CUSTOM_A\nCUSTOM_B\n')
  })
  test('runbook trait remove', async () => {
    await cli.ok('runbook trait remove r2 CUSTOM_A')
    assert.deepEqual((await stored('runbooks/r2')).traits, ['CUSTOM_B'])
    await cli.ok('runbook trait remove r2 --all')
    assert.deepEqual((await stored('runbooks/r2')).traits, [])
    await cli.fails('runbook trait remove r2', 2, /--all/)
  })
  test('runbook delete', async () => {
    await cli.ok('runbook delete r2 CUSTOM_S')
    await gone('runbooks/r2')
  })
})

describe('inspection rule', () => {
  const uuid = '30000000-0000-4000-8000-000000000001'
  const action = (value: number) => ({ op: 'set-attribute', args: { path: '/extra/a', value } })
  const condition = { op: 'is-true', args: { value: '{inventory[x]}' } }
  test('inspection rule create', async () => {
    const made = await cli.one(
      `inspection rule create --uuid ${uuid} --description x --priority 7 --sensitive false --actions '${JSON.stringify([action(1), action(2), action(3)])}' --conditions '${JSON.stringify([condition])}'`,
    )
    assert.deepEqual([made.priority, made.sensitive, made.phase], [7, false, 'main'])
    await cli.fails('inspection rule create --description x', 2, /Missing option --actions/)
    await cli.fails(`inspection rule create --actions '[]'`, 1, /HTTP 400/)
  })
  test('inspection rule list', async () => {
    assert.deepEqual(await cli.list('inspection rule list'), [{ uuid, description: 'x' }])
    assert.deepEqual((await cli.list('inspection rule list --long'))[0]?.priority, 7)
  })
  test('inspection rule show', async () => {
    assert.deepEqual((await cli.one(`inspection rule show ${uuid}`)).conditions, [condition])
    await cli.fails(`inspection rule show ${missing}`, 1, /HTTP 404/)
  })
  test('inspection rule set', async () => {
    await cli.ok(`inspection rule set ${uuid} --priority 8 --description y --phase main`)
    const { priority, description } = await stored(`inspection_rules/${uuid}`)
    assert.deepEqual([priority, description], [8, 'y'])
    await cli.fails(`inspection rule set ${uuid} --phase late`, 1, /HTTP 400/)
  })
  test('inspection rule unset', async () => {
    await cli.ok(`inspection rule unset ${uuid} --description --priority --condition 0 --action 0 --action 1`)
    const { priority, description, conditions, actions } = await stored(`inspection_rules/${uuid}`)
    assert.deepEqual([priority, description, conditions, actions], [0, null, [], [action(3)]])
  })
  test('inspection rule delete', async () => {
    await cli.ok(`inspection rule delete ${uuid}`)
    await gone(`inspection_rules/${uuid}`)
  })
})

describe('allocation', () => {
  const uuid = '40000000-0000-4000-8000-000000000001'
  test('allocation create', async () => {
    const made = await cli.one(
      `allocation create --uuid ${uuid} --name a1 --resource-class big --trait CUSTOM_A --trait CUSTOM_B --candidate-node n1 --owner me --extra x=1`,
    )
    assert.deepEqual([made.traits, made.candidate_nodes, made.state], [['CUSTOM_A', 'CUSTOM_B'], [node], 'allocating'])
    await cli.fails('allocation create --name a2', 2, /Missing option --resource-class/)
    await cli.fails('allocation create --resource-class big --candidate-node nobody', 1, /nobody.*HTTP 400/)
  })
  test('allocation create --wait ends with the node, the error or the time', async () => {
    await api.set(node, { provision_state: 'active', resource_class: 'small', instance_uuid: missing })
    const bound = await cli.one(`allocation create --node n1 --uuid ${missing} --wait`)
    assert.deepEqual([bound.state, bound.node_uuid], ['active', node])
    await api.set(node, { maintenance: true })
    await cli.ok(`allocation delete ${missing}`)
    await cli.fails(
      'allocation create --resource-class big --wait 5',
      1,
      /Stopped waiting .* after 5 s: it is allocating/,
    )
  })
  test('allocation list', async () => {
    assert.equal(await cli.ok('allocation list --resource-class big --owner me -f value -c name'), 'a1\n')
    assert.deepEqual(await cli.list('allocation list --state error'), [])
    assert.deepEqual(await cli.list('allocation list --node n1 --long'), [])
  })
  test('allocation show', async () => {
    assert.equal((await cli.one('allocation show a1')).uuid, uuid)
    await cli.fails('allocation show nothing', 1, /HTTP 404/)
  })
  test('allocation set', async () => {
    await cli.ok('allocation set a1 --name a3 --extra y=2')
    assert.deepEqual((await stored('allocations/a3')).extra, { x: 1, y: 2 })
    await cli.fails('allocation set a3 --owner you', 2, /Unknown option --owner/)
  })
  test('allocation unset', async () => {
    await cli.ok('allocation unset a3 --name --extra x')
    const { name, extra } = await stored(`allocations/${uuid}`)
    assert.deepEqual([name, extra], [null, { y: 2 }])
  })
  test('allocation delete', async () => {
    assert.equal(await cli.ok(`allocation delete ${uuid}`), `Deleted allocation ${uuid}\n`)
    await gone(`allocations/${uuid}`)
  })
})

describe('what is only looked at', () => {
  test('shard list', async () => {
    await api.node({ name: 'sharded', shard: 'east' })
    assert.deepEqual(await cli.list('shard list'), [
      { name: 'None', count: 1 },
      { name: 'east', count: 1 },
    ])
    await cli.fails('shard list east', 2, /Unexpected argument "east"/)
  })
  test('conductor list', async () => {
    const [one] = await cli.list('conductor list')
    assert.deepEqual([one?.conductor_group, one?.alive], ['', true])
    assert.ok(Array.isArray((await cli.list('conductor list --long'))[0]?.drivers))
  })
  test('conductor show', async () => {
    const [one] = await cli.list('conductor list')
    assert.equal((await cli.one(`conductor show ${one?.hostname}`)).alive, true)
    await cli.fails('conductor show nobody', 1, /HTTP 404/)
  })
  test('driver list', async () => {
    assert.match(await cli.ok('driver list --type dynamic -f value -c name'), /^fake-hardware$/m)
    assert.match(await cli.ok('driver list --long'), /enabled_bios_interfaces/)
    await cli.fails('driver list --type other', 2, /expected one of classic, dynamic/)
  })
  test('driver show', async () => {
    assert.equal((await cli.one('driver show fake-hardware --fields name type')).type, 'dynamic')
    await cli.fails('driver show nothing', 1, /HTTP 404/)
  })
  test('driver property list', async () => {
    const [first] = await cli.list('driver property list redfish')
    assert.deepEqual(Object.keys(first ?? {}), ['property', 'description'])
  })
  test('driver raid property list', async () => {
    const properties = (await cli.list('driver raid property list redfish')).map(({ property }) => property)
    assert.ok(properties.includes('raid_level'))
    await cli.fails('driver raid property list fake-hardware', 1, /HTTP 404/)
  })
  test('driver passthru list', async () => assert.deepEqual(await cli.list('driver passthru list redfish'), []))
  test('driver passthru call', async () => {
    await cli.fails('driver passthru call redfish eject --arg a=1', 1, /no vendor method "eject".*HTTP 400/)
    await cli.fails('driver passthru call redfish eject --http-method HEAD', 2, /expected one of POST/)
  })
})

describe('create', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ferrite-cli-'))
  })
  after(() => rm(folder, { recursive: true }))
  const file = async (name: string, text: string) => {
    const path = join(folder, name)
    await writeFile(path, text)
    return path
  }

  test('create', async () => {
    const path = await file(
      'rack.yaml',
      `chassis:
  - description: rack 9
    nodes:
      - name: made-1
        driver: fake-hardware
        traits: [CUSTOM_X]
        portgroups:
          - name: made-bond
            ports:
              - address: '52:54:00:00:09:01'
        ports:
          - address: '52:54:00:00:09:02'
`,
    )
    const json = await file('more.json', '{"nodes": [{"name": "made-2", "driver": "fake-hardware"}]}')
    const out = await cli.ok(`create ${path} ${json}`)
    assert.equal(out.split('\n').filter(line => line.startsWith('Created ')).length, 6)
    const made = await stored('nodes/made-1')
    const { chassis } = await stored('chassis')
    assert.deepEqual(made.traits, ['CUSTOM_X'])
    assert.ok(Array.isArray(chassis) && chassis.some(({ uuid }) => uuid === made.chassis_uuid))
    const ports = await cli.list('port list --node made-1 --fields address portgroup_uuid --sort address')
    assert.deepEqual(ports, [
      { address: '52:54:00:00:09:01', portgroup_uuid: (await stored('portgroups/made-bond')).uuid },
      { address: '52:54:00:00:09:02', portgroup_uuid: null },
    ])
    await stored('nodes/made-2')
  })
  test('create tells what it could not, does the rest, and shows no secret', async () => {
    const path = await file(
      'some.json',
      JSON.stringify({
        nodes: [
          { name: 'made-2', driver: 'fake-hardware', driver_info: { redfish_password: 'hush' } },
          { name: 'made-3', driver: 'fake-hardware', ports: [{ address: 'nonsense' }] },
        ],
      }),
    )
    const { status, out, err } = await cli.run(`create ${path}`)
    assert.equal(status, 1)
    assert.match(out, /^Created node made-3 as /)
    assert.match(err, /Cannot create node made-2: .*HTTP 409/)
    assert.match(err, /Cannot create port nonsense: .*HTTP 400/)
    assert.ok(!(out + err).includes('hush'))
  })
  test('create reads every file before it creates anything', async () => {
    const good = await file('good.json', '{"nodes": [{"name": "never", "driver": "fake-hardware"}]}')
    await cli.fails(`create ${good} ${await file('a.json', '{"racks": []}')}`, 1, /found the key "racks"/)
    await cli.fails(`create ${good} ${await file('b.json', '{"nodes": [5]}')}`, 1, /nodes is no list of objects/)
    await cli.fails(`create ${good} ${await file('c.yaml', 'a: [')}`, 1, /neither JSON nor YAML/)
    await cli.fails(`create ${good} ${folder}/missing.json`, 1, /Cannot read .*missing\.json/)
    await gone('nodes/never')
  })
})

describe('events', () => {
  const happens = (kind: string) => appendEvent(api.db, { nowMs: Date.now(), kind, data: { what: kind } })

  test('event list', async () => {
    for (const kind of ['power', 'step started', 'power']) await happens(kind)
    const rows = await cli.list('event list --type power --limit 2')
    assert.deepEqual(
      rows.map(({ type, kind }) => [type, kind]),
      [
        ['power', 'power'],
        ['power', 'power'],
      ],
    )
    assert.deepEqual(Object.keys(rows[0] ?? {}), ['id', 'at', 'node_uuid', 'type', 'kind', 'data'])
    const [only] = await cli.list(`event list --limit 1 --before ${rows[1]?.id}`)
    assert.equal(only?.kind, 'step started')
    await cli.fails('event list --type nonsense', 2, /nonsense/)
    await cli.fails('event list --node nobody', 1, /HTTP 404/)
  })

  test('event watch', async () => {
    const [last] = await cli.list('event list --limit 1')
    const terminal = testTerminal({ env: { OS_ENDPOINT: api.url } })
    const watching = run(['event', 'watch', '--type', 'power', '--after', String(last?.id)], terminal)
    let text = ''
    for (let told = 0; told < 2; told++) {
      await happens('power')
      for (const end = performance.now() + 60_000; text.split('\n').length < told + 2; ) {
        assert.ok(performance.now() < end, `no line came: ${text}`)
        await new Promise(resolve => setTimeout(resolve, 10))
        text += terminal.takeOut()
      }
    }
    terminal.interrupt()
    assert.equal(await watching, 0)
    const events = text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.deepEqual(
      events.map(({ kind, type }) => [kind, type]),
      [
        ['power', 'power'],
        ['power', 'power'],
      ],
    )
    await cli.fails('event watch --type log', 1, /HTTP 400/)
  })
})
