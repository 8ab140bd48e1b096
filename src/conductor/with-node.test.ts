/** Work of the API on a node, with the real conductor over fake hardware: held as long as it takes, and left whole. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { findNode } from '#db/nodes.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { VirtualMedia } from '#drivers/bmc-interfaces.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { NodeLocked } from '#lib/fault.ts'
import { silent } from '#lib/log.ts'
import { createConductor } from './service.ts'
import { addNode, eventually } from './test-engine.ts'

/** A conductor whose long pauses are short and whose time is put on by hand; `virtualMedia`: of its nodes. */
async function world({ virtualMedia }: { virtualMedia?: Partial<VirtualMedia> } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-with-node-'))
  const overrides = {
    DEFAULT: { state_path: directory },
    // Time is put on by more at once than a conductor may say nothing.
    conductor: { node_locked_retry_attempts: 0, heartbeat_timeout: 3600 },
    deploy: { http_root: join(directory, 'http') },
  }
  const config = await loadConfig({ overrides })
  const db = await freshDatabase()
  const loaded = await loadRegistry(config)
  const registry: typeof loaded = {
    ...loaded,
    interfaces(node) {
      const interfaces = loaded.interfaces(node)
      if (!virtualMedia) return interfaces
      const management = { ...interfaces.management, virtualMedia: virtualMedia as VirtualMedia } // what is asked of it
      return { ...interfaces, management }
    },
  }
  const time = { aheadMs: 0 }
  const clock = {
    now: () => systemClock.now() + time.aheadMs,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 50), signal),
  }
  const conductor = createConductor({ db, config, registry, clock, log: silent, portsChanged: async () => {} })
  await conductor.start()
  return {
    ...{ db, conductor, clock, time },
    node: () => addNode(db, 'active', { driver: 'fake-hardware', ...loaded.interfacesFor('fake-hardware', {}) }),
    async [Symbol.asyncDispose]() {
      await conductor.stop()
      await db.destroy()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

test('work that takes minutes keeps the node to its end, and not longer', async () => {
  await using it = await world()
  const { db, conductor, clock, time } = it
  const uuid = await it.node()
  const untilMs = async () => (await findNode(db, uuid))?.lease?.untilMs ?? 0
  const slow = Promise.withResolvers<void>()
  const work = conductor.withNode(uuid, 'attach virtual media', () => slow.promise)
  await eventually('it is held', async () => (await untilMs()) > 0)
  for (let minutes = 0; minutes < 4; minutes += 0.5) {
    time.aheadMs += 30_000
    await eventually('it is held for longer', async () => (await untilMs()) > clock.now() + 40_000)
  }
  await assert.rejects(
    conductor.withNode(uuid, 'another', async () => {}),
    NodeLocked,
  )
  slow.resolve()
  await work
  assert.equal((await findNode(db, uuid))?.lease, null)
})

test('a node that is deleted is sent no image any longer', async () => {
  const forgotten: string[] = []
  await using it = await world({ virtualMedia: { forget: ({ node }) => void forgotten.push(node.uuid) } })
  const uuid = await it.node()
  await it.conductor.withNode(uuid, 'delete', held => held.delete())
  assert.deepEqual(forgotten, [uuid])
  assert.equal(await findNode(it.db, uuid), undefined)
})
