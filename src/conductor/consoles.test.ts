import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import type { Db } from '#db/database.ts'
import { deleteNode, type Node, takeLease } from '#db/nodes.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { ConsoleInterface } from '#drivers/bmc-interfaces.ts'
import { consolesOf } from '#drivers/console/console-servers.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import { silent } from '#lib/log.ts'
import { consolePurpose, keepConsoles } from './consoles.ts'
import { Shared } from './shared.ts'
import { addNode } from './test-engine.ts'

const never = new AbortController().signal
const leaseFor = (purpose: string) => ({ holder: 'host-2', purpose, nowMs: Date.now(), forMs: 60_000, visible: true })

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
  await takeLease(db, uuids.held, leaseFor(consolePurpose))
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
    shared: new Shared().get,
    isOurs: (node: { uuid: string }) => node.uuid !== uuids.foreign,
    context: async (node: object) => ({ node, interfaces: { console } }) as unknown as NodeContext, // what is read of it
  }
  await keepConsoles(world, never)
  assert.deepEqual(done, ['start ours', 'start spare', 'stop foreign'])
  await db.destroy()
})

/** Consoles behind real ports; `starting` runs before each, as long as a BMC may take. */
async function listening(db: Db, starting: (node: Node) => Promise<void>) {
  const shared = new Shared()
  const config = await loadConfig({ overrides: { console: { socat_address: '127.0.0.1' } } })
  const console: Pick<ConsoleInterface, 'start' | 'stop'> = {
    async start(ctx) {
      await starting(ctx.node)
      const open = () => Promise.reject(new Error('nobody looks at it'))
      await consolesOf(ctx).start(ctx, { port: null, key: 'its BMC', open })
    },
    stop: ctx => consolesOf(ctx).stop(ctx.node.uuid),
  }
  const context = async (node: Node) =>
    ({ node, config, log: silent, shared: shared.get, interfaces: { console } }) as unknown as NodeContext // all that is read
  return {
    world: { db, log: silent, shared: shared.get, isOurs: () => true, context },
    url: (uuid: string) => consolesOf({ shared: shared.get }).url(uuid),
    [Symbol.asyncDispose]: () => shared.dispose(),
  }
}

async function answers(url: string | null | undefined): Promise<boolean> {
  const { hostname, port } = new URL(url ?? '')
  const socket = connect({ host: hostname, port: Number(port) })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const change = (db: Db, uuid: string, set: { console_enabled?: 0; console_interface?: string }) =>
  db.updateTable('nodes').set(set).where('uuid', '=', uuid).execute()

test('what another conductor switched off or deleted, and what is of another interface now, listens no more', async () => {
  const db = await freshDatabase()
  const on = { console_enabled: 1, console_interface: 'ipmitool-socat' }
  const uuids = {
    kept: await addNode(db, 'active', on),
    off: await addNode(db, 'active', on),
    offAndHeld: await addNode(db, 'active', on),
    gone: await addNode(db, 'active', on),
    without: await addNode(db, 'active', on),
    switching: await addNode(db, 'active', on),
  }
  await using it = await listening(db, async node => {
    if (node.console_interface === 'no-console') throw new InvalidInput('it has none')
  })
  await keepConsoles(it.world, never)
  const urls = Object.entries(uuids).map(([name, uuid]) => [name, it.url(uuid)] as const)
  for (const [name, url] of urls) assert.ok(await answers(url), name)

  await change(db, uuids.off, { console_enabled: 0 })
  await change(db, uuids.offAndHeld, { console_enabled: 0 })
  await takeLease(db, uuids.offAndHeld, leaseFor('deploy'))
  await deleteNode(db, uuids.gone, await takeLease(db, uuids.gone, leaseFor('delete')))
  await change(db, uuids.without, { console_interface: 'no-console' })
  await change(db, uuids.switching, { console_enabled: 0 })
  await takeLease(db, uuids.switching, leaseFor(consolePurpose))
  await keepConsoles(it.world, never)
  const left: string[] = []
  for (const [name, url] of urls) if (await answers(url)) left.push(name)
  assert.deepEqual(left, ['kept', 'switching'], 'one that is being switched on is left to whoever does it')
  await db.destroy()
})

test('a console that is switched off while it starts, or before its turn comes, is not offered', async () => {
  const db = await freshDatabase()
  const uuids = [
    await addNode(db, 'active', { console_enabled: 1 }),
    await addNode(db, 'active', { console_enabled: 1 }),
    await addNode(db, 'active', { console_enabled: 1 }),
  ]
  const started: string[] = []
  await using it = await listening(db, async ({ uuid }) => {
    started.push(uuid)
    for (const other of uuids.slice(0, 2)) await change(db, other, { console_enabled: 0 })
  })
  await keepConsoles(it.world, never)
  assert.deepEqual(started, [uuids[0], uuids[2]])
  assert.deepEqual(
    uuids.map(uuid => it.url(uuid) !== null),
    [false, false, true],
  )
  await db.destroy()
})
