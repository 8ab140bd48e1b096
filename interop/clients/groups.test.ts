/** `baremetal chassis …` and `baremetal port group …`: what nodes and ports are gathered in. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { whyUnknown } from './programs.ts'
import { type RunningService, startService } from './service.ts'

const skip = await whyMissing(forClients)

describe('groups', { skip }, () => {
  let service: RunningService
  let client: Baremetal
  let node: string
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
    node = String((await client.show('node create --driver fake-hardware --name n1')).uuid)
  })
  after(() => service[Symbol.asyncDispose]())

  test('chassis: create, show, list, set, unset, delete', async () => {
    const id = '6b0a4c1d-52d7-4c49-9f5e-0a7d3c1b2e90'
    const created = await client.show(`chassis create --uuid ${id} --extra row=7 --description`, 'the first rack')
    assert.partialDeepStrictEqual(created, { uuid: id, description: 'the first rack', extra: { row: 7 } })
    assert.deepEqual(await client.show(`chassis show ${id}`), created)
    const second = String((await client.show('chassis create')).uuid)
    const ids = async (more: string) => (await client.list(`chassis list ${more}`)).map(row => row.uuid)
    assert.deepEqual(await ids(''), [id, second])
    assert.deepEqual(await ids(`--marker ${id}`), [second])
    assert.deepEqual(await ids('--sort description:desc --limit 1'), [id])
    const [long] = await client.list('chassis list --long --limit 1')
    assert.partialDeepStrictEqual(long, { uuid: id, description: 'the first rack', extra: { row: 7 } })
    assert.deepEqual(await client.list('chassis list --fields description --limit 1'), [
      { description: 'the first rack' },
    ])

    await client.ok(`chassis set ${id} --description other --extra column=8`)
    await client.ok(`chassis unset ${id} --extra row`)
    assert.partialDeepStrictEqual(await client.show(`chassis show ${id}`), {
      description: 'other',
      extra: { column: 8 },
    })
    await client.ok(`chassis unset ${id} --description`)
    assert.equal((await client.show(`chassis show ${id}`)).description, null)

    await client.ok(`node set n1 --chassis-uuid ${id}`)
    assert.deepEqual(
      (await client.list(`node list --chassis ${id}`)).map(row => row.uuid),
      [node],
    )
    await client.fails(/400/, `chassis delete ${id}`)
    await client.ok('node unset n1 --chassis-uuid')
    assert.match(await client.ok(`chassis delete ${id} ${second}`), /Deleted chassis.*Deleted chassis/s)
    await client.fails(/404/, `chassis show ${id}`)
  })

  test('port group: create, show, list, set, unset, delete', async () => {
    // Older clients have the option --uuid here and refuse it.
    const created = await client.show(
      `port group create --node ${node} --name bond-1 --address 52:54:00:BB:00:01 --mode 802.3ad`,
      ...'--property miimon=100 --extra a=1 --unsupport-standalone-ports'.split(' '),
    )
    const id = String(created.uuid)
    assert.partialDeepStrictEqual(created, {
      ...{ name: 'bond-1', address: '52:54:00:bb:00:01', node_uuid: node, mode: '802.3ad' },
      ...{ properties: { miimon: 100 }, extra: { a: 1 }, standalone_ports_supported: false },
    })
    assert.partialDeepStrictEqual(await client.show('port group show bond-1'), created)
    assert.partialDeepStrictEqual(await client.show('port group show --address 52:54:00:bb:00:01'), created)
    assert.deepEqual(await client.show(`port group show ${id} --fields name mode`), { name: 'bond-1', mode: '802.3ad' })
    await client.once.fails(/409/, `port group create --node ${node} --name bond-1`)
    await client.fails(/400/, `port group create --node ${node} --address nonsense`)

    // Of a group without standalone ports none can boot.
    await client.once.fails(/409/, `port create 52:54:00:bb:00:02 --node ${node} --port-group ${id}`)
    await client.ok(`port create 52:54:00:bb:00:02 --node ${node} --port-group ${id} --pxe-enabled false`)
    const [port] = await client.list(`port list --port-group ${id} --long`)
    assert.partialDeepStrictEqual(port, { address: '52:54:00:bb:00:02', portgroup_uuid: id })

    await client.ok('port group set bond-1 --name bond-2 --property xmit_hash_policy=layer3+4 --extra b=2')
    await client.ok(`port group set ${id} --address 52:54:00:bb:00:0f --mode active-backup --support-standalone-ports`)
    await client.ok('port group unset bond-2 --property miimon --extra a')
    assert.partialDeepStrictEqual(await client.show('port group show bond-2'), {
      ...{ address: '52:54:00:bb:00:0f', mode: 'active-backup', standalone_ports_supported: true },
      ...{ properties: { xmit_hash_policy: 'layer3+4' }, extra: { b: 2 } },
    })
    await client.ok('port group unset bond-2 --address --name')
    assert.partialDeepStrictEqual(await client.show(`port group show ${id}`), { name: null, address: null })

    await client.ok(`port group create --node ${node} --name bond-3 --address 52:54:00:bb:00:03`)
    const names = async (more: string) => (await client.list(`port group list ${more}`)).map(row => row.name)
    assert.deepEqual(await names('--limit 1'), [null])
    assert.deepEqual(await names('--node n1'), [null, 'bond-3'])
    assert.deepEqual(await names('--address 52:54:00:bb:00:03'), ['bond-3'])
    assert.deepEqual(await names(`--marker ${id}`), ['bond-3'])
    const [long] = await client.list('port group list --long --limit 1')
    assert.partialDeepStrictEqual(long, { uuid: id, node_uuid: node, mode: 'active-backup' })
    assert.deepEqual(await client.list('port group list --fields name --limit 1'), [{ name: null }])

    await client.fails(/400/, `port group delete ${id}`) // it has a port
    const [{ uuid: portId } = {}] = await client.list(`port list --port-group ${id}`)
    await client.ok(`port delete ${String(portId)}`)
    assert.match(await client.ok(`port group delete ${id} bond-3`), /Deleted port group.*Deleted port group/s)
    await client.fails(/404/, `port group show ${id}`)
  })

  test('shards', { skip: skip || whyUnknown('shard list') }, async () => {
    await client.ok('node set n1 --shard row-7')
    assert.deepEqual(await client.list('shard list'), [{ name: 'row-7', count: 1 }])
    assert.deepEqual(
      (await client.list('node list --shards row-7')).map(row => row.name),
      ['n1'],
    )
    assert.deepEqual(await client.list('node list --shards row-8'), [])
    await client.ok('node unset n1 --shard')
  })

  test('children', { skip: skip || whyUnknown('node children list') }, async () => {
    await client.ok('node create --driver fake-hardware --name card --parent-node n1')
    const children = await client.ok('node children list n1 -f json')
    const { uuid } = await client.show('node show card --fields uuid')
    assert.match(children, new RegExp(String(uuid)))
    await client.ok('node delete card')
  })
})
