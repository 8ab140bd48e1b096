/**
 * How long one look at the power of a whole fleet takes, and what it costs: the conductor's watch with its database and
 * its pace, the ipmi driver over its one socket, and as many simulated BMCs as wished, in a process of their own, each a
 * port of 127.0.0.1 that takes its time for every answer. The first sweep opens all sessions, the second comes
 * right afterwards and finds those open that were not idle for too long. Ends with status 1 when a sweep takes longer than a minute or a BMC was not read.
 *
 *   node bench/ipmi-sweep.ts [--bmcs 5000] [--delay-ms 200] [--workers 192] [--suite 3]
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { loadConfig } from '#config/load.ts'
import { type Db, openDatabase } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { startFakeBmc } from '#lab/ipmi/fake-bmc.ts'
import { type Clock, systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { Shared } from '../src/conductor/shared.ts'
import { addNode } from '../src/conductor/test-engine.ts'
import { Watch } from '../src/conductor/watch.ts'

const { values } = parseArgs({
  options: {
    bmcs: { type: 'string', default: '5000' },
    'delay-ms': { type: 'string', default: '200' },
    workers: { type: 'string', default: '192' },
    suite: { type: 'string' },
  },
})
const bmcs = Number(values.bmcs)
const goalMs = 60_000
const user = { name: 'admin', password: 'of all simulated ones', privilege: 'ADMINISTRATOR' } as const
const account = { ...user, password: user.password.slice(0, 20) }

if (process.send) await beBmcs()
else process.exitCode = (await sweep()) ? 0 : 1

/** The other process: opens the ports, tells them, and serves until it is told to end. */
async function beBmcs(): Promise<void> {
  const fleet = await Promise.all(
    Array.from({ length: bmcs }, async (_, index) => {
      const one = await startFakeBmc({ users: [account] }, { delayMs: Number(values['delay-ms']) })
      if (index % 2 === 0) one.hardware.reset('On')
      return one
    }),
  )
  process.send?.(fleet.map(one => one.port.port))
  process.on('message', () => process.exit(0))
}

async function sweep(): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-bench-'))
  const child = fork(import.meta.filename, process.argv.slice(2), { execArgv: process.execArgv })
  const shared = new Shared()
  const db = await openDatabase(join(directory, 'ferrite.sqlite'))
  try {
    const ports = await portsOf(child)
    const workers = Number(values.workers)
    const config = await loadConfig({ overrides: { conductor: { sync_power_state_workers: workers } } })
    const registry = await loadRegistry(config)
    await addNodes(db, ports)
    console.log(`${bmcs} BMCs, ${values['delay-ms']} ms for each answer, ${workers} asked at a time`)

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
    let isGood = await measure('sessions are opened', db, () => void watch.run(stop.signal))
    await db.updateTable('nodes').set({ power_state: null }).execute()
    const again = () => {
      aheadMs += intervalMs
    }
    isGood = (await measure('right afterwards', db, again)) && isGood
    stop.abort()
    await watch.settled()
    return isGood
  } finally {
    await shared.dispose()
    await db.destroy()
    if (child.connected) child.send('end')
    await rm(directory, { recursive: true, force: true })
  }
}

/** Waits until every node's power is known, and prints what it took. */
async function measure(name: string, db: Db, begin: () => void): Promise<boolean> {
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

async function addNodes(db: Db, ports: readonly number[]): Promise<void> {
  for (const ipmi_port of ports) {
    const { name: ipmi_username, password: ipmi_password } = account
    const suite = values.suite === undefined ? {} : { ipmi_cipher_suite: values.suite }
    const driver_info = { ipmi_address: '127.0.0.1', ipmi_port, ipmi_username, ipmi_password, ...suite }
    await addNode(db, 'active', { driver: 'ipmi', driver_info })
  }
}

function portsOf(child: ChildProcess): Promise<number[]> {
  return new Promise((resolve, reject) => {
    child.once('message', ports => resolve(ports as number[])) // the one message that it sends
    child.once('exit', code => reject(new Error(`the simulated BMCs ended with ${code}`)))
  })
}
