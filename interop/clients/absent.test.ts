/**
 * Commands of the client whose resources the service does not have yet: each is told so in a sentence, with a status
 * that the client understands. Whoever adds one of them removes it here and drives it elsewhere.
 */
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { absent } from './coverage.ts'
import { whyMissing } from './packages.ts'
import { type RunningService, startService } from './service.ts'

describe('what is not there yet', { skip: await whyMissing(forClients) }, () => {
  let service: RunningService
  let client: Baremetal
  before(async () => {
    service = await startService()
    client = new Baremetal(service.endpoint)
    await client.ok('node create --driver fake-hardware --name n1')
    await client.ok('node manage n1 --wait')
  })
  after(() => service[Symbol.asyncDispose]())

  for (const [command, { words, says }] of Object.entries(absent)) {
    test(command, () => client.fails(says, `${command}${words === '' ? '' : ` ${words}`}`))
  }
})
