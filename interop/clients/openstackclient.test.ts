/** `openstack baremetal …`: the same commands through the client of all services, with its own way to find versions. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { conductor, type RunningService, startService } from './service.ts'

describe('openstack baremetal', { skip: await whyMissing(forClients) }, () => {
  let service: RunningService
  let client: Baremetal
  before(async () => {
    service = await startService()
    client = new Baremetal(service, ['openstack', 'baremetal'])
  })
  after(() => service[Symbol.asyncDispose]())

  test('goes from enrol to active and back', async () => {
    const made = await client.show('node create --driver fake-hardware --name n1')
    assert.equal(made.provision_state, 'enroll')
    await client.ok(`port create 52:54:00:aa:00:01 --node ${String(made.uuid)}`)
    await client.ok('node manage n1 --wait')
    await client.ok('node inspect n1 --wait')
    await client.ok('node provide n1 --wait')
    await client.ok('node set n1 --instance-info image_source=http://127.0.0.1/none')
    await client.ok('node deploy n1 --wait --config-drive', '{"meta_data": {"hostname": "h"}}')
    const [row] = await client.list('node list --provision-state active')
    assert.partialDeepStrictEqual(row, { name: 'n1', power_state: 'power on', provision_state: 'active' })
    await client.ok('node undeploy n1 --wait')
    await client.ok('node maintenance set n1 --reason test')
    await client.ok('node delete n1')
    assert.deepEqual(await client.list('node list'), [])
    assert.deepEqual(await client.list('port list'), [])
  })

  test('drivers, conductors, and errors', async () => {
    const drivers = await client.list('driver list')
    assert.deepEqual(
      drivers.map(row => row.name),
      ['fake-hardware', 'ipmi', 'redfish'],
    )
    assert.partialDeepStrictEqual(await client.show(`conductor show ${conductor}`), { alive: true })
    await client.fails(/nobody.*404/s, 'node show nobody')
    await client.fails(/no-such-driver.*400/s, 'node create --driver no-such-driver')
  })
})
