/**
 * One simulation, whole: a few machines, conductors and operators under one seed. First everything goes wrong now and
 * then, later nothing does any more; in the end every node must be where it was asked to be. The same seed, the same
 * story.
 */

import { addNode } from '#conductor/test-engine.ts'
import { loadConfig } from '#config/load.ts'
import type { Config } from '#config/options.ts'
import { insertPort } from '#db/ports.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { portFields } from '#protocol/port.ts'
import { Chance } from '#sim/chance.ts'
import { type MachineEvent, SimMachine } from '#sim/machine.ts'
import { RamdiskApi } from '#sim/ramdisk-api.ts'
import { type Settings, usual as usualSettings } from '#sim/settings.ts'
import { answer } from './api.ts'
import { registryFor, type Site } from './drivers.ts'
import { type Faults, none, usual } from './faults.ts'
import { Host, type HostWorld, type Process } from './host.ts'
import { apiUrl, bootUrl, factsOf, InsideDoors, InsideNetwork, noRack, type Scripts, unreliably } from './machines.ts'
import { type Goal, operate } from './operator.ts'
import { Oracle } from './oracle.ts'
import { Store } from './store.ts'
import { SimTime } from './time.ts'

export interface Result {
  seed: number
  /** Empty when all went as it must. */
  violations: string[]
  /** Hours that passed in the simulation. */
  hours: number
  /** Of conductors. */
  deaths: number
  /** Flows that ran, and those of them that failed or were aborted. */
  flows: number
  failedFlows: number
}

const startMs = Date.UTC(2026, 0, 1)
const minuteMs = 60_000
const faultyMs = 10 * minuteMs
/** Enough for every time-out of every flow to pass once more. */
const patienceMs = 4 * 60 * minuteMs

/** What many simulations share: nothing of it knows a seed. */
export interface Workshop {
  config: Config
  store: Store
}

export async function openWorkshop(): Promise<Workshop> {
  const config = await loadConfig({
    overrides: {
      DEFAULT: {
        enabled_hardware_types: ['simulated'],
        enabled_boot_interfaces: ['simulated'],
        enabled_deploy_interfaces: ['simulated'],
        enabled_management_interfaces: ['simulated'],
        enabled_power_interfaces: ['simulated'],
      },
      agent: { require_tls: false },
      conductor: {
        automated_clean: true,
        clean_callback_timeout: 900,
        deploy_callback_timeout: 900,
        sync_power_state_interval: 60,
      },
      deploy: { http_root: '/nonexistent/ferrite-simulation' },
      ferrite: { api_url: apiUrl, boot_stall_timeout: 120, poll_interval_ms: 5_000 },
    },
  })
  return { config, store: new Store() }
}

