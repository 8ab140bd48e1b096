/**
 * Deployments under fire: a fleet of simulated machines with flaky BMCs and agents, conductors that are killed again and
 * again, and no operator. In the end every node must be active, as if nothing had been: one image written per machine,
 * no power-on that nobody asked for, nothing left held or under way.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Api } from '../../src/cli/client.ts'
import { openDatabase } from '../../src/db/database.ts'
import { startPostgres } from '../../src/db/test-server.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { messageOf } from '../../src/lib/fault.ts'
import { writeBootSources } from '../../src/sim/boot-sources.ts'
import { Campaign, type PhaseResult } from '../../src/sim/campaign.ts'
import { Chance } from '../../src/sim/chance.ts'
import { instanceInfoOf, nodeOf } from '../../src/sim/enrolment.ts'
import { Fleet } from '../../src/sim/fleet.ts'
import { serveImage } from '../../src/sim/image-server.ts'
import type { SimMachine } from '../../src/sim/machine.ts'
import { brisk, type Settings } from '../../src/sim/settings.ts'
import { Conductors } from './conductors.ts'
import { killHolding, type Takeover } from './kill-holding.ts'

export interface ChaosOptions {
  seed: number
  nodes: number
  engine: 'sqlite' | 'postgresql'
  conductors: number
  /** One of those that run is killed each time and comes back; or one, once, for good, with so many flows in its hands. */
  kill: { everyMs: number } | { holding: number }
  /** Nodes under way at a time. */
  concurrency: number
  /** Of requests to BMCs and agents, and of heartbeats; from 0 to 1. */
  failures: number
  /** Of network boots that end nowhere. */
  bootFailures: number
  say(line: string): void
  /** Ends the deployments where they are; what is not active then is lost. */
  signal?: AbortSignal
}

export interface ChaosReport {
  deploy: Pick<PhaseResult, 'count' | 'seconds' | 'per_hour' | 'p50_ms' | 'p99_ms' | 'retries'>
  kills: number
  /** Where one was killed for good: the flows that it had, and how long it took until the others had all of them. */
  takeover: Takeover | null
  failedStarts: string[]
  seconds: number
  machines: Record<string, number>
  /** Boots of a ramdisk that the service began again. */
  bootsAgain: number
  /** Lines of the services' logs that tell of a bug. */
  bugs: string[]
  /** What is not as if nothing had been; empty when all is well. */
  lost: string[]
}

interface Seen {
  writes: number
  /** Network boots that the machine let end nowhere. */
  hangs: number
}

