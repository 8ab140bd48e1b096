/**
 * The real `baremetal` client (Debian: python3-ironicclient) takes a node from enrol to active and back, and is let in
 * or not by a password and by the tokens of a real Keystone. This is the short slice; `npm run interop:clients` drives
 * everything that the clients can ask for.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { forKeystone } from '#lab/host-packages.ts'
import { httpBasic, keystone, noauth } from '../interop/clients/access.ts'
import { Baremetal } from '../interop/clients/baremetal.ts'
import { environmentOf, startKeystone } from '../interop/clients/keystone.ts'
import { whyMissing } from '../interop/clients/packages.ts'
import { startService } from '../interop/clients/service.ts'

const skip = await whyMissing(['python3-ironicclient'])

test('baremetal: from enrol to active and back', { skip }, async () => {
  await using service = await startService({ access: noauth })
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

test('baremetal with a password', { skip }, async () => {
  await using opened = new AsyncDisposableStack()
  const directory = await temporary(opened)
  const service = opened.use(await startService({ access: await httpBasic(directory) }))
  const client = new Baremetal(service)
  await client.ok('node create --driver fake-hardware --name n1')
  assert.equal((await client.list('node list')).length, 1)
  await client.as({ ...service.environment, OS_PASSWORD: 'wrong' }).fails(/401/, 'node list')
})

test('baremetal with tokens of Keystone', { skip: skip || (await whyMissing(forKeystone)) }, async () => {
  await using opened = new AsyncDisposableStack()
  const identity = opened.use(await startKeystone(await temporary(opened)))
  const service = opened.use(await startService({ access: keystone(identity) }))
  const admin = new Baremetal(service)
  const region = { OS_REGION_NAME: service.environment.OS_REGION_NAME ?? '' }
  await admin.ok('node create --driver fake-hardware --name n1')
  const reader = admin.as({ ...environmentOf(identity, 'system-reader'), ...region })
  assert.equal((await reader.list('node list')).length, 1)
  await reader.fails(/403/, 'node set n1 --extra a=1')
  await admin.as({ ...environmentOf(identity, 'project-admin'), ...region }).fails(/n1.*404/s, 'node show n1')
})

async function temporary(opened: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-access-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  return directory
}
