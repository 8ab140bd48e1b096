import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeLease } from '#db/nodes.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { ConsoleInterface } from '#drivers/bmc-interfaces.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import { silent } from '#lib/log.ts'
import { keepConsoles } from './consoles.ts'
import { addNode } from './test-engine.ts'

test('consoles that are switched on are offered by their conductor alone, and one that fails harms no other', async () => {
  const db = await freshDatabase()
  const on = { console_enabled: 1 }
  const uuids = {
    broken: await addNode(db, 'active', on),
    ours: await addNode(db, 'active', on),
    spare: await addNode(db, 'available', on),
    foreign: await addNode(db, 'active', on),
    off: await addNode(db, 'active'),
    held: await addNode(db, 'active', on),
  }
  const lease = { holder: 'host-2', purpose: 'console', nowMs: Date.now(), forMs: 60_000, visible: true }
  await takeLease(db, uuids.held, lease)
  const nameOf = (uuid: string) => Object.entries(uuids).find(([, known]) => known === uuid)?.[0] ?? uuid
  const done: string[] = []
  const console: Pick<ConsoleInterface, 'start' | 'stop'> = {
    async start({ node }) {
      if (node.uuid === uuids.broken) throw new InvalidInput('its port is taken')
      done.push(`start ${nameOf(node.uuid)}`)
    },
    stop: async ({ node }) => void done.push(`stop ${nameOf(node.uuid)}`),
  }
  const world = {
    db,
    log: silent,
    isOurs: (node: { uuid: string }) => node.uuid !== uuids.foreign,
    context: async (node: object) => ({ node, interfaces: { console } }) as unknown as NodeContext, // what is read of it
  }
  await keepConsoles(world, new AbortController().signal)
  assert.deepEqual(done, ['start ours', 'start spare', 'stop foreign'])
  await db.destroy()
})
