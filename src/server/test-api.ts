/** A running API for tests: a real server on a free port, a database in memory, a conductor that keeps the contract. */
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig, type Overrides } from '#config/load.ts'
import type { Db } from '#db/database.ts'
import type { NodePatch } from '#db/nodes.ts'
import { freshDatabase } from '#db/test-database.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { type AppOptions, createApp } from './app.ts'
import { type FakeConductor, fakeConductor } from './fake-conductor.ts'
import { checkExchange } from './openapi/check-exchange.ts'

export interface Reply {
  status: number
  headers: Headers
  /** Parsed body; undefined where there was none. */
  json: unknown
  /** faultstring or description of an error. */
  fault: string
}

export interface TestApi extends AsyncDisposable {
  db: Db
  conductor: FakeConductor
  url: string
  /** From now on the database takes its time for each statement, as a far one does. */
  moveAway(): void
  /** How many SQL statements the work makes. */
  statements(work: () => Promise<unknown>): Promise<number>
  /** Creates a node and tells its UUID. */
  node(body?: Record<string, unknown>): Promise<string>
  /** Writes columns of a node as the conductor would. */
  set(nodeUuid: string, patch: NodePatch): Promise<void>
  /** Calls with the newest version unless `version` says another; null sends no version at all. */
  call(
    method: string,
    path: string,
    options?: { body?: unknown; version?: string | null; headers?: Record<string, string>; raw?: string },
  ): Promise<Reply>
}

export async function startApi(
  overrides: Overrides = {},
  access: Pick<AppOptions, 'auth' | 'policy' | 'tls' | 'metrics' | 'ui'> = {},
): Promise<TestApi> {
  let statements = 0
  let far = false
  const db = (await freshDatabase()).withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      statements += 1
      if (far) await sleep(20)
      return result
    },
  })
  // The conductor of tests says only once that it is alive, and a busy machine takes its time.
  const conductorOptions = { heartbeat_timeout: 1800, ...overrides.conductor }
  const config = await loadConfig({ overrides: { ...overrides, conductor: conductorOptions } })
  const conductor = await fakeConductor({ db, clock: systemClock })
  const app = createApp({ db, conductor, config, log: silent, clock: systemClock, ...access })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo // listening on TCP, so not a pipe name
  const url = `http${access.tls ? 's' : ''}://127.0.0.1:${port}`
  const api: TestApi = {
    db,
    conductor,
    url,
    moveAway() {
      far = true
    },
    async statements(work) {
      const before = statements
      await work()
      return statements - before
    },
    async node(body = {}) {
      const { status, json, fault } = await api.call('POST', '/v1/nodes', {
        body: { driver: 'fake-hardware', ...body },
      })
      if (status !== 201) throw new Error(fault)
      return (json as { uuid: string }).uuid // checked against the schema of nodes
    },
    async set(nodeUuid, patch) {
      await conductor.withNode(nodeUuid, 'test', held => held.write(patch))
    },
    async call(method, path, { body, version = 'latest', headers = {}, raw } = {}) {
      const text = raw ?? (body === undefined ? undefined : JSON.stringify(body))
      const response = await fetch(url + path, {
        method,
        headers: {
          ...(version === null ? {} : { 'X-OpenStack-Ironic-API-Version': version }),
          ...(text === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(text === undefined ? {} : { body: text }),
      })
      const answer = await response.text()
      const json: unknown = answer === '' ? undefined : JSON.parse(answer)
      checkExchange({ method, path, body: text, response, json })
      return { status: response.status, headers: response.headers, json, fault: faultOf(json) }
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await db.destroy()
    },
  }
  return api
}

/** The text of an error, decoded as clients do. */
function faultOf(json: unknown): string {
  if (typeof json !== 'object' || json === null) return ''
  if ('faultstring' in json) return String(json.faultstring)
  if (!('error_message' in json) || typeof json.error_message !== 'string') return ''
  const inner = JSON.parse(json.error_message) as { faultstring?: string; description?: string } // our own document
  return inner.faultstring ?? inner.description ?? ''
}
