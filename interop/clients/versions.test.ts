/** The client at versions of the API that are not its newest: what is negotiated, what is shown, what is refused. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { type RunningService, startService } from './service.ts'

describe('versions', { skip: await whyMissing(forClients) }, () => {
  let service: RunningService
  let client: Baremetal
  let uuid: string
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
    uuid = String((await client.show('node create --driver fake-hardware --name n1 --resource-class big')).uuid)
    await client.ok(`port create 52:54:00:aa:00:01 --node ${uuid}`)
  })
  after(() => service[Symbol.asyncDispose]())

  test('without the option the newest that both know is used', async () => {
    const { err } = await client.run('--debug node show n1')
    assert.match(err, /"X-OpenStack-Ironic-API-Version: 1\.\d{2,3}"/)
    assert.match(err, /X-OpenStack-Ironic-API-Maximum-Version: 1\.115/i)
  })

  for (const version of ['latest', '1.78']) {
    test(`${version}: everything that the client knows`, async () => {
      const node = await client.at(version).show('node show n1')
      assert.partialDeepStrictEqual(node, { uuid, name: 'n1', resource_class: 'big', boot_mode: null, lessee: null })
      assert.equal((await client.at(version).list('node history list n1')).length >= 0, true)
    })
  }

  test('1.31: interfaces of drivers are there, what came later is not', async () => {
    const old = client.at('1.31')
    const node = await old.show('node show n1')
    assert.partialDeepStrictEqual(node, { uuid, name: 'n1', resource_class: 'big', power_interface: 'fake' })
    for (const later of ['traits', 'description', 'conductor', 'owner']) assert.ok(!(later in node), later)
    await old.fails(/1\.50|owner|not supported/i, 'node set n1 --owner me')
    await old.fails(/not supported|1\.49|406|404/i, 'conductor list')
    await old.fails(/not supported|406/i, 'node list --fields uuid description')
    assert.equal((await old.list('node list --driver fake-hardware'))[0]?.uuid, uuid)
    await old.ok('node validate n1')
    await old.ok('driver property list redfish')
  })

  test('1.1: no names, and the states of its day', async () => {
    const oldest = client.at('1.1')
    const node = await oldest.show(`node show ${uuid}`)
    assert.ok(!('name' in node) && !('resource_class' in node))
    await oldest.fails(/404|not found/i, 'node show n1')
    const [row] = await oldest.list('node list')
    assert.equal(row?.uuid, uuid)
    assert.equal((await oldest.list('port list'))[0]?.address, '52:54:00:aa:00:01')
    // A node that is made below 1.11 is available at once, which 1.1 shows as null.
    const made = await oldest.show('node create --driver fake-hardware')
    assert.equal(made.provision_state, null)
    assert.equal((await client.show(`node show ${String(made.uuid)}`)).provision_state, 'available')
    await oldest.ok(`node maintenance set ${uuid}`)
    await oldest.ok(`node maintenance unset ${uuid}`)
    await oldest.ok(`node power on ${uuid}`)
    await oldest.fails(/1\.4|not supported|406/i, `node manage ${uuid}`)
    await oldest.ok(`node delete ${String(made.uuid)}`)
  })

  test('1.5 has names, 1.11 enrolls', async () => {
    assert.equal((await client.at('1.5').show('node show n1')).name, 'n1')
    const made = await client.at('1.11').show('node create --driver fake-hardware --name n2')
    assert.equal(made.provision_state, 'enroll')
    await client.at('1.11').ok('node manage n2 --wait')
    await client.at('1.11').ok('node delete n2')
  })

  test('a version that the service does not have is refused with the versions it has', async () => {
    await client.fails(/1\.999|version/i, '--os-baremetal-api-version 1.999 node list')
  })
})
