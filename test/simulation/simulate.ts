/**
 * One simulation, whole: a few machines, conductors and operators under one seed. First everything goes wrong now and
 * then, later nothing does any more; in the end every node must be where it was asked to be. The same seed, the same
 * story.
 */

import { addNode } from '#conductor/test-engine.ts'
import { loadConfig } from '#config/load.ts'
import type { Config } from '#config/options.ts'
import { insertPort } from '#db/ports.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { portFields } from '#protocol/port.ts'
import { Chance, type Range } from '#sim/chance.ts'
import { type MachineEvent, SimMachine } from '#sim/machine.ts'
import { RamdiskApi } from '#sim/ramdisk-api.ts'
import { type Settings, usual as usualSettings } from '#sim/settings.ts'
import { answer } from './api.ts'
import { Switchboard } from './channel.ts'
import { registryFor, type Site } from './drivers.ts'
import { type Faults, Luck, usual } from './faults.ts'
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
  /** How often each fault struck. */
  struck: Faults
  /** Flows that ran, and those of them that failed or were aborted. */
  flows: number
  failedFlows: number
}

const startMs = Date.UTC(2026, 0, 1)
const minuteMs = 60_000
/** Things go wrong until all nodes are where they were asked to be, but no longer than this. */
const faultyMs = 10 * minuteMs
/** What still ends by itself at the end gets this time. */
const settleMs = 5 * minuteMs
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
      // Files would outlive the story.
      agent: { require_tls: false, deploy_logs_collect: 'never' },
      conductor: {
        automated_clean: true,
        sync_power_state_interval: 60,
      },
      deploy: { http_root: '/nonexistent/ferrite-simulation' },
      ferrite: { api_url: apiUrl, poll_interval_ms: 5_000 },
    },
  })
  return { config, store: new Store() }
}

/** @param tell gets every line of the story, with the time */
export async function simulate(
  seed: number,
  { config: common, store }: Workshop,
  tell?: (line: string) => void,
): Promise<Result> {
  store.clear()
  const chance = new Chance(seed)
  const time = new SimTime(startMs)
  const note = (text: string) => tell?.(`${timestamp(time.now()).slice(11, 23)} ${text}`)
  const luck = new Luck(faultsOf(chance.fork('faults')))
  // Some fleets are slow, as real ones are, and some so quick that nothing waits for the machines.
  const pace = 10 ** -chance.fork('pace').within([0.1, 1.3])
  const settings = settingsOf(seed, luck.rates, pace)
  const config = configFor(common, pace, chance.fork('places'))

  /** Bugs, which end the simulation. */
  const failures: string[] = []
  const onBug = (error: unknown) => failures.push(`a bug: ${stackOf(error)}`)
  const scripts: Scripts = new Map()
  const doors = new InsideDoors()
  const network = new InsideNetwork(scripts, call => {
    const options = { time, chance: netChance, luck, kind: 'apiCut' as const }
    return unreliably(() => atSomeConductor(process => answer(process, config, call, onBug)), options)
  })
  const netChance = chance.fork('network')
  const machines = new Map<string, SimMachine>()
  const oracle = new Oracle(store, time, uuid => machineOf(uuid).disk?.id ?? null)
  const machineOf = (uuid: string) => {
    const machine = machines.get(uuid)
    if (!machine) throw new Error(`no machine has node ${uuid}`)
    return machine
  }
  const site: Site = {
    time,
    chance: chance.fork('bmc'),
    luck,
    scripts,
    machineOf,
    onRequest: (process, uuid, flowId, what) => oracle.request(process, uuid, flowId, what),
    onChange(process, uuid, what) {
      note(`${process.hostname} asks machine ${uuid.slice(-1)} for "${what}"`)
      oracle.change(process.hostname, uuid, what)
    },
  }

  const hosts: Host[] = []
  const switchboard = new Switchboard(hosts, { time, chance: chance.fork('channel') })
  const world: HostWorld = {
    store,
    time,
    config,
    luck,
    note,
    log: logTo(note, onBug),
    registry: process => registryFor(config, site, process),
    exchange: process => ({
      async send({ signal }: NodeContext, url: URL, method: string, body: unknown) {
        signal.throwIfAborted()
        const how = { time, chance: netChance, luck, kind: 'agentCut' as const }
        return process.act(() => unreliably(() => doors.send(url, method, body), how))
      },
    }),
    channel: (process, host) => (hosts.length > 1 ? switchboard.channelOf(process, host) : undefined),
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
      if (event.kind === 'note' && event.text === 'the network boot hangs') luck.struck.bootHangs += 1
      if (event.kind === 'note' && event.text === 'the machine hangs') luck.struck.machineDies += 1
    },
  }

  // Most stories are short: a thousand short ones meet more than a hundred long ones.
  const count = 1 + Math.floor(2.5 * chance.next() ** 1.5)
  for (let index = 0; index < count; index++) {
    const facts = factsOf(`machine-${index + 1}`, index)
    const machine = new SimMachine(facts.name, facts, machineWorld, chance.fork(facts.name))
    const uuid = facts.uuid
    const db = store.connect({ isOpen: true, writer: undefined, before: async () => {}, after: async () => {} })
    await addNode(db, 'enroll', { uuid, driver: 'simulated', instance_info: {} })
    machines.set(uuid, machine)
    const created_at = timestamp(startMs)
    const port = { uuid: uuid.replace(/^0/, '1'), node_uuid: uuid, address: facts.nics[0]?.mac ?? '', created_at }
    await insertPort(db, { ...portDefaults, ...port } as unknown as Parameters<typeof insertPort>[1]) // all columns
  }

  let unfinished = count
  const goals = goalsOf(chance.fork('goals'))
  for (const host of hosts) {
    void host.start()
    void host.disturb()
  }
  for (const uuid of machines.keys()) {
    const operatorChance = chance.fork(`operator ${uuid}`)
    const mood = { aborts: () => (luck.isOver ? 0 : 0.015), unlocks: () => (luck.isOver ? 0 : 0.01) }
    operate(uuid, goals, { time, chance: operatorChance, anyProcess, note, mood, pace })
      .catch(error => failures.push(messageOf(error)))
      .finally(() => {
        unfinished -= 1
      })
  }
  void disturb(machines.values(), { time, chance: chance.fork('machines'), luck })
  const calm = () => {
    luck.isOver = true
    Object.assign(settings.rate, noneOf)
  }
  void time.sleep(faultyMs).then(calm)
  await time.run(startMs + faultyMs + patienceMs, () => failures.length > 0 || unfinished === 0)
  calm()
  let lookMs = time.now()
  await time.run(time.now() + settleMs, () => {
    if (time.now() < lookMs) return false
    lookMs = time.now() + 1000
    return oracle.isQuiet()
  })
  const hours = (time.now() - startMs) / 3_600_000
  time.end()
  if (unfinished > 0) oracle.broken(`${unfinished} of ${count} nodes did not get to their goal: ${stateOf(store)}`)
  oracle.conclude()
  luck.struck.stepFails = Number(
    store.row("SELECT count(*) AS failed FROM flows WHERE error LIKE '%Simulated failure%'")?.failed,
  )
  return { seed, violations: [...failures, ...oracle.violations], hours, struck: luck.struck, ...flowsIn(store) }
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

