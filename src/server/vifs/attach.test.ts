/** VIFs whose places are chosen by traits, by the API as Nova attaches them. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { silent } from '#lib/log.ts'
import { startApi, type TestApi } from '../test-api.ts'
import { checkNetworkRules } from './attach.ts'

const rules = `
CUSTOM_STORAGE:
  order: 2
  actions:
    - action: attach_port
      filter: port.category == 'storage' && network.name =~ 'storage'
CUSTOM_BOND:
  actions:
    - action: group_and_attach_ports
      filter: port.vendor == 'acme' && network.tags == 'bonded'
      min_count: 2
      max_count: 2
CUSTOM_BOTH:
  actions:
    - {action: attach_portgroup, filter: "port.category == 'green'"}
    - {action: attach_port, filter: "port.physical_network == 'fabric_a'", min_count: 2}
`

let folder = ''
let path = ''
let api: TestApi
let strict: TestApi
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrite-tbn-'))
  path = join(folder, 'rules.yaml')
  await writeFile(path, rules)
  const conductor = { enable_trait_based_networking: true, trait_based_networking_config_file: path }
  api = await startApi({ conductor })
  strict = await startApi({ conductor: { ...conductor, trait_based_networking_enable_default_trait: false } })
})
after(async () => {
  await api[Symbol.asyncDispose]()
  await strict[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

let machines = 0

/** A node, its ports by the names that they are given. */
async function machine(on: TestApi, traits: readonly string[], ports: Readonly<Record<string, object>>) {
  machines += 1
  const node = await on.node({ network_interface: 'flat' })
  await on.set(node, { instance_info: { traits } })
  const made = new Map<string, string>()
  for (const [name, { portgroup, ...body }] of Object.entries(ports) as [string, { portgroup?: string }][]) {
    const address = `52:54:00:00:${machines.toString(16).padStart(2, '0')}:${made.size.toString(16).padStart(2, '0')}`
    const isGroup = name.startsWith('group')
    const own = isGroup ? {} : { address, ...(portgroup ? { portgroup_uuid: made.get(portgroup) } : {}) }
    const { status, json } = await on.call('POST', isGroup ? '/v1/portgroups' : '/v1/ports', {
      body: { node_uuid: node, ...own, ...body },
    })
    assert.equal(status, 201)
    made.set(name, (json as { uuid: string }).uuid)
  }
  const read = async (kind: 'ports' | 'portgroups') => {
    const { json } = await on.call(
      'GET',
      `/v1/nodes/${node}/${kind}?fields=uuid,internal_info,${kind === 'ports' ? 'portgroup_uuid' : 'name,dynamic_portgroup,physical_network,mode'}`,
    )
    return (json as Record<string, { uuid: string; internal_info: { tenant_vif_port_id?: string } }[]>)[kind] ?? []
  }
  return {
    attach: async (body: object) => on.call('POST', `/v1/nodes/${node}/vifs`, { body }),
    detach: async (vif: string) => (await on.call('DELETE', `/v1/nodes/${node}/vifs/${vif}`)).status,
    vifs: async () => (await on.call('GET', `/v1/nodes/${node}/vifs`)).json,
    read,
    /** Names of what has the VIF; a group that was made has none of ours. */
    async having(vif: string) {
      const all = [...(await read('portgroups')), ...(await read('ports'))]
      const names = new Map([...made].map(([name, uuid]) => [uuid, name]))
      const found = all.filter(({ internal_info }) => internal_info.tenant_vif_port_id === vif)
      return found.map(({ uuid }) => names.get(uuid) ?? 'made')
    },
  }
}

test('the trait of an instance says which port gets the VIF; the network has its say', async () => {
  const m = await machine(api, ['CUSTOM_STORAGE'], {
    first: {},
    data: { category: 'storage' },
    more: { category: 'storage' },
  })
  assert.equal((await m.attach({ id: 'a', name: 'storage-net' })).status, 204)
  assert.deepEqual(await m.having('a'), ['more'], 'the newest')
  assert.equal((await m.attach({ id: 'a', name: 'storage-net' })).status, 409)
  const refused = await m.attach({ id: 'b', name: 'tenant' })
  assert.equal(refused.status, 400)
  assert.match(refused.fault ?? '', /Cannot attach VIF b .*none of its free ports fits the rules of CUSTOM_STORAGE/)
  assert.equal((await m.attach({ id: 'b' })).status, 400, 'a network without a name')
  assert.equal((await m.attach({ id: 'b', name: 'storage-net' })).status, 204)
  assert.deepEqual(await m.having('b'), ['data'])
  const [first] = (await m.read('ports')).filter(port => Object.keys(port.internal_info).length === 0)
  assert.equal((await m.attach({ id: 'c', port_uuid: first?.uuid })).status, 204, 'who names a port has decided')
  assert.equal(await m.detach('a'), 204)
  assert.deepEqual(await m.having('a'), [])
})

