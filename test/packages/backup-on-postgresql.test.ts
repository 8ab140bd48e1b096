/**
 * A service on PostgreSQL, backed up while it runs and is written to; restored in another database, from which a service
 * tells the same; and put in the place of a newer version's tables, of which nothing is left.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import pg from 'pg'
import { main as backup } from '../../src/backup/command.ts'
import { main as restore } from '../../src/backup/restore-command.ts'
import { type PostgresServer, startPostgres } from '../../src/db/test-server.ts'
import { freePorts, ServiceProcess } from '../../src/lab/service-process.ts'

let directory: string
let server: PostgresServer
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-backup-'))
  server = await startPostgres()
})
after(async () => {
  await server.stop()
  await rm(directory, { recursive: true, force: true })
})

async function started(name: string, connection: string): Promise<ServiceProcess> {
  const [port = 0, http_port = 0] = await freePorts(2)
  return ServiceProcess.start({
    directory: join(directory, name),
    endpoint: `http://127.0.0.1:${port}`,
    config: {
      DEFAULT: { host: 'h', my_ip: '127.0.0.1', state_path: join(directory, name, 'state') },
      api: { host_ip: '127.0.0.1', port },
      database: { connection },
      ferrite: { http_host: '127.0.0.1', http_port, console: false },
    },
  })
}

/** As the API tells them, without the addresses of the service that tells it. */
async function allNodes({ api, endpoint }: ServiceProcess): Promise<string[]> {
  const nodes = await api.list('/v1/nodes', 'nodes', { query: { detail: true }, limit: 0 })
  // Which conductor serves a node is told when one has been heard of.
  return nodes.map(({ conductor: _, ...node }) => JSON.stringify(node).replaceAll(endpoint, ''))
}

async function asked(connection: string, sql: string): Promise<Record<string, string>[]> {
  const { searchParams, pathname } = new URL(connection)
  const database = pathname.slice(1)
  const client = new pg.Client({ host: searchParams.get('host') ?? '', user: 'ferrite', database })
  await client.connect()
  try {
    return (await client.query<Record<string, string>>(sql)).rows
  } finally {
    await client.end()
  }
}

/** Every row of every table, as text. */
async function contents(connection: string): Promise<Record<string, string[]>> {
  const tables = await asked(
    connection,
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
  )
  const found: Record<string, string[]> = {}
  for (const { name = '' } of tables) {
    const rows = await asked(connection, `SELECT t::text AS text FROM ${name} t ORDER BY 1`)
    found[name] = rows.map(({ text = '' }) => text)
  }
  return found
}

test('a running service comes back from its backup in another database', { timeout: 240_000 }, async () => {
  const [first, second] = [await server.create('first'), await server.create('second')]
  const [running, quiet] = [join(directory, 'running.tar'), join(directory, 'quiet.tar')]
  const from = ['--config-file', join(directory, 'first', 'ferrite.conf')]
  const to = ['--config-file', join(directory, 'second.conf')]
  await writeFile(
    join(directory, 'second.conf'),
    `[DEFAULT]\nstate_path = ${join(directory, 'second')}\n[database]\nconnection = ${second}\n`,
  )
  await using services = new AsyncDisposableStack()
  const service = await started('first', first)
  services.defer(() => service.stop())
  const create = (name: string) => service.api.create('/v1/nodes', { name, driver: 'fake-hardware', extra: { name } })
  for (let number = 0; number < 10; number++) await create(`n${number}`)
  let isOver = false
  const writing = (async () => {
    for (let number = 10; !isOver; number++) await create(`n${number}`)
  })()
  assert.equal(await backup([...from, running]), 0)
  isOver = true
  await writing
  assert.equal(await restore([...to, running]), 0)
  const names = (await asked(second, 'SELECT name FROM nodes ORDER BY id')).map(({ name }) => name)
  assert.ok(names.length >= 10)
  const upTo = names.map((_, number) => `n${number}`)
  assert.deepEqual(names, upTo, 'as it was at one instant')

  const all = await allNodes(service)
  await service.stop()
  assert.equal(await backup([...from, quiet]), 0)
  await asked(second, 'CREATE TABLE of_a_newer_version (id BIGINT REFERENCES flows (id))')
  assert.equal(await restore([...to, quiet]), 1, 'it is not empty')
  assert.deepEqual((await asked(second, 'SELECT name FROM nodes ORDER BY id')).length, upTo.length)
  assert.equal(await restore([...to, '--force', quiet]), 0)
  assert.ok(isDeepStrictEqual(await contents(second), await contents(first)), 'the same rows')

  const again = await started('third', second)
  services.defer(() => again.stop())
  assert.ok(isDeepStrictEqual(await allNodes(again), all), 'the same nodes')
  // Numbers go on where they were.
  await again.api.create('/v1/nodes', { name: 'another', driver: 'fake-hardware' })
})
