/**
 * `npm run fuzz`: malformed requests by the ten thousand. First against an API whose database is compared before and
 * after each (src/server/fuzz/fuzz.test.ts); then, many at a time and with bytes that are no request among them, against
 * `ferrite serve` on SQLite with its real conductor, whose memory is measured: it may not grow by more than a small part
 * of what it was asked. Before that, images whose headers nobody would write, as the conductor and the agent look at them
 * (as many) and as the agent writes them (a hundredth; root, for loop devices), and requests to the agent's own API.
 *
 *     npm run fuzz -- [--requests N] [--seed N]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { openDatabase } from '#db/database.ts'
import { dropLease, takeLease, writeNode } from '#db/nodes.ts'
import { freePorts, ServiceProcess } from '#lab/service-process.ts'
import { fuzzBytes, fuzzRequest } from '#server/fuzz/fuzz.ts'
import { complaint, fuzzClient } from '#server/fuzz/fuzz-client.ts'
import { furnish } from '#server/openapi/good-requests.ts'
import type { TestApi } from '#server/test-api.ts'

const { values } = parseArgs({ options: { requests: { type: 'string' }, seed: { type: 'string' } } })
const requests = Number(values.requests ?? 20_000)
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
/** Requests between two measurements, each to a fresh set of objects. */
const inRound = 1000
const atOnce = 8
/** Rounds until caches are full and everything is compiled. */
const warmUp = 4
/** What a request may leave behind on the heap, on average; a stored row's copy would be more. */
const leakLimitBytes = 300

console.log(`seed ${seed}, ${requests} requests each`)
const passed = [
  runLong('#lib/disk-format-fuzz.test.ts', requests),
  runLong('#agent/image/image-fuzz.test.ts', Math.ceil(requests / 100)),
  runLong('#agent/fuzz.test.ts', requests),
  runLong('#server/fuzz/fuzz.test.ts', requests),
]
const complaints = await fuzzService()
for (const line of complaints) console.log(line)
process.exitCode = passed.every(Boolean) && complaints.length === 0 ? 0 : 1

/** A test that `npm test` runs for a short time. @returns whether it passed */
function runLong(file: string, runs: number): boolean {
  const args = ['--disable-warning=ExperimentalWarning', '--test', fileURLToPath(import.meta.resolve(file))]
  const env = { ...process.env, FUZZ_RUNS: String(runs), FUZZ_SEED: String(seed) }
  return spawnSync(process.execPath, args, { stdio: 'inherit', env }).status === 0
}

/** @returns what was wrong */
async function fuzzService(): Promise<string[]> {
  const wrong: string[] = []
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-fuzz-'))
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const { service, child } = await startService(directory)
  opened.defer(() => service.stop())
  const db = await openDatabase(join(directory, 'ferrite.sqlite'))
  opened.defer(() => db.destroy())
  using client = fuzzClient(service.endpoint)
  const api = remoteApi(service.endpoint, db)
  const heaps: number[] = []
  let sent = 0
  for (let round = 0; sent < requests; round += 1) {
    const furnished = await furnish(api, round + 1)
    const batch = fc.sample(fuzzRequest(furnished), { numRuns: inRound, seed: seed + round })
    const odd = fc.sample(fuzzBytes, { numRuns: 20, seed: seed + round })
    await inParallel(batch, async request => {
      const answer = await client.send(request)
      const found = complaint(answer, request.method)
      if (found !== undefined) wrong.push(`${request.method} ${request.path.slice(0, 200)} ${request.body}: ${found}`)
    })
    await inParallel(odd, async bytes => {
      const text = await client.sendBytes(bytes)
      if (/^HTTP\/1\.[01] 5/.test(text))
        wrong.push(`${JSON.stringify(bytes.toString('latin1'))}: ${text.slice(0, 300)}`)
    })
    sent += inRound
    await empty(api)
    const { heapUsed, rss } = await measured(child())
    heaps.push(heapUsed)
    if (round % 5 === 0) console.log(`${sent} requests: ${mib(heapUsed)} MiB of heap, ${mib(rss)} MiB resident`)
  }
  const leak = slope(heaps.slice(warmUp)) / inRound
  console.log(`heap per request after ${warmUp * inRound} requests: ${leak.toFixed(0)} bytes`)
  if (leak > leakLimitBytes)
    wrong.push(`Memory grows by ${leak.toFixed(0)} bytes a request, expected < ${leakLimitBytes}`)
  return wrong
}

