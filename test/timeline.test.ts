/**
 * The attributed clock over whole deployments: real conductor, flows, steps and agents' protocol, machines that are
 * simulated, and time that passes at once. Each run's seconds have a phase, and after three runs of a model the fourth's
 * end is known.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addNode } from '#conductor/test-engine.ts'
import { findNode } from '#db/nodes.ts'
import { insertPort } from '#db/ports.ts'
import { Sightings } from '#db/sightings.ts'
import { silent } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { portFields } from '#protocol/port.ts'
import type { Verb } from '#protocol/states.ts'
import type { Now, Run } from '#protocol/timeline.ts'
import { Chance } from '#sim/chance.ts'
import { SimMachine } from '#sim/machine.ts'
import type { Call, Download } from '#sim/network.ts'
import { RamdiskApi } from '#sim/ramdisk-api.ts'
import { usual } from '#sim/settings.ts'
import { timelineOf } from '#timeline/timeline.ts'
import { answer } from './simulation/api.ts'
import { registryFor, type Site } from './simulation/drivers.ts'
import { Luck, none } from './simulation/faults.ts'
import { Host, type HostWorld } from './simulation/host.ts'
import { bootUrl, factsOf, InsideDoors, InsideNetwork, noRack, type Scripts } from './simulation/machines.ts'
import { openWorkshop } from './simulation/simulate.ts'
import { SimTime } from './simulation/time.ts'

const startMs = Date.UTC(2026, 0, 1)
const caller = { user: 'alice', project: 'p1', requestId: 'req-1' }
const kernelBytes = 12 * 2 ** 20
/** As real servers take: minutes of firmware, each time a little different. */
const settings = {
  ...usual,
  delayMs: {
    bmcAnswer: [0, 0],
    powerOn: [2_000, 4_000],
    powerOff: [3_000, 5_000],
    firmware: [110_000, 130_000],
    ramdisk: [18_000, 22_000],
    instance: [60_000, 70_000],
    step: [4_000, 6_000],
    write: [80_000, 100_000],
  },
  agent: { ...usual.agent, tls: false, fetchesImages: false },
} satisfies typeof usual

/** One machine and one conductor; `until` lets time pass and looks at the timeline every ten seconds. */
async function world() {
  const { config, store } = await openWorkshop()
  const time = new SimTime(startMs)
  const chance = new Chance(11)
  const scripts: Scripts = new Map()
  const facts = factsOf('machine-1', 0)
  const { uuid } = facts
  const db = store.connect({ isOpen: true, writer: undefined, before: async () => {}, after: async () => {} })
  const sightings = new Sightings({ db, clock: time })
  const bugs: unknown[] = []
  const site: Site = {
    time,
    chance: chance.fork('bmc'),
    luck: new Luck(none),
    scripts,
    machineOf: () => machine,
    onRequest() {},
    onChange() {},
  }
  const doors = new InsideDoors()
  const hostWorld: HostWorld = {
    store,
    time,
    config,
    luck: site.luck,
    log: silent,
    note() {},
    registry: process => registryFor(config, site, process),
    exchange: process => ({
      send: async (_: unknown, url: URL, method: string, body: unknown) =>
        process.act(() => doors.send(url, method, body)),
    }),
    channel: () => undefined,
  }
  const host = new Host('conductor-1', hostWorld, chance.fork('host'))
  /** Tells of hops as the file server does. */
  class SeenNetwork extends InsideNetwork {
    override async call(call: Call) {
      const answered = await super.call(call)
      const { host: name, pathname } = new URL(call.url)
      if (name === 'boot' && pathname !== '/boot.ipxe') await sightings.hop({ nodeUuid: uuid, hop: 'script' })
      return answered
    }

    override async download(call: Omit<Call, 'method' | 'json'>): Promise<Download> {
      const { pathname } = new URL(call.url)
      const hop = pathname === '/kernel' ? 'kernel' : 'ramdisk'
      const seconds = hop === 'kernel' ? 1 : 8
      await time.sleep(seconds * 1000)
      await sightings.hop({ nodeUuid: uuid, hop, data: { bytes: seconds * kernelBytes, seconds } })
      return super.download(call)
    }
  }
  const network = new SeenNetwork(scripts, call => {
    assert.ok(host.process)
    return answer(host.process, config, call, error => bugs.push(error))
  })
  const machine = new SimMachine(
    facts.name,
    facts,
    {
      settings,
      clock: time,
      network,
      api: new RamdiskApi(network),
      doors,
      address: 'agent',
      certificate: null,
      rack: noRack,
      boot: { kind: 'scripts', url: () => bootUrl },
      onEvent() {},
    },
    chance.fork('machine'),
  )
  await addNode(db, 'enroll', { uuid, driver: 'simulated', instance_info: { image_source: 'an image' } })
  const port = { uuid: uuid.replace(/^0/, '1'), node_uuid: uuid, address: facts.nics[0]?.mac, pxe_enabled: true }
  const defaults = Object.entries(portFields).flatMap(([name, field]) =>
    'column' in field ? [[name, 'initial' in field ? field.initial : null]] : [],
  )
  const row = { ...Object.fromEntries(defaults), ...port, created_at: timestamp(startMs) }
  await insertPort(db, row as Parameters<typeof insertPort>[1]) // every column has just been given a value
  void host.start()

  const nodeNow = async () => {
    const node = await findNode(db, uuid)
    assert.ok(node)
    return node
  }
  const runNow = async (): Promise<Run> => {
    const { runs } = await timelineOf({ db, nowMs: time.now() }, await nodeNow(), { limit: 1 })
    assert.ok(runs[0])
    return runs[0]
  }
  return {
    runNow,
    /** Asks for a verb, and follows the run to its end; what was seen of it on the way. */
    async run(verb: Verb): Promise<{ run: Run; seen: { atS: number; now: Now }[] }> {
      await time.run(time.now() + 60_000, () => host.process !== undefined && time.now() > startMs + 5000)
      assert.ok(host.process)
      await host.process.conductor.provision(await nodeNow(), verb, {}, caller)
      const seen: { atS: number; now: Now }[] = []
      for (const beganMs = time.now(); ; ) {
        const lookMs = time.now() + 10_000
        let isThere = false
        void time.sleep(10_000).then(() => {
          isThere = true
        })
        await time.run(lookMs, () => isThere)
        const run = await runNow()
        assert.deepEqual(bugs, [])
        if (run.now === null) return { run, seen }
        seen.push({ atS: (time.now() - beganMs) / 1000, now: run.now })
        assert.ok(time.now() - beganMs < 3_600_000, `${verb} never ends: ${JSON.stringify(run.now)}`)
      }
    },
  }
}

