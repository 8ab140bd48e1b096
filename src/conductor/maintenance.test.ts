/** What a node in maintenance may still do, with the real conductor over fake hardware. */
import assert from 'node:assert/strict'
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { openDatabase } from '#db/database.ts'
import { findNode } from '#db/nodes.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import type { ProvisionState } from '#protocol/states.ts'
import { createConductor } from './service.ts'
import { addNode, caller, eventually } from './test-engine.ts'

async function world(allowed: boolean) {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-maintenance-'))
  const config = await loadConfig({
    overrides: {
      DEFAULT: { state_path: directory },
      conductor: { allow_provisioning_in_maintenance: allowed },
      deploy: { http_root: join(directory, 'http') },
    },
  })
  const db = await openDatabase(':memory:')
  const registry = await loadRegistry(config)
  const portsChanged = async () => {}
  const conductor = createConductor({ db, config, registry, clock: systemClock, log: silent, portsChanged })
  await conductor.start()
  const interfaces = registry.interfacesFor('fake-hardware', {})
  return {
    db,
    config,
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

test('a node that is deleted in maintenance takes its boot files along', async () => {
  await using it = await world(true)
  const uuid = await it.node('deploy failed')
  const { http_root } = it.config.deploy
  await mkdir(join(http_root, uuid), { recursive: true })
  await writeFile(join(http_root, uuid, 'config'), '#!ipxe')
  await it.conductor.withNode(uuid, 'delete', held => held.delete())
  assert.equal(await findNode(it.db, uuid), undefined)
  await assert.rejects(access(join(http_root, uuid)), { code: 'ENOENT' })
})
