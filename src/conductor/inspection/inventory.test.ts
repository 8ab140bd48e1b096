/** Inspection data in Swift, over a small one on a real socket. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { freshDatabase } from '#db/test-database.ts'
import { Shared } from '../shared.ts'
import { dropInventory, keepInventory, readInventory } from './inventory.ts'

/** Containers must be made before objects are put into them. */
async function swift() {
  const objects = new Map<string, string>()
  const containers = new Set<string>()
  let failing = false
  const server = createServer(async (request, response) => {
    const [container = '', ...rest] = (request.url ?? '').split('/').slice(3)
    const name = rest.join('/')
    const body = await text(request)
    const answer = (status: number, content = '') => response.writeHead(status).end(content)
    if (failing) return answer(507)
    if (request.method === 'PUT' && name === '') {
      containers.add(container)
      return answer(202)
    }
    if (!containers.has(container)) return answer(404)
    if (request.method === 'PUT') {
      objects.set(name, body)
      return answer(201)
    }
    const known = objects.get(name)
    if (known === undefined) return answer(404)
    if (request.method === 'DELETE') objects.delete(name)
    return request.method === 'GET' ? answer(200, known) : answer(204)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    objects,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/AUTH_x`,
    fail() {
      failing = true
    },
    [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve())),
  }
}

test('inventory and plugin data are two objects, replaced by the next inspection and gone with the node', async () => {
  await using store = await swift()
  const db = await freshDatabase()
  const shared = new Shared()
  const config = await loadConfig({
    overrides: {
      inventory: { data_backend: 'swift', swift_data_container: 'kept here' },
      swift: { auth_type: 'none', endpoint_override: store.url },
    },
  })
  const world = { db, config, shared: shared.get, signal: new AbortController().signal }
  const found = { inventory: { cpu: { count: 1 } }, plugin_data: { x: ['ü'] } }
  assert.equal(await readInventory(world, 'n-1'), undefined)
  await keepInventory(world, 'n-1', { ...found, inventory: {} })
  await keepInventory(world, 'n-1', found)
  assert.deepEqual([...store.objects.keys()], ['inspector_data-n-1-inventory', 'inspector_data-n-1-plugin'])
  assert.deepEqual(await readInventory(world, 'n-1'), found)
  const large = { inventory: {}, plugin_data: { data: 'x'.repeat(8 * 1024 * 1024) } }
  await keepInventory(world, 'n-2', large)
  assert.deepEqual(await readInventory(world, 'n-2'), large)
  await dropInventory(world, 'n-1')
  assert.equal(await readInventory(world, 'n-1'), undefined)
  await dropInventory(world, 'n-1')
  store.objects.set('inspector_data-n-2-plugin', 'no json')
  await assert.rejects(readInventory(world, 'n-2'), /container kept here: found no JSON object/)
  store.fail()
  await assert.rejects(
    keepInventory(world, 'n-2', found),
    /Cannot store inspection data in Swift, .*: found status 507/,
  )
  await assert.rejects(dropInventory(world, 'n-2'), /Cannot delete inspection data/)
  await shared.dispose()
  await db.destroy()
})
