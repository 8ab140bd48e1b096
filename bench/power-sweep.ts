/**
 * One look at the power of a whole fleet, as the conductor takes it: its watch with database and pace, over the drivers, and
 * simulated BMCs in a process of their own. What the benches of the protocols have in common; each is a file beside this
 * one that says what its BMCs and nodes are.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig, type Overrides } from '#config/load.ts'
import { type Db, openDatabase } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { type Clock, systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { Shared } from '../src/conductor/shared.ts'
import { addNode } from '../src/conductor/test-engine.ts'
import { Watch } from '../src/conductor/watch.ts'

const goalMs = 60_000

export interface Sweep {
  /** The bench itself: it is started once more, and serves BMCs where it has a parent. */
  file: string
  bmcs: number
  /** Questions at a time. */
  workers: number
  config?: Overrides
  /** Fields of the node behind this port. */
  node(port: number): object
  /** What the second sweep shows, and how long after the first one it comes. */
  second: { name: string; afterMs: number }
}

/** Sweeps twice and prints what it took: false when a sweep takes longer than a minute, or a BMC was not read. */
export async function sweepTwice({ file, bmcs, workers, config: own = {}, node, second }: Sweep): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-bench-'))
  const child = fork(file, process.argv.slice(2), { execArgv: process.execArgv })
  const shared = new Shared()
  const db = await openDatabase(join(directory, 'ferrite.sqlite'))
  try {
    const ports = await portsOf(child)
    const overrides = { ...own, conductor: { ...own.conductor, sync_power_state_workers: workers } }
    const config = await loadConfig({ overrides })
    const registry = await loadRegistry(config)
    for (const port of ports) await addNode(db, 'active', node(port))

    let aheadMs = 0
    const clock: Clock = {
      now: () => Date.now() + aheadMs,
      // The watch looks often whether something is due: what is measured is the work, not the wait for it.
      sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal),
    }
    const context = async (node: Node, signal: AbortSignal): Promise<NodeContext> => ({
      node,
      ports: [],
      interfaces: registry.interfaces(node),
      agent: null,
      config,
      log: silent,
      clock,
      signal,
      volumes: async () => ({ targets: [], connectors: [] }),
      portsChanged: async () => {},
      shared: shared.get,
    })
    const setPower = async () => {
      throw new Error('nothing is to be switched here')
    }
    const watch = new Watch({ db, config, clock, log: silent, hostname: 'bench', context, setPower })
    const stop = new AbortController()
    // All are put on the list; a whole interval later all are due.
    await watch.turn(stop.signal)
    const intervalMs = config.conductor.sync_power_state_interval * 1000
    aheadMs += intervalMs + 1000
    let isGood = await measure({ name: 'sessions are opened', db, bmcs }, () => void watch.run(stop.signal))
    await sleep(second.afterMs)
    await db.updateTable('nodes').set({ power_state: null }).execute()
    const again = () => {
      aheadMs += intervalMs
    }
    isGood = (await measure({ name: second.name, db, bmcs }, again)) && isGood
    stop.abort()
    await watch.settled()
    return isGood
  } finally {
    // Before the sessions: closing them all is no part of what is measured.
    if (child.connected) child.send('end')
    await shared.dispose()
    await db.destroy()
    await rm(directory, { recursive: true, force: true })
  }
}

/** Serves in the other process: tells the ports, and ends when it is told to. */
export async function serveBmcs(ports: readonly number[]): Promise<void> {
  process.send?.(ports)
  process.on('message', () => process.exit(0))
}

/** Waits until every node's power is known, and prints what it took. */
async function measure(of: { name: string; db: Db; bmcs: number }, begin: () => void): Promise<boolean> {
  const { name, db, bmcs } = of
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  begin()
  let left = bmcs
  while (left > 0 && performance.now() - startMs < 10 * goalMs) {
    await sleep(100)
    const row = await db
      .selectFrom('nodes')
      .where('power_state', 'is', null)
      .select(({ fn }) => fn.countAll().as('left'))
      .executeTakeFirstOrThrow()
    left = Number(row.left)
  }
  const seconds = (performance.now() - startMs) / 1000
  const { user: userUs, system: systemUs } = process.cpuUsage(cpuBefore)
  const cpuSeconds = (userUs + systemUs) / 1e6
  const rssMib = process.memoryUsage().rss / 2 ** 20
  const peakMib = process.resourceUsage().maxRSS / 1024
  const figures = [
    `${seconds.toFixed(1)} s`,
    `CPU ${cpuSeconds.toFixed(1)} s (${((cpuSeconds / bmcs) * 1000).toFixed(2)} ms for each)`,
    `memory ${rssMib.toFixed(0)} MiB, at most ${peakMib.toFixed(0)} MiB`,
  ]
  console.log(`${name}: ${figures.join(', ')}${left > 0 ? `; ${left} were not read` : ''}`)
  return left === 0 && seconds * 1000 < goalMs
}

function portsOf(child: ChildProcess): Promise<number[]> {
  return new Promise((resolve, reject) => {
    child.once('message', ports => resolve(ports as number[])) // the one message that it sends
    child.once('exit', code => reject(new Error(`the simulated BMCs ended with ${code}`)))
  })
}
