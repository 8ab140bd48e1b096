/** `baremetal volume connector …` and `baremetal volume target …`: from where a node boots without a disk of its own. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { type RunningService, startService } from './service.ts'

describe('baremetal volume', { skip: await whyMissing(forClients) }, () => {
  let service: RunningService
  let client: Baremetal
  let node: string
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
    node = String((await client.show('node create --driver fake-hardware --name n1')).uuid)
    // Volumes may be changed only of a machine that is off.
    await client.ok('node manage n1 --wait')
  })
  after(() => service[Symbol.asyncDispose]())

  test('connector: create, show, list, set, unset, delete', async () => {
    const id = '0c8d4a6e-7b1f-4e95-a2d3-6f5b8c9e1a07'
    const iqn = 'iqn.2017-07.org.example:n1'
    const words = `--node ${node} --type iqn --connector-id ${iqn} --uuid ${id} --extra a=1`
    const created = await client.show(`volume connector create ${words}`)
    assert.partialDeepStrictEqual(created, {
      ...{ uuid: id, node_uuid: node, type: 'iqn', connector_id: iqn, extra: { a: 1 } },
    })
    assert.deepEqual(await client.show(`volume connector show ${id}`), created)
    assert.deepEqual(await client.show(`volume connector show ${id} --fields type`), { type: 'iqn' })
    await client.once.fails(/409/, `volume connector create --node ${node} --type iqn --connector-id ${iqn}`)
    await client.fails(/400|404/, `volume connector create --node nobody --type iqn --connector-id ${iqn}`)
    const second = await client.show(`volume connector create --node ${node} --type ip --connector-id 192.0.2.7`)

    const ids = async (more: string) => (await client.list(`volume connector list ${more}`)).map(row => row.uuid)
    assert.deepEqual(await ids('--sort type'), [second.uuid, id])
    assert.deepEqual(await ids('--node n1 --limit 1'), [id])
    assert.deepEqual(await ids(`--marker ${id}`), [second.uuid])
    const [long] = await client.list('volume connector list --long --limit 1')
    assert.partialDeepStrictEqual(long, { uuid: id, node_uuid: node, type: 'iqn', connector_id: iqn })
    assert.deepEqual(await client.list('volume connector list --fields type --limit 1'), [{ type: 'iqn' }])

    await client.ok(`volume connector set ${id} --type wwnn --connector-id 50:01:43:80 --extra b=2`)
    await client.ok(`volume connector unset ${id} --extra a`)
    assert.partialDeepStrictEqual(await client.show(`volume connector show ${id}`), {
      ...{ type: 'wwnn', connector_id: '50:01:43:80', extra: { b: 2 } },
    })
    assert.match(await client.ok(`volume connector delete ${id} ${String(second.uuid)}`), /Deleted.*Deleted/s)
    await client.fails(/404/, `volume connector show ${id}`)
  })

  test('target: create, show, list, set, unset, delete', async () => {
    const id = '9d2b7e5c-1a60-4f3e-b8c4-2e0f6a7d5b18'
    const words = `--node ${node} --type iscsi --boot-index 0 --volume-id vol-1 --uuid ${id} --extra a=1`
    const created = await client.show(`volume target create ${words} --property target_lun=1`)
    assert.partialDeepStrictEqual(created, {
      ...{ uuid: id, node_uuid: node, volume_type: 'iscsi', boot_index: 0, volume_id: 'vol-1', extra: { a: 1 } },
      properties: { target_lun: 1 },
    })
    assert.deepEqual(await client.show(`volume target show ${id}`), created)
    assert.deepEqual(await client.show(`volume target show ${id} --fields volume_id`), { volume_id: 'vol-1' })
    const again = `volume target create --node ${node} --type iscsi --boot-index 0 --volume-id vol-2`
    await client.once.fails(/409/, again)
    const second = await client.show(again.replace('index 0', 'index 1'))

    const ids = async (more: string) => (await client.list(`volume target list ${more}`)).map(row => row.uuid)
    assert.deepEqual(await ids('--sort boot_index:desc'), [second.uuid, id])
    assert.deepEqual(await ids('--node n1 --limit 1'), [id])
    assert.deepEqual(await ids(`--marker ${id}`), [second.uuid])
    const [long] = await client.list('volume target list --long --limit 1')
    assert.partialDeepStrictEqual(long, {
      uuid: id,
      volume_id: 'vol-1',
      boot_index: 0,
      volume_type: 'iscsi',
    })
    assert.deepEqual(await client.list('volume target list --fields volume_id --limit 1'), [{ volume_id: 'vol-1' }])

    await client.ok(`volume target set ${id} --type fibre_channel --boot-index 2 --volume-id vol-3 --extra b=2`)
    await client.ok(`volume target set ${id} --property target_iqn=iqn.2010-10.org.example:v3`)
    await client.ok(`volume target unset ${id} --extra a --property target_lun`)
    assert.partialDeepStrictEqual(await client.show(`volume target show ${id}`), {
      ...{ volume_type: 'fibre_channel', boot_index: 2, volume_id: 'vol-3', extra: { b: 2 } },
      properties: { target_iqn: 'iqn.2010-10.org.example:v3' },
    })
    assert.match(await client.ok(`volume target delete ${id} ${String(second.uuid)}`), /Deleted.*Deleted/s)
    await client.fails(/404/, `volume target show ${id}`)
  })
})
