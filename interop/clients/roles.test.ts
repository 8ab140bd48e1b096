/**
 * Who may do what, with real tokens: administrators, members and readers of the system, and the projects that own and
 * lease nodes. Every endpoint and role is in the tests of the server's policies; here are the clients' eyes.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { modeOfTests } from './access.ts'
import { Baremetal } from './baremetal.ts'
import { environmentOf, keystoneOfTests, type ProjectName, projectId, type UserName } from './keystone.ts'
import { whyMissing } from './packages.ts'
import { type RunningService, startService } from './service.ts'

const missing = await whyMissing(forClients)

describe('Keystone', { skip: missing || (modeOfTests() !== 'keystone' && 'this run has no Keystone') }, () => {
  let service: RunningService
  let admin: Baremetal
  const as = (user: UserName, project?: ProjectName): Baremetal => {
    const region = { OS_REGION_NAME: service.environment.OS_REGION_NAME ?? '' }
    return admin.as({ ...environmentOf(keystoneOfTests(), user, project), ...region }).once
  }
  before(async () => {
    service = await startService()
    admin = new Baremetal(service)
  })
  after(() => service[Symbol.asyncDispose]())

  test('nobody gets in without a token, or with a wrong one', async () => {
    const none = admin.as({ OS_AUTH_TYPE: 'none', OS_ENDPOINT: service.endpoint })
    await none.fails(/401/, 'node list')
    const forged = { OS_AUTH_TYPE: 'admin_token', OS_ENDPOINT: service.endpoint, OS_TOKEN: 'gAAAAABforged' }
    await admin.as(forged).fails(/401/, 'node list')
    await admin.as({ ...service.environment, OS_PASSWORD: 'wrong' }).fails(/401/, 'node list')
  })

  test('of the system: the reader reads, the member changes, the administrator makes and deletes', async () => {
    await admin.ok('node create --driver fake-hardware --name n1')
    const reader = as('system-reader')
    assert.equal((await reader.list('node list')).length, 1)
    assert.equal((await reader.show('node show n1')).name, 'n1')
    await reader.fails(/403/, 'node set n1 --extra a=1')
    await reader.fails(/403/, 'node manage n1')
    const member = as('system-member')
    await member.ok('node set n1 --extra a=1')
    await member.ok('node manage n1 --wait')
    await member.fails(/403/, 'node delete n1')
    await member.fails(/403/, 'node create --driver fake-hardware --name n2')
    await admin.ok('node delete n1')
  })

  test('of projects: nodes belong to the one that made them, and nobody else sees them', async () => {
    const owner = as('project-admin', 'red')
    const made = await owner.show('node create --driver fake-hardware --name red-1')
    assert.equal(made.owner, await projectId(keystoneOfTests(), 'red'))
    await admin.ok('node create --driver fake-hardware --name nobodys')
    assert.deepEqual(
      (await as('project-reader', 'red').list('node list')).map(row => row.name),
      ['red-1'],
    )
    assert.deepEqual(await as('project-reader', 'blue').list('node list'), [])
    await as('project-reader', 'blue').fails(/red-1.*404/s, 'node show red-1')
    await as('project-admin', 'blue').fails(/404/, 'node set red-1 --extra a=1')
    await as('project-reader', 'red').fails(/403/, 'node set red-1 --extra a=1')
    await as('project-member', 'red').ok('node set red-1 --extra a=1')
    await as('project-member', 'red').ok('node manage red-1 --wait')
    await as('project-manager', 'red').ok(`port create 52:54:00:aa:00:01 --node ${String(made.uuid)}`)
    await as('project-member', 'red').fails(/403/, `port create 52:54:00:aa:00:02 --node ${String(made.uuid)}`)
    await as('project-member', 'red').fails(/403/, 'driver list')
  })

  test("a lessee sees the node, without what is the owner's alone, and may not keep it", async () => {
    await as('project-admin', 'red').ok(`node set red-1 --lessee ${await projectId(keystoneOfTests(), 'blue')}`)
    const seen = await as('project-reader', 'blue').show('node show red-1')
    assert.equal(seen.name, 'red-1')
    assert.match(JSON.stringify(seen.driver_info), /redacted/i)
    await as('project-member', 'blue').ok('node power on red-1')
    await as('project-admin', 'blue').fails(/403/, 'node set red-1 --driver-info fake_address=x')
    await as('project-admin', 'blue').fails(/403/, 'node delete red-1')
    await as('project-admin', 'red').ok('node delete red-1')
  })

  test('allocations belong to the project that asked', async () => {
    const member = as('project-member', 'blue')
    const made = await member.show('allocation create --resource-class tiny --name blue-job')
    assert.equal(made.owner, await projectId(keystoneOfTests(), 'blue'))
    await as('project-member', 'red').fails(/404/, 'allocation show blue-job')
    assert.deepEqual(await as('project-reader', 'red').list('allocation list'), [])
    await member.ok('allocation delete blue-job')
  })
})