const secondsOf = (run: Run, phase: string) =>
  run.phases.filter(one => one.phase === phase).reduce((sum, { seconds }) => sum + seconds, 0)

test('each second has a phase, and after three runs of a model the end of the fourth is known', async () => {
  const { run: ask } = await world()
  assert.equal((await ask('manage')).run.outcome, 'done')
  assert.equal((await ask('provide')).run.outcome, 'done')

  for (let number = 1; number <= 4; number++) {
    const { run, seen } = await ask(number === 1 ? 'active' : 'rebuild')
    assert.equal(run.outcome, 'done', run.error ?? '')
    assert.equal(run.requested_by, 'alice')
    const sum = run.phases.reduce((all, { seconds }) => all + seconds, 0)
    assert.ok(Math.abs(sum - run.seconds) < 0.1, `phases take ${sum} s of ${run.seconds}`)
    assert.ok(run.unattributed_s < 0.02 * run.seconds, `${run.unattributed_s} s of ${run.seconds} are nobody's`)
    // What the machine is known to have taken.
    const within = (phase: string, from: number, to: number) => {
      const seconds = secondsOf(run, phase)
      assert.ok(seconds >= from && seconds <= to, `${phase} took ${seconds} s: ${JSON.stringify(run.phases)}`)
    }
    within('firmware', 105, 131)
    within('fetch', 8.5, 10)
    within('kernel', 17, 24)
    within('write', 79, 108)
    within('reboot', 5, 30)
    const fetched = run.phases.find(({ phase }) => phase === 'fetch')
    assert.equal(fetched?.bytes, 9 * kernelBytes)
    assert.ok(Math.abs((fetched?.rate_bytes_per_s ?? 0) - kernelBytes) < kernelBytes / 10)
    const errors = seen.map(({ atS, now }) => {
      if (number < 4) return 0
      assert.ok(now.eta_s !== null, 'three runs are known')
      return Math.abs(atS + now.eta_s - run.seconds) / run.seconds
    })
    if (number === 1) assert.ok(seen.every(({ now }) => now.eta_s === null && now.runs_known === 0))
    else assert.equal(seen[0]?.now.runs_known, number - 1)
    assert.ok(Math.max(...errors) < 0.2, `the estimates were off by ${errors.map(error => error.toFixed(2))}`)
    if (number < 4) continue
    assert.ok(run.expected_s !== null && Math.abs(run.expected_s - run.seconds) < 0.2 * run.seconds)
    const writing = seen.find(({ now }) => now.phase === 'write' && (now.phase_fraction ?? 0) > 0)
    assert.ok(writing, 'the write was seen')
    assert.deepEqual(
      writing.now.to_come.map(({ phase }) => phase),
      ['configure', 'bmc', 'reboot'].filter(phase => writing.now.to_come.some(one => one.phase === phase)),
    )
    for (let at = 1; at < seen.length; at++) {
      assert.ok((seen[at]?.now.fraction ?? 0) >= (seen[at - 1]?.now.fraction ?? 0) - 0.05, 'progress goes forward')
    }
    if (process.env.FERRITE_TELL) console.log(run.phases, errors)
  }
})