test('a group is made of ports for a VIF, and taken apart with it', async () => {
  const port = { vendor: 'acme', physical_network: 'fabric_a', pxe_enabled: false }
  const m = await machine(api, ['CUSTOM_BOND'], {
    one: port,
    other: { ...port, physical_network: 'fabric_b' },
    kept: { ...port, available_for_dynamic_portgroup: false },
    two: port,
    three: port,
    foreign: { vendor: 'else' },
  })
  assert.equal((await m.attach({ id: 'v', tags: ['slow'] })).status, 400)
  assert.equal((await m.attach({ id: 'v', tags: ['fast', 'bonded'] })).status, 204)
  assert.deepEqual(await m.having('v'), ['made'])
  const [group] = await m.read('portgroups')
  assert.partialDeepStrictEqual(group, { dynamic_portgroup: true, physical_network: 'fabric_a', mode: 'active-backup' })
  assert.match((group as unknown as { name: string }).name, /^tbn_dyn_portgroup_[0-9a-z]{8}$/)
  const members = (await m.read('ports')).filter(
    each => (each as { portgroup_uuid?: string }).portgroup_uuid === group?.uuid,
  )
  assert.equal(members.length, 2)
  assert.deepEqual(await m.vifs(), { vifs: [{ id: 'v' }] })
  assert.equal((await m.attach({ id: 'w', tags: ['bonded'] })).status, 400, 'one is left of that fabric')
  assert.equal(await m.detach('v'), 204)
  assert.deepEqual(await m.read('portgroups'), [])
  assert.ok((await m.read('ports')).every(each => (each as { portgroup_uuid?: string | null }).portgroup_uuid === null))
})

test('all actions of a trait are done, and a VIF on several places goes from all of them', async () => {
  const m = await machine(api, ['CUSTOM_BOTH'], {
    group: { category: 'green' },
    member: { portgroup: 'group' },
    one: { physical_network: 'fabric_a' },
    two: { physical_network: 'fabric_a' },
  })
  assert.equal((await m.attach({ id: 'v' })).status, 204)
  assert.deepEqual((await m.having('v')).sort(), ['group', 'one', 'two'])
  assert.deepEqual(await m.vifs(), { vifs: [{ id: 'v' }] })
  assert.equal(await m.detach('v'), 204)
  assert.deepEqual(await m.having('v'), [])
  assert.equal((await m.read('portgroups')).length, 1, 'a group of an operator stays')

  const few = await machine(api, ['CUSTOM_BOTH'], { one: { physical_network: 'fabric_a' } })
  assert.equal((await few.attach({ id: 'v' })).status, 400, 'fewer than min_count')
})

test('without a trait that has a rule any port will do, if that is wanted', async () => {
  const m = await machine(api, ['CUSTOM_OTHER'], { group: {}, member: { portgroup: 'group' }, alone: {} })
  assert.equal((await m.attach({ id: 'a' })).status, 204)
  assert.deepEqual(await m.having('a'), ['alone'])
  assert.equal((await m.attach({ id: 'b' })).status, 204)
  assert.deepEqual(await m.having('b'), ['group'])
  assert.equal((await m.attach({ id: 'c' })).status, 400)

  const other = await machine(strict, ['CUSTOM_OTHER'], { alone: {} })
  const { status, fault } = await other.attach({ id: 'a' })
  assert.equal(status, 400)
  assert.match(fault ?? '', /instance_info has the traits CUSTOM_OTHER, and no rule is for that/)
})