async function startService(directory: string): Promise<{ service: ServiceProcess; child: () => ChildProcess }> {
  const [port = 0, httpPort = 0] = await freePorts(2)
  let running: ChildProcess | undefined
  const types = ['console', 'raid', 'bios', 'firmware', 'rescue', 'vendor']
  const service = await ServiceProcess.start({
    directory,
    endpoint: `http://127.0.0.1:${port}`,
    spawn(command, args, options) {
      const measure = join(import.meta.dirname, 'measure.ts')
      const stdio = [...(options.stdio as 'inherit'[]), 'ipc' as const] // three places, as the caller gives them
      running = spawn(command, ['--expose-gc', '--import', measure, ...args], { ...options, stdio })
      return running
    },
    config: {
      DEFAULT: {
        ...{ host: 'host-1', my_ip: '127.0.0.1', state_path: directory, auth_strategy: 'noauth' },
        enabled_hardware_types: 'fake-hardware',
        ...Object.fromEntries(types.map(type => [`enabled_${type}_interfaces`, `fake,no-${type}`])),
        ...{ enabled_network_interfaces: 'noop,flat', enabled_storage_interfaces: 'noop' },
        ...Object.fromEntries(
          ['boot', 'deploy', 'inspect', 'management', 'power'].map(type => [`enabled_${type}_interfaces`, 'fake']),
        ),
      },
      api: { host_ip: '127.0.0.1', port },
      database: { connection: `sqlite:///${join(directory, 'ferrite.sqlite')}` },
      deploy: { http_url: `http://127.0.0.1:${httpPort}`, http_root: join(directory, 'http') },
    },
  })
  const child = () => {
    if (!running) throw new Error('the service does not run')
    return running
  }
  return { service, child }
}

/** What furnishing needs, over HTTP and the service's own database. */
function remoteApi(url: string, db: TestApi['db']): TestApi {
  const api: Pick<TestApi, 'db' | 'url' | 'call' | 'node' | 'set'> = {
    db,
    url,
    async call(method, path, { body } = {}) {
      const response = await fetch(url + path, {
        method,
        headers: { 'X-OpenStack-Ironic-API-Version': 'latest', 'Content-Type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const json: unknown = text === '' ? undefined : JSON.parse(text)
      return { status: response.status, headers: response.headers, json, fault: response.ok ? '' : text }
    },
    async node(body = {}) {
      const { json, status, fault } = await api.call('POST', '/v1/nodes', {
        body: { driver: 'fake-hardware', ...body },
      })
      if (status !== 201) throw new Error(fault)
      return (json as { uuid: string }).uuid // a node has one
    },
    async set(uuid, patch) {
      const nowMs = Date.now()
      const token = await takeLease(db, uuid, { holder: 'fuzz', purpose: 'fuzz', nowMs, forMs: 60_000, visible: true })
      await writeNode(db, uuid, token, patch, nowMs)
      await dropLease(db, uuid, token)
    },
  }
  return api as TestApi // furnish() uses these
}

/** Takes away what a round has left, so that only a leak remains. */
async function empty({ db }: Pick<TestApi, 'db'>): Promise<void> {
  for (const table of [
    'allocations',
    'ports',
    'portgroups',
    'volume_connectors',
    'volume_targets',
    'events',
  ] as const) {
    await db.deleteFrom(table).execute()
  }
  for (const table of ['flow_steps', 'flows', 'agents', 'bios_settings', 'firmware_components', 'nodes'] as const) {
    await db.deleteFrom(table).execute()
  }
  for (const table of ['chassis', 'deploy_templates', 'runbooks', 'inspection_rules'] as const) {
    await db.deleteFrom(table).execute()
  }
}

async function measured(child: ChildProcess): Promise<NodeJS.MemoryUsage> {
  child.send('measure')
  const [usage] = await once(child, 'message')
  return usage as NodeJS.MemoryUsage // what measure.ts sends
}

async function inParallel<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...all]
  const worker = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** Of the straight line through values at equal distances, by least squares: one sweep that came late does not decide. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length
  let above = 0
  let below = 0
  for (const [index, one] of values.entries()) {
    above += (index - middle) * (one - mean)
    below += (index - middle) ** 2
  }
  return above / below
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
