/** `baremetal port …`, `baremetal driver …`, `baremetal conductor …`. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { conductor, type RunningService, startService } from './service.ts'

const skip = await whyMissing(forClients)
let service: RunningService
let client: Baremetal

if (skip === false) {
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
  })
  after(() => service[Symbol.asyncDispose]())
}

describe('baremetal port', { skip }, () => {
  const portId = 'a3f0c9d2-60f7-4be0-9b75-0d7d4b1f7a10'
  let first: string
  let second: string
  before(async () => {
    first = String((await client.show('node create --driver fake-hardware --name first')).uuid)
    second = String((await client.show('node create --driver fake-hardware --name second')).uuid)
  })

  test('create prints the port with every option given, and show prints the same', async () => {
    const created = await client.show(
      `port create 52:54:00:AA:00:01 --node ${first} --uuid ${portId} --extra a=1 --pxe-enabled false`,
      ...'--physical-network rack-1 --local-link-connection port_id=Ethernet1/3'.split(' '),
      ...'--local-link-connection switch_id=0a:1b:2c:3d:4e:5f --local-link-connection switch_info=tor'.split(' '),
    )
    assert.partialDeepStrictEqual(created, {
      ...{ address: '52:54:00:aa:00:01', uuid: portId, node_uuid: first, extra: { a: 1 } },
      ...{ pxe_enabled: false, physical_network: 'rack-1', is_smartnic: false, portgroup_uuid: null },
      local_link_connection: { port_id: 'Ethernet1/3', switch_id: '0a:1b:2c:3d:4e:5f', switch_info: 'tor' },
    })
    // Newer clients show fields that their create leaves out.
    assert.partialDeepStrictEqual(await client.show(`port show ${portId}`), created)
    assert.partialDeepStrictEqual(await client.show('port show --address 52:54:00:aa:00:01'), created)
    const fields = await client.show(`port show ${portId} --fields address node_uuid`)
    assert.deepEqual(fields, { address: '52:54:00:aa:00:01', node_uuid: first })
  })

  test('create refuses what it cannot take, and says why', async () => {
    await client.once.fails(/52:54:00:aa:00:01.*409/is, `port create 52:54:00:aa:00:01 --node ${second}`)
    await client.fails(/400/, `port create 52-54-00-aa-00-02 --node ${second}`)
    await client.fails(/400/, 'port create 52:54:00:aa:00:02 --node 4b6f3f5c-93a3-4ae9-8c3a-0d2c9b4bb0a1')
    await client.fails(/400/, `port create 52:54:00:aa:00:02 --node ${second} --local-link-connection nonsense=1`)
  })

  test('set and unset change what they name and nothing else', async () => {
    await client.ok(`port set ${portId} --address 52:54:00:aa:00:0f --extra b=2 --node ${second} --pxe-enabled`)
    await client.ok(`port set ${portId} --physical-network rack-2 --local-link-connection port_id=Ethernet9`)
    assert.partialDeepStrictEqual(await client.show(`port show ${portId}`), {
      ...{ address: '52:54:00:aa:00:0f', extra: { a: 1, b: 2 }, node_uuid: second, pxe_enabled: true },
      physical_network: 'rack-2',
      local_link_connection: { port_id: 'Ethernet9', switch_id: '0a:1b:2c:3d:4e:5f', switch_info: 'tor' },
    })
    await client.ok(`port set ${portId} --pxe-disabled`)
    await client.ok(`port unset ${portId} --extra a --physical-network`)
    assert.partialDeepStrictEqual(await client.show(`port show ${portId}`), {
      ...{ extra: { b: 2 }, pxe_enabled: false, physical_network: null, address: '52:54:00:aa:00:0f' },
    })
    await client.fails(/nothing.*400/s, `port unset ${portId} --extra nothing`)
    await client.fails(/400/, `port set ${portId} --address nonsense`)
  })

  test('list filters, sorts, pages and chooses fields', async () => {
    for (const at of [1, 2, 3]) await client.ok(`port create 52:54:00:bb:00:0${at} --node ${first}`)
    const addresses = async (more: string) => (await client.list(`port list ${more}`)).map(row => row.address)
    const mine = ['52:54:00:bb:00:01', '52:54:00:bb:00:02', '52:54:00:bb:00:03']
    assert.deepEqual(await addresses('--sort address'), ['52:54:00:aa:00:0f', ...mine])
    assert.deepEqual(await addresses('--sort address:desc'), [...mine.toReversed(), '52:54:00:aa:00:0f'])
    assert.deepEqual(await addresses('--limit 2'), ['52:54:00:aa:00:0f', mine[0]]) // in the order of their creation
    assert.deepEqual(await addresses(`--node ${first} --sort address`), mine)
    assert.deepEqual(await addresses('--node first --sort address'), mine)
    assert.deepEqual(await addresses('--node second'), ['52:54:00:aa:00:0f'])
    assert.deepEqual(await addresses('--address 52:54:00:bb:00:02'), ['52:54:00:bb:00:02'])
    assert.deepEqual(await addresses('--address 52:54:00:ff:ff:ff'), [])
    assert.deepEqual(await addresses('--sort address --limit 0'), ['52:54:00:aa:00:0f', ...mine])
    const [, bb1] = await client.list('port list --sort address')
    assert.deepEqual(await addresses(`--sort address --marker ${String(bb1?.uuid)}`), mine.slice(1))
    assert.deepEqual(Object.keys(bb1 ?? {}), ['uuid', 'address'])
    const [long] = await client.list('port list --long --node first --sort address')
    assert.partialDeepStrictEqual(long, { address: mine[0], node_uuid: first, pxe_enabled: true })
    const some = await client.list('port list --node first --fields address pxe_enabled --limit 1 --sort address')
    assert.deepEqual(some, [{ address: mine[0], pxe_enabled: true }])
    await client.fails(/nonsense/, 'port list --fields nonsense')
    await client.fails(/nobody|404/, 'port list --node nobody')
  })

  test('delete takes several ports; a deleted node takes its ports along', async () => {
    const ports = (await client.list('port list --node first --sort address')).map(row => String(row.uuid))
    assert.match(await client.ok(`port delete ${ports[0]} ${ports[1]}`), /Deleted port.*Deleted port/s)
    await client.fails(/404/, `port delete ${ports[0]}`)
    await client.fails(/404/, `port show ${ports[1]}`)
    await client.ok('node delete first')
    await client.fails(/404/, `port show ${ports[2]}`)
    assert.deepEqual(
      (await client.list('port list')).map(row => row.uuid),
      [portId],
    )
  })
})

describe('baremetal driver', { skip }, () => {
  test('list', async () => {
    const drivers = await client.list('driver list')
    assert.deepEqual(drivers, [
      { name: 'fake-hardware', hosts: conductor },
      { name: 'ipmi', hosts: conductor },
      { name: 'redfish', hosts: conductor },
    ])
    assert.deepEqual(await client.list('driver list --type dynamic'), drivers)
    assert.deepEqual(await client.list('driver list --type classic'), [])
    const [long] = await client.list('driver list --long')
    assert.partialDeepStrictEqual(long, { name: 'fake-hardware', type: 'dynamic' })
    assert.deepEqual(await client.list('driver list --fields name type'), [
      { name: 'fake-hardware', type: 'dynamic' },
      { name: 'ipmi', type: 'dynamic' },
      { name: 'redfish', type: 'dynamic' },
    ])
  })

  test('show', async () => {
    const shown = await client.show('driver show redfish')
    assert.partialDeepStrictEqual(shown, { name: 'redfish', type: 'dynamic', default_power_interface: 'redfish' })
    assert.match(JSON.stringify(shown.enabled_inspect_interfaces), /agent/)
    assert.deepEqual(await client.show('driver show redfish --fields name type'), { name: 'redfish', type: 'dynamic' })
    await client.fails(/no-such-driver.*404/s, 'driver show no-such-driver')
  })

  test('property list', async () => {
    const properties = await client.list('driver property list redfish')
    const address = properties.find(row => row.property === 'redfish_address')
    assert.match(String(address?.description), /BMC/)
    assert.deepEqual(await client.list('driver property list fake-hardware'), [])
    await client.fails(/no-such-driver.*404/s, 'driver property list no-such-driver')
  })
})

describe('baremetal conductor', { skip }, () => {
  test('list and show', async () => {
    const row = { hostname: conductor, conductor_group: '', alive: true }
    assert.deepEqual(await client.list('conductor list'), [row])
    assert.deepEqual(await client.list('conductor list --limit 1 --sort hostname:desc'), [row])
    assert.deepEqual(await client.list('conductor list --fields hostname'), [{ hostname: conductor }])
    const [long] = await client.list('conductor list --long')
    assert.partialDeepStrictEqual(long, { ...row, drivers: ['fake-hardware', 'ipmi', 'redfish'] })
    const shown = await client.show(`conductor show ${conductor}`)
    assert.partialDeepStrictEqual(shown, {
      hostname: conductor,
      alive: true,
      drivers: ['fake-hardware', 'ipmi', 'redfish'],
    })
    assert.deepEqual(await client.show(`conductor show ${conductor} --fields alive`), { alive: true })
    await client.fails(/nobody.*404/s, 'conductor show nobody')
    await client.fails(/nobody.*404/s, 'conductor list --marker nobody')
  })
})
