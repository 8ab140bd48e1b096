/** What a node in maintenance may still do, with the real conductor over fake hardware. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { openDatabase } from '#db/database.ts'
import { findNode } from '#db/nodes.ts'
import { consolesOf } from '#drivers/console/console-servers.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import type { ProvisionState } from '#protocol/states.ts'
import { createConductor } from './service.ts'
import { Shared } from './shared.ts'
import { addNode, caller, eventually } from './test-engine.ts'

async function world(allowed: boolean) {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-maintenance-'))
  const config = await loadConfig({
    overrides: {
      DEFAULT: { state_path: directory },
      conductor: { allow_provisioning_in_maintenance: allowed },
      deploy: { http_root: join(directory, 'http') },
      console: { socat_address: '127.0.0.1' },
    },
  })
  const db = await openDatabase(':memory:')
  const registry = await loadRegistry(config)
  const portsChanged = async () => {}
  const shared = new Shared()
  const conductor = createConductor({ db, config, registry, clock: systemClock, log: silent, shared, portsChanged })
  await conductor.start()
  const interfaces = registry.interfacesFor('fake-hardware', {})
  return {
    db,
    config,
    shared,
    conductor,
    node: (state: ProvisionState) => addNode(db, state, { driver: 'fake-hardware', ...interfaces, maintenance: true }),
    async [Symbol.asyncDispose]() {
      await conductor.stop()
      await db.destroy()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

for (const [allowed, end] of [
  [true, 'available'],
  [false, 'clean failed'],
] as const) {
  test(`undeploying in maintenance ends ${end} where provisioning in it is ${allowed ? '' : 'not '}allowed`, async () => {
    await using it = await world(allowed)
    const uuid = await it.node('active')
    const node = await findNode(it.db, uuid)
    assert.ok(node)
    await it.conductor.provision(node, 'deleted', {}, caller)
    await eventually(end, async () => (await findNode(it.db, uuid))?.provision_state === end)
    const { last_error } = (await findNode(it.db, uuid)) ?? {}
    if (!allowed) assert.match(last_error ?? '', /in maintenance/)
  })
}

test('a node that is deleted in maintenance takes its boot files and its console along', async () => {
  await using it = await world(true)
  const uuid = await it.node('deploy failed')
  const { http_root } = it.config.deploy
  await mkdir(join(http_root, uuid), { recursive: true })
  await writeFile(join(http_root, uuid, 'config'), '#!ipxe')
  const consoles = consolesOf({ shared: it.shared.get })
  const ctx = { node: { uuid }, config: it.config, log: silent } as NodeContext // all that is read of it
  await consoles.start(ctx, { port: null, key: 'its BMC', open: () => Promise.reject(new Error('nobody looks at it')) })
  const { port } = new URL(consoles.url(uuid) ?? '')
  await it.conductor.withNode(uuid, 'delete', held => held.delete())
  assert.equal(await findNode(it.db, uuid), undefined)
  await assert.rejects(access(join(http_root, uuid)), { code: 'ENOENT' })
  await assert.rejects(once(connect(Number(port), '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' })
})