/** Runs it; the directory with logs is kept when something was lost. */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, nodes, say, signal = new AbortController().signal } = options
  const began = performance.now()
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-chaos-'))
  await using opened = new AsyncDisposableStack()
  let lost: string[] = ['the run did not end']
  opened.defer(async () => {
    if (lost.length === 0) await rm(directory, { recursive: true, force: true })
    else say(`logs and databases are kept in ${directory}`)
  })
  const database = await databaseOf(options, directory, opened)
  const files = join(directory, 'boot')
  const conductors = await Conductors.start({ directory, count: options.conductors, database, bootFiles: files })
  opened.defer(() => conductors.stop())
  const image = await serveImage({ sizeBytes: 2 ** 20, seed })
  opened.defer(() => image.close())

  const seen = new Map<SimMachine, Seen>()
  const of = (machine: SimMachine) => {
    const known = seen.get(machine) ?? { writes: 0, hangs: 0 }
    seen.set(machine, known)
    return known
  }
  const fleet = await Fleet.start({
    nodes,
    clock: systemClock,
    settings: settingsOf(options),
    boot: { kind: 'scripts', url: () => `${conductors.bootFiles.url}/boot.ipxe` },
    onEvent(machine, event) {
      if (event.kind === 'step' && event.step === 'deploy.write_image') of(machine).writes += 1
      if (event.kind === 'note' && event.text === 'the network boot hangs') of(machine).hangs += 1
    },
  })
  opened.defer(() => fleet.stop())
  const boot = await writeBootSources(files, fleet.bmcCertificatePem)

  let retries = 0
  let ended = 0
  const api = clientOf(conductors.api.url, () => retries++, signal)
  const campaign = new Campaign({
    api,
    retries: () => retries,
    machines: fleet.machines,
    concurrency: options.concurrency,
    enrolment: machine => ({ ...nodeOf(machine, boot), automated_clean: false }),
    instanceInfo: instanceInfoOf(image),
    signal,
    onProgress: (phase, done, all) => {
      if (phase === 'deploy') ended = done
      if (phase === 'deploy' && done % Math.ceil(all / 10) === 0) say(`${done} of ${all}, ${conductors.kills} kills`)
    },
  })
  for (const phase of ['enrol', 'manage', 'clean'] as const) must(await campaign.run(phase))

  const end = new AbortController()
  const killing =
    'everyMs' in options.kill
      ? conductors.killAtRandom(new Chance(seed).fork('kills'), options.kill.everyMs, end.signal).then(() => null)
      : killHolding(conductors, { database, flows: options.kill.holding, say, signal: end.signal })
  const deploysBegan = performance.now()
  const deploy = await campaign.run('deploy').catch(error => {
    if (!signal.aborted) throw error
    return cutOff({ ended, seconds: (performance.now() - deploysBegan) / 1000, retries })
  })
  end.abort()
  const takeover = await killing
  if (!signal.aborted) await instancesRun(fleet.machines)
  const world = { campaign, fleet, database, of, digest: `sha256:${image.sha256}` }
  // Whoever cut it off may have ended the conductors, too.
  const unknown = (error: unknown) => [`what became of the nodes cannot be told: ${messageOf(error)}`]
  lost = [
    ...deploy.failures.map(text => `not active: ${text}`),
    ...(await differences({ api: clientOf(conductors.api.url, () => {}), ...world }).catch(unknown)),
  ]
  return {
    deploy,
    kills: conductors.kills,
    takeover,
    failedStarts: conductors.failedStarts,
    seconds: (performance.now() - began) / 1000,
    machines: { ...fleet.counters },
    bootsAgain: [...(await bootsAgain(database)).values()].reduce((sum, count) => sum + count, 0),
    bugs: await bugsOf(conductors),
    lost,
  }
}

async function databaseOf(options: ChaosOptions, directory: string, opened: AsyncDisposableStack): Promise<string> {
  if (options.engine === 'sqlite') return `sqlite:///${join(directory, 'ferrite.sqlite')}`
  const server = await startPostgres()
  opened.defer(() => server.stop())
  return await server.create(`chaos_${options.seed}`)
}

function settingsOf({ seed, failures, bootFailures, kill }: ChaosOptions): Settings {
  // Long enough that hundreds are in the middle of it at a time.
  const write: [number, number] = 'holding' in kill ? [30_000, 40_000] : [500, 2000]
  return {
    ...brisk,
    seed,
    delayMs: { ...brisk.delayMs, step: [50, 200], write },
    rate: {
      ...brisk.rate,
      bmcBusy: failures / 2,
      bmcSilent: failures / 2,
      heartbeatLost: failures,
      agentSilent: failures,
      bootHangs: bootFailures,
    },
    agent: { ...brisk.agent, sharedCertificate: true },
  }
}

/** @param signal ends its patience with a service that is away; without one it has little */
function clientOf(endpoint: string, onRetry: () => void, signal?: AbortSignal): Api {
  return new Api({
    endpoint,
    version: 'latest',
    headers: {},
    tls: {},
    timeoutMs: 60_000,
    maxRetries: signal ? 240 : 20,
    retryIntervalMs: 500,
    sleep: ms => {
      onRetry()
      return sleep(ms, undefined, signal && { signal })
    },
    notice() {},
  })
}

