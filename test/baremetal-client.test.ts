/**
 * The real `baremetal` client (Debian: python3-ironicclient) takes a node from enrol to active and back. This is the
 * short slice; `npm run interop:clients` drives everything that the client can ask for.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Baremetal } from '../interop/clients/baremetal.ts'
import { whyMissing } from '../interop/clients/packages.ts'
import { startService } from '../interop/clients/service.ts'

test('baremetal: from enrol to active and back', { skip: await whyMissing(['python3-ironicclient']) }, async () => {
  await using service = await startService()
  const client = new Baremetal(service)
  const node = await client.show('node create --driver fake-hardware --name n1 --property cpus=4')
  assert.partialDeepStrictEqual(node, { name: 'n1', provision_state: 'enroll', properties: { cpus: 4 } })
  await client.ok(`port create 52:54:00:aa:00:01 --node ${String(node.uuid)}`)
  await client.fails(/enroll.*400/s, 'node deploy n1')
  await client.ok('node manage n1 --wait')
  await client.ok('node inspect n1 --wait')
  await client.ok('node provide n1 --wait')
  await client.ok('node set n1 --instance-info image_source=http://127.0.0.1/none')
  await client.ok('node deploy n1 --wait --config-drive', '{"meta_data": {"hostname": "n1"}}')
  const [row] = await client.list('node list --provision-state active')
  assert.partialDeepStrictEqual(row, { name: 'n1', power_state: 'power on', provision_state: 'active' })
  await client.ok('node undeploy n1 --wait')
  await client.ok('node delete n1')
  await client.fails(/n1.*404/s, 'node show n1')
})