/** @param tell gets every line of the story, with the time */
export async function simulate(
  seed: number,
  { config, store }: Workshop,
  tell?: (line: string) => void,
): Promise<Result> {
  store.clear()
  const chance = new Chance(seed)
  const time = new SimTime(startMs)
  let deaths = 0
  const note = (text: string) => tell?.(`${timestamp(time.now()).slice(11, 23)} ${text}`)
  const oracle = new Oracle(store, uuid => machineOf(uuid).disk !== null)
  const some = faultsOf(chance.fork('faults'))
  const settings = settingsOf(seed, some)
  const isFaulty = () => time.now() < startMs + faultyMs
  const faults = () => (isFaulty() ? some : none)

  /** Bugs, which end the simulation. */
  const failures: string[] = []
  const onBug = (error: unknown) => failures.push(`a bug: ${stackOf(error)}`)
  const scripts: Scripts = new Map()
  const doors = new InsideDoors()
  const network = new InsideNetwork(scripts, call => {
    const options = { time, chance: netChance, rate: faults().apiCut, doubles: true }
    return unreliably(() => atSomeConductor(process => answer(process, config, call, onBug)), options)
  })
  const netChance = chance.fork('network')
  const machines = new Map<string, SimMachine>()
  const machineOf = (uuid: string) => {
    const machine = machines.get(uuid)
    if (!machine) throw new Error(`no machine has node ${uuid}`)
    return machine
  }
  const site: Site = {
    time,
    chance: chance.fork('bmc'),
    faults,
    scripts,
    machineOf,
    onChange(process, uuid, what) {
      note(`${process.hostname} asks machine ${uuid.slice(-1)} for "${what}"`)
      oracle.change(process.hostname, uuid, what)
    },
  }

  const hosts: Host[] = []
  const world: HostWorld = {
    store,
    time,
    config,
    faults,
    note,
    onDeath: () => {
      deaths += 1
    },
    log: logTo(note, onBug),
    registry: process => registryFor(config, site, process),
    exchange: process => ({
      send: (_ctx: unknown, url: URL, method: string, body: unknown) =>
        process.act(() =>
          unreliably(() => doors.send(url, method, body), { time, chance: netChance, rate: faults().agentCut }),
        ),
    }),
  }
  for (let index = 0; index < (chance.happens(0.5) ? 2 : 1); index++) {
    hosts.push(new Host(`conductor-${index + 1}`, world, chance.fork(`host ${index}`)))
  }

  async function atSomeConductor<T>(work: (process: Process) => Promise<T>): Promise<T> {
    const up = hosts.flatMap(host => (host.standstill ? [] : (host.process ?? [])))
    const process = up[Math.floor(netChance.next() * up.length)]
    if (!process) throw new Error('connection refused')
    return Promise.race([work(process), process.died])
  }
  const anyProcess = () => hosts.find(host => !host.standstill && host.process)?.process

  const machineWorld = {
    settings,
    clock: time,
    network,
    api: new RamdiskApi(network),
    doors,
    address: 'agent',
    certificate: null,
    rack: noRack,
    boot: { kind: 'scripts' as const, url: () => bootUrl },
    onEvent(machine: SimMachine, event: MachineEvent) {
      const uuid = [...machines].find(([, one]) => one === machine)?.[0] ?? ''
      if (event.kind !== 'heartbeat') note(`machine ${uuid.slice(-1)}: ${describe(event)}`)
      if (event.kind === 'step') oracle.stepBegins(uuid, event.step)
      if (event.kind === 'running') oracle.bootEnds(uuid)
    },
  }

  const count = 1 + Math.floor(chance.next() * 3)
  for (let index = 0; index < count; index++) {
    const facts = factsOf(`machine-${index + 1}`, index)
    const machine = new SimMachine(facts.name, facts, machineWorld, chance.fork(facts.name))
    const uuid = facts.uuid
    const db = store.connect({ isOpen: true, before: async () => {}, after: async () => {} })
    await addNode(db, 'enroll', { uuid, driver: 'simulated', instance_info: { image_source: `image-${index}` } })
    machines.set(uuid, machine)
    const created_at = timestamp(startMs)
    const port = { uuid: uuid.replace(/^0/, '1'), node_uuid: uuid, address: facts.nics[0]?.mac ?? '', created_at }
    await insertPort(db, { ...portDefaults, ...port } as unknown as Parameters<typeof insertPort>[1]) // all columns
  }

  let unfinished = count
  const goals = goalsOf(chance.fork('goals'))
  for (const host of hosts) {
    void host.start()
    void host.disturb(() => !isFaulty())
  }
  for (const uuid of machines.keys()) {
    const operatorChance = chance.fork(`operator ${uuid}`)
    const abortRate = () => (isFaulty() ? 0.01 : 0)
    operate(uuid, goals, { time, chance: operatorChance, anyProcess, note, abortRate })
      .catch(error => failures.push(messageOf(error)))
      .finally(() => {
        unfinished -= 1
      })
  }
  void disturb(machines.values(), { time, chance: chance.fork('machines'), rate: () => faults().machineDies })
  void time.sleep(faultyMs).then(() => Object.assign(settings.rate, noneOf))

  await time.run(startMs + faultyMs + patienceMs, () => failures.length > 0 || (unfinished === 0 && !isFaulty()))
  const hours = (time.now() - startMs) / 3_600_000
  // What still ends by itself (a lease that runs out, a look under way) gets its time.
  await time.run(time.now() + 5 * minuteMs, () => false)
  if (unfinished > 0)
    oracle.violations.push(`${unfinished} of ${count} nodes did not get to their goal: ${stateOf(store)}`)
  oracle.conclude()
  return { seed, violations: [...failures, ...oracle.violations], hours, deaths, ...flowsIn(store) }
}