/** What is known of deployments that were cut off. */
function cutOff({ ended, seconds, retries }: { ended: number; seconds: number; retries: number }) {
  return {
    count: ended,
    seconds: Math.round(seconds),
    per_hour: Math.round((ended / seconds) * 3600),
    p50_ms: null,
    p99_ms: null,
    retries,
    failures: [`the run was cut off after ${Math.round(seconds)} s, when ${ended} had ended`],
  }
}

function must(result: PhaseResult): void {
  if (result.failed > 0) throw new Error(`${result.phase} failed before anything was killed: ${result.failures[0]}`)
}

async function instancesRun(machines: readonly SimMachine[]): Promise<void> {
  for (let left = 300; left > 0 && machines.some(machine => machine.running !== 'instance'); left--) await sleep(100)
}

/** What is not as if nothing had been. */
async function differences(world: {
  api: Api
  campaign: Campaign
  fleet: Fleet
  database: string
  of(machine: SimMachine): Seen
  digest: string
}): Promise<string[]> {
  const { api, campaign, fleet, of, digest } = world
  const found: string[] = []
  const again = await bootsAgain(world.database)
  const nodes = await api.list('/v1/nodes/detail', 'nodes', { query: {}, limit: 0 })
  const byUuid = new Map(nodes.map(node => [String(node.uuid), node]))
  for (const machine of fleet.machines) {
    const uuid = campaign.uuidOf(machine) ?? ''
    const node = byUuid.get(uuid)
    const says = (what: string) => found.push(`${machine.name} (${uuid}): ${what}`)
    const shown = [node?.provision_state, node?.target_provision_state, node?.power_state, node?.reservation]
    if (JSON.stringify(shown) !== JSON.stringify(['active', null, 'power on', null]))
      says(`is ${JSON.stringify(shown)}`)
    if (node?.last_error) says(`last_error ${node.last_error}`)
    if (machine.running !== 'instance') says(`runs its ${machine.running}`)
    if (machine.disk?.digest !== digest) says(`holds ${machine.disk?.digest}`)
    const { writes, hangs } = of(machine)
    if (writes !== 1) says(`was written ${writes} times`)
    // One for the ramdisk, one for the instance, one more for each boot that the service began again.
    const repeated = again.get(uuid) ?? 0
    if (machine.hardware.powerOns !== 2 + repeated) {
      says(`was powered on ${machine.hardware.powerOns} times, with ${repeated} boots begun again and ${hangs} hung`)
    }
  }
  return [...found, ...(await leftOvers(world.database))]
}

/** Boots that were begun again, by node. */
async function bootsAgain(database: string): Promise<Map<string, number>> {
  const db = await openDatabase(database)
  try {
    const rows = await db.selectFrom('events').select('node_uuid').where('kind', '=', 'boot again').execute()
    return new Map([...Map.groupBy(rows, row => row.node_uuid ?? '')].map(([uuid, all]) => [uuid, all.length]))
  } finally {
    await db.destroy()
  }
}

/** Leases that are held and flows that have not ended. */
async function leftOvers(database: string): Promise<string[]> {
  const db = await openDatabase(database)
  try {
    const leases = await db
      .selectFrom('nodes')
      .select(['uuid', 'lease_purpose'])
      .where('lease_holder', 'is not', null)
      .execute()
    const flows = await db
      .selectFrom('flows')
      .select(['node_uuid', 'kind', 'state'])
      .where('state', 'in', ['ready', 'running', 'waiting'])
      .execute()
    return [
      ...leases.map(lease => `node ${lease.uuid} is still held for ${lease.lease_purpose}`),
      ...flows.map(flow => `node ${flow.node_uuid} still has ${flow.kind} ${flow.state}`),
    ]
  } finally {
    await db.destroy()
  }
}

async function bugsOf(conductors: Conductors): Promise<string[]> {
  const texts = await Promise.all(conductors.all.map(service => readFile(service.logFile, 'utf8')))
  const lines = texts.flatMap(text => text.split('\n'))
  return lines.filter(line => line.includes('"level":"error"') || (line !== '' && !line.startsWith('{')))
}
