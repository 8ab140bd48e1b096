/** `baremetal allocation …`: nodes that are chosen by resource class and traits, and given back. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { type RunningService, startService } from './service.ts'

const id = '3c9e1d0a-6f27-4b5e-8a41-90d7c2f3e6b1'

describe('baremetal allocation', { skip: await whyMissing(forClients) }, () => {
  let service: RunningService
  let client: Baremetal
  const nodes: Record<string, string> = {}
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
    for (const name of ['plain', 'fast', 'taken']) {
      const node = await client.show(`node create --driver fake-hardware --name ${name} --resource-class big`)
      nodes[name] = String(node.uuid)
      await client.ok(`node manage ${name} --wait`)
    }
    await client.ok('node add trait fast CUSTOM_SSD')
    for (const name of Object.keys(nodes)) await client.ok(`node provide ${name} --wait`)
    await client.ok('node deploy taken --wait')
  })
  after(() => service[Symbol.asyncDispose]())

  test('create finds a node by its traits, and show prints the same', async () => {
    const words = `--uuid ${id} --name job-1 --resource-class big --trait CUSTOM_SSD --extra purpose=build`
    const created = await client.show(`allocation create ${words} --wait`)
    assert.partialDeepStrictEqual(created, {
      ...{ uuid: id, name: 'job-1', state: 'active', last_error: null, extra: { purpose: 'build' } },
      ...{ node_uuid: nodes.fast, resource_class: 'big', traits: ['CUSTOM_SSD'], candidate_nodes: [] },
    })
    assert.deepEqual(await client.show('allocation show job-1'), created)
    assert.deepEqual(await client.show(`allocation show ${id} --fields name state`), { name: 'job-1', state: 'active' })
    const node = await client.show('node show fast --fields instance_uuid allocation_uuid')
    assert.deepEqual(node, { instance_uuid: id, allocation_uuid: id })
  })

  test('a node that is in use already becomes its own allocation', async () => {
    const instance = '5d0b7c1e-2a93-4f68-b7d4-1e6c8f90a2b3'
    await client.ok(`node set taken --instance-uuid ${instance}`)
    const made = await client.show(`allocation create --uuid ${instance} --name taken-by-us --node taken --wait`)
    assert.partialDeepStrictEqual(made, { uuid: instance, node_uuid: nodes.taken, state: 'active' })
  })

  test('nothing that fits is an error that says why', async () => {
    await client.fails(/tiny/, 'allocation create --name none-1 --resource-class tiny --wait 60')
    const failed = await client.show('allocation show none-1')
    assert.partialDeepStrictEqual(failed, { state: 'error', node_uuid: null })
    assert.match(String(failed.last_error), /tiny/)
    await client.once.fails(/409/, 'allocation create --name job-1 --resource-class big')
    await client.fails(/400/, 'allocation create --resource-class big --candidate-node nobody')
    await client.fails(/nobody.*404/s, 'allocation show nobody')
  })

  test('list filters, sorts, pages and chooses fields', async () => {
    const names = async (more: string) => (await client.list(`allocation list ${more}`)).map(row => row.name)
    assert.deepEqual(await names('--sort name'), ['job-1', 'none-1', 'taken-by-us'])
    assert.deepEqual(await names('--sort name:desc'), ['taken-by-us', 'none-1', 'job-1']) // the client sorts
    assert.deepEqual(await names('--limit 1'), ['job-1'])
    assert.deepEqual(await names(`--sort name --marker ${id}`), ['none-1', 'taken-by-us'])
    assert.deepEqual(await names('--state error'), ['none-1'])
    assert.deepEqual(await names('--resource-class tiny'), ['none-1'])
    assert.deepEqual(await names('--node fast'), ['job-1'])
    assert.deepEqual(await names('--owner somebody'), [])
    const [row] = await client.list('allocation list --node fast')
    assert.deepEqual(row, {
      ...{ uuid: id, name: 'job-1', resource_class: 'big', state: 'active', node_uuid: nodes.fast },
    })
    const [long] = await client.list('allocation list --node fast --long')
    assert.partialDeepStrictEqual(long, { traits: ['CUSTOM_SSD'], extra: { purpose: 'build' } })
    assert.deepEqual(await client.list('allocation list --node fast --fields name'), [{ name: 'job-1' }])
  })

  test('set and unset change name and extra', async () => {
    await client.ok('allocation set job-1 --name job-2 --extra more=1')
    assert.partialDeepStrictEqual(await client.show('allocation show job-2'), { extra: { purpose: 'build', more: 1 } })
    await client.ok('allocation unset job-2 --extra purpose --name')
    assert.partialDeepStrictEqual(await client.show(`allocation show ${id}`), { name: null, extra: { more: 1 } })
    await client.fails(/404/, 'allocation show job-2')
  })

  test('delete frees the node', async () => {
    assert.match(await client.ok(`allocation delete ${id} none-1`), /Deleted allocation.*Deleted allocation/s)
    const node = await client.show('node show fast --fields instance_uuid allocation_uuid')
    assert.deepEqual(node, { instance_uuid: null, allocation_uuid: null })
    await client.fails(/404/, `allocation delete ${id}`)
  })
})