/** Each simulation has its own mix: some faults often, some never. */
function faultsOf(chance: Chance): Faults {
  const mixed = Object.entries(usual).map(([name, rate]) => [
    name,
    chance.happens(0.3) ? 0 : rate * chance.within([0.2, 3]),
  ])
  return Object.fromEntries(mixed) as unknown as Faults // the keys of one
}

const noneOf: Settings['rate'] = {
  bmcBusy: 0,
  bmcSilent: 0,
  bootHangs: 0,
  stepFails: 0,
  agentDies: 0,
  heartbeatLost: 0,
  agentSilent: 0,
}

/** Machines as slow as real ones: time costs nothing here. */
function settingsOf(seed: number, { bootHangs, stepFails, machineDies }: Faults): Settings {
  return {
    ...usualSettings,
    seed,
    delayMs: {
      bmcAnswer: [0, 0],
      powerOn: [1_000, 8_000],
      powerOff: [1_000, 5_000],
      firmware: [5_000, 20_000],
      ramdisk: [5_000, 20_000],
      instance: [5_000, 20_000],
      step: [1_000, 10_000],
      write: [10_000, 60_000],
    },
    rate: { ...noneOf, bootHangs, stepFails, agentDies: machineDies },
    agent: { ...usualSettings.agent, tls: false, fetchesImages: false },
  }
}

function goalsOf(chance: Chance): Goal[] {
  const all: Goal[] = ['manageable', 'available', 'active', 'active', 'available', 'active', 'available']
  return all.slice(0, 2 + Math.floor(chance.next() * (all.length - 1)))
}

/** Machines start anew by themselves, now and then. */
async function disturb(
  machines: Iterable<SimMachine>,
  { time, chance, rate }: { time: SimTime; chance: Chance; rate: () => number },
): Promise<void> {
  const all = [...machines]
  for (;;) {
    await time.sleep(minuteMs)
    for (const machine of all) if (chance.happens(rate()) && machine.running !== 'off') machine.hardware.restart()
  }
}

const portDefaults = Object.fromEntries(
  Object.entries(portFields)
    .filter(([, field]) => 'column' in field)
    .map(([name, field]) => [name, 'initial' in field ? field.initial : null]),
)

function describe(event: MachineEvent): string {
  if (event.kind === 'power') return event.on ? 'power is on' : 'power is off'
  if (event.kind === 'running') return `runs ${event.what}`
  if (event.kind === 'step') return `begins ${event.step}`
  return event.kind === 'note' ? event.text : event.kind
}

function flowsIn(store: Store): { flows: number; failedFlows: number } {
  const row = store.sqlite.prepare("SELECT count(*) AS flows, sum(state <> 'done') AS failed FROM flows").get()
  return { flows: Number(row?.flows), failedFlows: Number(row?.failed) }
}

function stateOf(store: Store): string {
  const rows = store.sqlite.prepare('SELECT uuid, provision_state, target_provision_state, last_error FROM nodes').all()
  const text = (row: Record<string, unknown>) =>
    `${String(row.uuid).slice(-1)} is ${row.provision_state} (target ${row.target_provision_state}; ${row.last_error})`
  return rows.map(text).join('; ')
}

/** @param onBug told of every error that is no fault */
function logTo(note: (text: string) => void, onBug: (error: unknown) => void): Log {
  const line = (level: string) => (data: object, message: string) => {
    const { err, ...rest } = data as { err?: unknown }
    if (level === 'error' && err !== undefined && !(err instanceof Fault)) onBug(err)
    note(`${level}: ${message} ${JSON.stringify(rest)}${err === undefined ? '' : `\n${stackOf(err)}`}`)
  }
  const log: Log = { debug() {}, info: line('info'), warn: line('warn'), error: line('error'), child: () => log }
  return log
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
