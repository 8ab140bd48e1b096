/** Three processes on one PostgreSQL: one is killed, one is stopped for a while, all are restarted in turn. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../src/db/database.ts'
import type { SimMachine } from '../src/sim/machine.ts'
import { brisk, type Settings } from '../src/sim/settings.ts'
import { openCluster } from './cluster.ts'
import { busiest, takenOver } from './takeover.ts'

type Cluster = Awaited<ReturnType<typeof openCluster>>

/** Long enough that a killed conductor leaves nodes in mid-write. */
const unhurried: Settings = { ...brisk, delayMs: { ...brisk.delayMs, write: [2500, 3500] } }

/** Deploys all machines; returns when each is being written. */
async function deployToTheWrite(cluster: Cluster): Promise<void> {
  const { machines, record } = cluster
  for (const machine of machines) await cluster.chooseImage(machine)
  await Promise.all(machines.map(machine => cluster.ask(machine, 'active')))
  const writing = (machine: SimMachine) => record.steps(machine).includes('deploy.write_image')
  for (const end = performance.now() + 60_000; !machines.every(writing); ) {
    assert.ok(performance.now() < end, 'not every machine came to its write')
    await sleep(50)
  }
}

/** All are active, and each machine saw what one undisturbed deployment does to it. */
async function everythingOnce(cluster: Cluster, before: ReadonlyMap<SimMachine, number>): Promise<void> {
  for (const machine of cluster.machines) {
    const node = await cluster.reached(machine, 'active')
    await cluster.instanceRuns(machine)
    assert.deepEqual([node.reservation, node.last_error, node.power_state], [null, null, 'power on'])
    assert.equal(machine.disk?.digest, `sha256:${cluster.site.image.sha256}`)
    const writes = cluster.record.steps(machine).filter(step => step === 'deploy.write_image')
    assert.equal(writes.length, 1, `${machine.name} was written ${writes.length} times`)
    assert.equal(machine.hardware.powerOns - (before.get(machine) ?? 0), 2)
  }
}

/** What the machines were like before the deployments. */
const powerOnsOf = ({ machines }: Cluster) =>
  new Map(machines.map(machine => [machine, machine.hardware.powerOns] as const))

describe('three conductors on one PostgreSQL', () => {
  test('one is killed with deployments in its hands: the others have them within seconds and finish them', async () => {
    await using cluster = await openCluster({ processes: 3, nodes: 6, settings: unhurried })
    const db = await openDatabase(cluster.site.database)
    await cluster.makeAvailable()
    const before = powerOnsOf(cluster)
    await deployToTheWrite(cluster)
    const victim = (await busiest(db))?.conductor
    assert.ok(victim, 'nobody is at work')
    await cluster.site.process(victim).kill('SIGKILL')
    await takenOver(db, victim)
    await everythingOnce(cluster, before)
    await db.destroy()
  })

  test('one stands still for longer than it may: when it wakes up nothing of it counts any more', async () => {
    await using cluster = await openCluster({
      processes: 3,
      nodes: 6,
      settings: unhurried,
      config: { conductor: { heartbeat_interval: 1, heartbeat_timeout: 3 } },
    })
    const db = await openDatabase(cluster.site.database)
    await cluster.makeAvailable()
    const before = powerOnsOf(cluster)
    await deployToTheWrite(cluster)
    const victim = (await busiest(db))?.conductor
    assert.ok(victim, 'nobody is at work')
    const { pid } = cluster.site.process(victim)
    assert.ok(pid)
    process.kill(pid, 'SIGSTOP')
    await takenOver(db, victim)
    process.kill(pid, 'SIGCONT')
    await everythingOnce(cluster, before)
    await db.destroy()
  })

  test('all are restarted in turn: nothing is lost, and nobody notices', async () => {
    await using cluster = await openCluster({ processes: 3, nodes: 6, settings: unhurried })
    const db = await openDatabase(cluster.site.database)
    await cluster.makeAvailable()
    const before = powerOnsOf(cluster)
    await deployToTheWrite(cluster)
    for (const [index, one] of cluster.site.processes.entries()) {
      await one.kill('SIGTERM')
      await takenOver(db, `host-${index + 1}`)
      await one.resume()
    }
    for (const { logFile } of cluster.site.processes) {
      assert.doesNotMatch(await readFile(logFile, 'utf8'), /a conductor is gone/, 'a farewell is no death')
    }
    await everythingOnce(cluster, before)
    await db.destroy()
  })
})
