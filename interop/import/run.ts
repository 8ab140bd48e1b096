/**
 * `npm run interop:import`: 200 nodes of a real Ironic (Debian's packages) come to Ferrite by `ferrite import ironic`, and
 * go from there to a second real Ironic by `ferrite export ironic`. What `baremetal node show` prints is compared before
 * and after, node by node. Nothing reaches a machine: their BMCs do not exist.
 *
 *     npm run interop:import -- [--nodes 200]
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { Baremetal } from '../clients/baremetal.ts'
import { whyMissing } from '../clients/packages.ts'
import { startService } from '../clients/service.ts'
import { LoopbackPlace } from '../deploy/place.ts'
import { makeFleet } from './fleet.ts'
import { type RealIronic, startRealIronic } from './real-ironic.ts'
import { assertSame, differsAlways, differsInIronic, showAll } from './shown.ts'

const { values } = parseArgs({ options: { nodes: { type: 'string', default: '200' } } })
const nodeCount = Number(values.nodes)
const missing = await whyMissing(['python3-ironic', 'python3-sushy', 'python3-ironicclient'])
if (missing === false) {
  await using place = await LoopbackPlace.open()
  try {
    await move(place)
  } catch (error) {
    const logs = await place.folder('logs')
    for (const name of await readdir(logs)) {
      console.error(`${name}:\n${(await readFile(join(logs, name), 'utf8')).slice(-3000)}`)
    }
    throw error
  }
}
if (missing !== false) console.log(`SKIPPED: ${missing}`)

async function move(place: LoopbackPlace): Promise<void> {
  const [first, second] = [await startRealIronic(place, 'first'), await startRealIronic(place, 'second')]
  const fleet = await timed(`make ${nodeCount} nodes in a real Ironic`, () => makeFleet(first.endpoint, nodeCount))
  const states = Map.groupBy(fleet, ({ state }) => state)
  console.log([...states].map(([state, nodes]) => `  ${nodes.length} ${state}`).join('\n'))
  const names = fleet.map(({ name }) => name)
  const before = await timed('baremetal node show, of the first Ironic', () => showAll(clientOf(first), names))

  await using ferrite = await startService({
    config: {
      // Two services that both look after the machines would correct each other.
      conductor: { sync_power_state_interval: 0 },
      DEFAULT: {
        enabled_hardware_types: 'fake-hardware,redfish',
        enabled_inspect_interfaces: 'fake,no-inspect,redfish,agent',
        enabled_deploy_interfaces: 'fake,direct',
        enabled_boot_interfaces: 'fake,ipxe',
      },
    },
  })
  const secrets = join(await place.folder('secrets'), 'secrets.json')
  await writeFile(secrets, JSON.stringify(Object.fromEntries(fleet.map(({ uuid, secrets: own }) => [uuid, own]))))

  const importing = ['import', 'ironic', '--from', first.endpoint, '--secrets', secrets, '-f', 'json']
  const written = contentOf(first)
  const plan = ferriteRun([...importing, '--plan'], ferrite.endpoint)
  assert.equal(counted(plan, 'node', 'would be moved'), nodeCount)
  const taken = await timed('ferrite import ironic', async () => ferriteRun(importing, ferrite.endpoint))
  assert.equal(counted(taken, 'node', 'moved'), nodeCount, JSON.stringify(taken.filter(row => row.outcome !== 'moved')))
  assert.deepEqual(contentOf(first), written, 'the Ironic that was read is as it was')
  const between = await timed('baremetal node show, of Ferrite', () => showAll(new Baremetal(ferrite), names))
  assertSame(between, before, differsAlways)
  const again = ferriteRun(importing, ferrite.endpoint)
  assert.equal(counted(again, 'node', 'there already'), nodeCount)
  assert.ok(
    again.every(row => row.notes === ''),
    'a second run finds no difference',
  )

  const exporting = ['export', 'ironic', '--to', second.endpoint, '--secrets', secrets, '-f', 'json']
  const given = await timed('ferrite export ironic', async () => ferriteRun(exporting, ferrite.endpoint))
  const reachable = fleet.filter(({ state }) => state !== 'rescue' && state !== 'clean failed')
  assert.equal(
    counted(given, 'node', 'moved'),
    reachable.length,
    JSON.stringify(given.filter(row => row.outcome !== 'moved')),
  )
  const back = await timed('baremetal node show, of the second Ironic', () =>
    showAll(
      clientOf(second),
      reachable.map(({ name }) => name),
    ),
  )
  assertSame(back, before, differsInIronic)
  assert.deepEqual(
    secretsIn(
      second,
      reachable.map(({ uuid }) => uuid),
    ),
    secretsIn(
      first,
      reachable.map(({ uuid }) => uuid),
    ),
  )
  assert.equal(counted(ferriteRun(exporting, ferrite.endpoint), 'node', 'moved'), 0, 'a second run changes nothing')
  console.log(`equal before and after: ${between.size} nodes in Ferrite, ${back.size} in the second Ironic`)
}

function clientOf({ endpoint }: RealIronic): Baremetal {
  return new Baremetal({ endpoint, environment: { OS_AUTH_TYPE: 'none', OS_ENDPOINT: endpoint } })
}

type Row = Readonly<Record<string, string>>

function ferriteRun(args: readonly string[], endpoint: string): Row[] {
  const main = resolve(import.meta.dirname, '../../src/main.ts')
  const { stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, OS_ENDPOINT: endpoint },
    maxBuffer: 2 ** 26,
  })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Row[] // the report is a list
}

function counted(rows: readonly Row[], kind: string, outcome: string): number {
  return rows.filter(row => row.kind === kind && row.outcome === outcome).length
}

/** Every row of every table but those that a running service writes by itself. */
function contentOf({ database }: RealIronic): Record<string, unknown[]> {
  using tables = new DatabaseSync(database, { readOnly: true })
  const names = [
    'nodes',
    'ports',
    'portgroups',
    'volume_targets',
    'volume_connectors',
    'allocations',
    'node_traits',
    'chassis',
  ]
  return Object.fromEntries(names.map(name => [name, tables.prepare(`SELECT * FROM ${name}`).all()]))
}

/** What its API masks. */
function secretsIn({ database }: RealIronic, uuids: readonly string[]): unknown[] {
  using tables = new DatabaseSync(database, { readOnly: true })
  const rows = tables.prepare('SELECT uuid, driver_info FROM nodes ORDER BY uuid').all()
  return rows.filter(row => uuids.includes(String(row.uuid))).map(row => JSON.parse(String(row.driver_info)))
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now()
  const result = await work()
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}`)
  return result
}