test('what the caller does not tell of the network is asked of it; usual places follow its physical network', async () => {
  const ours = { physical_network: 'blue', category: 'storage' }
  const m = await machine(api, ['CUSTOM_NONE'], { none: {}, other: { physical_network: 'red' }, ours })
  const usual = await startApi()
  try {
    const plain = await machine(usual, [], { none: {}, other: { physical_network: 'red' }, ours })
    for (const [vif, place] of [
      ['in-blue-1', 'ours'],
      ['in-blue-2', 'none'],
    ] as const) {
      assert.equal((await plain.attach({ id: vif })).status, 204)
      assert.deepEqual(await plain.having(vif), [place])
    }
    const { status, fault } = await plain.attach({ id: 'in-blue-3' })
    assert.equal(status, 400)
    assert.match(fault ?? '', /its network is in blue, and none of the free ports is/)
    assert.equal((await plain.attach({ id: 'anywhere' })).status, 204)
  } finally {
    await usual[Symbol.asyncDispose]()
  }
  assert.equal((await m.attach({ id: 'in-blue-1' })).status, 204, 'traits decide without it')

  const traits = await machine(api, ['CUSTOM_STORAGE'], { ours })
  assert.equal((await traits.attach({ id: 'in-storage' })).status, 400, 'net-storage does not begin with storage')
  assert.equal((await traits.attach({ id: 'in-storage', name: 'storage' })).status, 204)
})

test("what the node's network says no to is not attached; it hears of each VIF once", async () => {
  const port = { vendor: 'acme', physical_network: 'fabric_a', pxe_enabled: false }
  const m = await machine(api, ['CUSTOM_BOND'], { one: port, two: port })
  api.conductor.told.vifs.length = 0
  const { status, fault } = await m.attach({ id: 'refused-1', tags: ['bonded'] })
  assert.equal(status, 400)
  assert.match(fault ?? '', /Cannot attach VIF refused-1 .*no such port/)
  assert.deepEqual(await m.vifs(), { vifs: [] })
  assert.deepEqual(await m.read('portgroups'), [], 'no group is left of it')
  assert.equal((await m.attach({ id: 'v', tags: ['bonded'] })).status, 204)
  assert.equal(await m.detach('v'), 204)
  assert.deepEqual(api.conductor.told.vifs, [
    ['attached', 'refused-1'],
    ['attached', 'v'],
    ['detached', 'v'],
  ])
})

test('nothing fits and nobody is told, where that is wanted', async () => {
  const conductor = {
    enable_trait_based_networking: true,
    trait_based_networking_config_file: path,
    trait_based_networking_raise_when_no_match: false,
  }
  await using lax = await startApi({ conductor })
  const m = await machine(lax, ['CUSTOM_STORAGE'], { alone: {} })
  assert.equal((await m.attach({ id: 'a', name: 'tenant' })).status, 204)
  assert.deepEqual(await m.vifs(), { vifs: [] })
})

test('a file that is wrong, or not there, refuses VIFs with what is wrong; once it is right it counts', async () => {
  const own = join(folder, 'own.yaml')
  const conductor = { enable_trait_based_networking: true, trait_based_networking_config_file: own }
  await using other = await startApi({ conductor })
  const m = await machine(other, ['CUSTOM_STORAGE'], { data: { category: 'storage' } })
  const refused = async (message: RegExp) => {
    const { status, fault } = await m.attach({ id: 'a', name: 'storage' })
    assert.ok(status >= 400)
    assert.match(fault ?? '', message)
  }
  await refused(/Cannot read the file of trait-based networking, .*own\.yaml/)
  await writeFile(own, 'CUSTOM_STORAGE: {actions: [{action: attach, filter: port.is_port}]}')
  const said: string[] = []
  const log = { ...silent, error: (_: object, text: string) => void said.push(text) }
  const config = await loadConfig({ overrides: { conductor } })
  await checkNetworkRules({ config, log })
  assert.match(said.join(), /own\.yaml: trait CUSTOM_STORAGE, .*; VIFs are refused until that is mended$/)
  await checkNetworkRules({ config: await loadConfig({}), log })
  assert.equal(said.length, 1, 'it is not wanted')
  await refused(/own\.yaml: trait CUSTOM_STORAGE, actions\[0\], action: found "attach", expected one of attach_port/)
  await writeFile(own, rules)
  assert.equal((await m.attach({ id: 'a', name: 'storage' })).status, 204)
})
