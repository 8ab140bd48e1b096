import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { startApi, type TestApi } from '../test-api.ts'

interface Told {
  status: string
  checks: { name: string; ok: boolean; reason?: string }[]
}

async function ready(api: TestApi): Promise<[status: number, told: Told]> {
  const reply = await fetch(`${api.url}/readyz`)
  return [reply.status, (await reply.json()) as Told]
}

/** The look that is kept for a moment is over. */
const later = () => new Promise(resolve => setTimeout(resolve, 600))

test('alive: answers whatever the database is at', async () => {
  await using api = await startApi()
  const reply = await fetch(`${api.url}/healthz`)
  assert.deepEqual([reply.status, await reply.json()], [200, { status: 'alive' }])
  assert.equal((await fetch(`${api.url}/healthz`, { method: 'HEAD' })).status, 200)
})

test('ready: the database, its migrations, the conductor; each that is missing is named', async () => {
  await using api = await startApi()
  const good = ['database', 'migrations', 'conductor'].map(name => ({ name, ok: true }))
  assert.deepEqual(await ready(api), [200, { status: 'ready', checks: good }])

  await api.db.updateTable('conductors').set({ online: 0 }).execute()
  await sql`DELETE FROM migrations WHERE name LIKE '0012%'`.execute(api.db)
  await later()
  const [status, told] = await ready(api)
  assert.deepEqual([status, told.status], [503, 'not ready'])
  const { reason } = told.checks.find(({ name }) => name === 'migrations') ?? {}
  assert.match(reason ?? '', /^not applied: 0012-[a-z-]+\.sql$/)
  assert.deepEqual(told.checks.at(-1), { name: 'conductor', ok: false, reason: 'it is not registered' })

  await sql`DROP TABLE migrations`.execute(api.db)
  await later()
  const checks = [{ name: 'database', ok: false, reason: 'it cannot be reached' }]
  assert.deepEqual(await ready(api), [503, { status: 'not ready', checks }])
})
