/**
 * Commands of the client that no test drives: each is asked once, and gets an answer that the client understands,
 * whether the service has the thing or not. `npm run interop:clients` prints which is which.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { assertReadable, Baremetal } from './baremetal.ts'
import { undriven } from './coverage.ts'
import { whyMissing } from './packages.ts'
import { type RunningService, startService } from './service.ts'

describe('what no test drives is answered', { skip: await whyMissing(forClients) }, () => {
  let service: RunningService
  let client: Baremetal
  before(async () => {
    service = await startService()
    client = new Baremetal(service.endpoint).once
    for (const name of ['n1', 'active-1']) {
      await client.ok(`node create --driver fake-hardware --name ${name}`)
      await client.ok(`node manage ${name} --wait`)
    }
    await client.ok('node provide active-1 --wait')
    await client.ok('node deploy active-1 --wait')
  })
  after(() => service[Symbol.asyncDispose]())

  for (const [command, words] of Object.entries(undriven)) {
    test(command, async () => {
      const { status, err } = await client.probe(`${command} ${words}`.trimEnd())
      assertReadable(err)
      if (status === 0) return
      assert.equal(status, 1, err)
      assert.match(err, /.{10}.*\(HTTP 4\d\d\)/s)
    })
  }
})