/** Patience that suits the pace; now and then so few places that work queues for them. */
function configFor({ conductor, ferrite, ...rest }: Config, pace: number, chance: Chance): Config {
  const places = chance.happens(0.3) ? { max_concurrent_deploy: 1, max_concurrent_clean: 1 } : {}
  const callbackS = Math.round(60 + 240 * pace)
  const callback = { deploy_callback_timeout: callbackS, clean_callback_timeout: callbackS }
  const patience = { boot_stall_timeout: Math.round(20 + 60 * pace), agent_lost_timeout: Math.round(15 + 45 * pace) }
  return { ...rest, conductor: { ...conductor, ...callback, ...places }, ferrite: { ...ferrite, ...patience } }
}

/** @param pace 1: machines as slow as real ones; less: as much quicker */
function settingsOf(seed: number, { bootHangs, stepFails, machineDies }: Faults, pace: number): Settings {
  const times = (fromMs: number, toMs: number): Range => [fromMs * pace, toMs * pace]
  return {
    ...usualSettings,
    seed,
    delayMs: {
      bmcAnswer: [0, 0],
      powerOn: times(1_000, 8_000),
      powerOff: times(1_000, 5_000),
      firmware: times(5_000, 20_000),
      ramdisk: times(5_000, 20_000),
      instance: times(5_000, 20_000),
      step: times(1_000, 10_000),
      // Longer than any request is under way: one that comes late finds the agent busy.
      write: [Math.max(1_000, 10_000 * pace), 60_000 * pace],
    },
    rate: { ...noneOf, bootHangs, stepFails, agentDies: machineDies },
    agent: { ...usualSettings.agent, tls: false, fetchesImages: false },
  }
}

function goalsOf(chance: Chance): Goal[] {
  const all: Goal[] = ['manageable', 'available', 'active', 'active', 'available', 'active', 'available']
  return all.slice(0, 2 + Math.floor(chance.next() ** 1.5 * (all.length - 1)))
}

/** Machines start anew by themselves, now and then. */
async function disturb(
  machines: Iterable<SimMachine>,
  { time, chance, luck }: { time: SimTime; chance: Chance; luck: Luck },
): Promise<void> {
  const all = [...machines]
  for (;;) {
    await time.sleep(minuteMs)
    for (const machine of all)
      if (luck.strikes('machineDies', chance) && machine.running !== 'off') machine.hardware.restart()
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
  const row = store.row("SELECT count(*) AS flows, sum(state <> 'done') AS failed FROM flows")
  return { flows: Number(row?.flows), failedFlows: Number(row?.failed) }
}

function stateOf(store: Store): string {
  const rows = store.rows('SELECT uuid, provision_state, target_provision_state, last_error FROM nodes')
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
