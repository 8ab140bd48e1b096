/**
 * Malformed requests of every kind against every endpoint: none may answer 500 or hang, each error must be readable as
 * clients read it and hold no stack, and what was refused must have changed nothing. `npm run fuzz` makes many more.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { Db } from '#db/database.ts'
import { endpoints } from '../endpoints.ts'
import { furnish } from '../openapi/good-requests.ts'
import { normalPath } from '../paths.ts'
import { startApi } from '../test-api.ts'
import { fuzzBytes, fuzzRequest } from './fuzz.ts'
import { complaint, fuzzClient } from './fuzz-client.ts'

/** More with FUZZ_RUNS in the environment. */
const runs = Number(process.env.FUZZ_RUNS ?? 1200)
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))
/** Requests to one API; then a new one, so that granted deletions do not use everything up. */
const inRound = 300

/** What comes and goes by taking and dropping the lease of a node. */
const ofLeases = /^lease_|^reservation$/

/** What is written of a refusal, for operators. */
const ofRefusals: readonly unknown[] = ['boot trouble', 'stranger']

/** Everything that the database holds. */
async function contents(db: Db): Promise<Record<string, string[]>> {
  const tables = await db.introspection.getTables()
  const all: Record<string, string[]> = {}
  for (const { name } of tables) {
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(db)
    const kept = name === 'events' ? rows.filter(row => !ofRefusals.includes(row.kind)) : rows
    const lasting = kept.map(row => Object.entries(row).filter(([column]) => !ofLeases.test(column)))
    // PostgreSQL hands a row that was written out last.
    all[name] = lasting.map(row => JSON.stringify(row)).toSorted()
  }
  return all
}

test(`${runs} requests that are nearly right, seed ${seed}`, { timeout: 1_800_000 }, async () => {
  const seen = new Map<number, number>()
  const granted = new Set<string>()
  for (let done = 0; done < runs; done += inRound) {
    await using api = await startApi()
    using client = fuzzClient(api.url)
    const furnished = await furnish(api)
    let before = await contents(api.db)
    const numRuns = Math.min(inRound, runs - done)
    await fc.assert(
      fc.asyncProperty(fuzzRequest(furnished), async request => {
        const answer = await client.send(request)
        const { status } = answer
        seen.set(status, (seen.get(status) ?? 0) + 1)
        assert.equal(complaint(answer, request.method), undefined)
        const after = await contents(api.db)
        if (status >= 400) assert.deepEqual(after, before, 'what was refused changed something')
        else granted.add(`${request.method} ${endpointOf(request.path, request.method)}`)
        before = after
      }),
      { numRuns, seed: seed + done, endOnFailure: true },
    )
    assert.equal((await api.call('GET', '/v1/nodes')).status, 200)
  }

  assert.equal(({} as Record<string, unknown>).x, undefined, 'no prototype was touched')
  // Requests went through to handlers, too, not only into the first check.
  for (const status of [200, 204, 400, 404, 406]) {
    assert.ok((seen.get(status) ?? 0) > runs / 200, `${status} of ${JSON.stringify([...seen])}`)
  }
  assert.ok(granted.size > Math.min(runs / 30, 60), `only ${granted.size} endpoints granted anything`)
})

const patterns = endpoints.map(({ method, path }) => ({
  method,
  path,
  regex: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
}))

function endpointOf(path: string, method: string): string {
  const [plain = ''] = normalPath(path).split('?', 1)
  return patterns.find(one => one.method === method && one.regex.test(plain))?.path ?? plain
}

test('bytes that are no request', { timeout: 600_000 }, async () => {
  await using api = await startApi()
  using client = fuzzClient(api.url)
  await fc.assert(
    fc.asyncProperty(fuzzBytes, async bytes => {
      const text = await client.sendBytes(bytes)
      assert.doesNotMatch(text, /^HTTP\/1\.[01] 5/)
      assert.doesNotMatch(text, /\n\s+at .+:\d+:\d+|node_modules/)
    }),
    { numRuns: Math.ceil(runs / 30), seed, endOnFailure: true },
  )
  assert.equal((await api.call('GET', '/v1/nodes')).status, 200)
})
