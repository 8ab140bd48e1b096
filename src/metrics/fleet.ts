/**
 * Metrics of the whole fleet, from the rows: the same from each process, so that one is to be looked at (`max`), not the
 * sum. One reading serves for some seconds, however many ask.
 */
import type { Config } from '#config/options.ts'
import { type ConductorRow, listConductors } from '#db/conductors.ts'
import type { Db } from '#db/database.ts'
import {
  flowFigures,
  type NodeFigures,
  nodeFigures,
  type QueueFigures,
  queueFigures,
  type SinkFigures,
  sinkFigures,
} from '#db/fleet-figures.ts'
import { listImages } from '#images/listing.ts'
import type { Clock } from '#lib/clock.ts'
import { type Family, labelText, sample } from '#lib/instruments.ts'
import { provision } from '#protocol/states.ts'

/** Few enough that the event loop has nothing else to wait for than a millisecond's work. */
const nodesAtOnce = 250
const freshForMs = 5000

interface World {
  db: Db
  config: Config
  clock: Clock
}

interface Reading {
  nodes: Counts
  queues: QueueFigures[]
  flows: { state: string; flows: number }[]
  sinks: SinkFigures[]
  conductors: ConductorRow[]
  images: { bytes: number; inUse: boolean }[]
}

type Gauge = [
  name: string,
  help: string,
  lines: (reading: Reading) => [labels: Record<string, string>, value: number][],
]

export function fleetFamilies(world: World): Family[] {
  const read = shared(world)
  return gaugesOf(world).map(([name, help, lines]) => ({
    name,
    help,
    type: 'gauge',
    async *samples() {
      for (const [labels, value] of lines(await read())) yield sample(name, labelText(labels), value)
    },
  }))
}

function gaugesOf({ config, clock }: World): Gauge[] {
  const limits: Readonly<Record<string, () => number>> = {
    deploy: () => config.conductor.max_concurrent_deploy,
    clean: () => config.conductor.max_concurrent_clean,
  }
  const kinds = Object.keys(limits)
  const queueOf = ({ queues }: Reading, kind: string) => queues.find(queue => queue.kind === kind)
  return [
    [
      'ferrite_nodes',
      'Nodes by provision state; a state that no node is in is told as 0.',
      ({ nodes }) => [...nodes.states].map(([state, { count }]) => [{ state }, count]),
    ],
    [
      'ferrite_nodes_longest_in_state_seconds',
      'How long the node that is in a provision state for the longest time has been in it.',
      ({ nodes }) =>
        [...nodes.states].flatMap(([state, { oldestMs }]): [Record<string, string>, number][] =>
          oldestMs === null ? [] : [[{ state }, Math.max(0, (clock.now() - oldestMs) / 1000)]],
        ),
    ],
    [
      'ferrite_nodes_power',
      'Nodes by power state as it was seen last.',
      ({ nodes }) => [...nodes.power].map(([power_state, count]) => [{ power_state }, count]),
    ],
    [
      'ferrite_nodes_maintenance',
      'Nodes in maintenance, by the fault that put them there; none: an operator did.',
      ({ nodes }) => [...nodes.maintenance].map(([fault, count]) => [{ fault }, count]),
    ],
    ['ferrite_nodes_held', 'Nodes that a conductor works on now.', ({ nodes }) => [[{}, nodes.held]]],
    [
      'ferrite_flows',
      'Pieces of work that have not ended: ready to run, running, or waiting for something.',
      ({ flows }) =>
        ['ready', 'running', 'waiting'].map(state => [{ state }, flows.find(one => one.state === state)?.flows ?? 0]),
    ],
    [
      'ferrite_queue_waiting',
      'Pieces of work that wait for a place, by kind.',
      reading => kinds.map(kind => [{ kind }, queueOf(reading, kind)?.waiting ?? 0]),
    ],
    [
      'ferrite_queue_running',
      'Places that are taken.',
      reading => kinds.map(kind => [{ kind }, queueOf(reading, kind)?.running ?? 0]),
    ],
    ['ferrite_queue_places', 'Places that there are.', () => kinds.map(kind => [{ kind }, limits[kind]?.() ?? 0])],
    [
      'ferrite_queue_longest_wait_seconds',
      'How long the first in the queue has waited for its place.',
      reading =>
        kinds.map(kind => {
          const sinceMs = queueOf(reading, kind)?.waitingSinceMs ?? null
          return [{ kind }, sinceMs === null ? 0 : Math.max(0, (clock.now() - sinceMs) / 1000)]
        }),
    ],
    [
      'ferrite_events_undelivered',
      'Events that a webhook or a message bus has not been told of yet; not all of them are for it.',
      ({ sinks }) => sinks.map(({ sink, undelivered }) => [{ sink }, undelivered]),
    ],
    [
      'ferrite_conductor_up',
      '1 while a conductor is alive, as its own signs of life tell.',
      ({ conductors }) =>
        conductors.map(({ hostname, online, updatedAtMs }) => {
          const isHeard = clock.now() - updatedAtMs <= config.conductor.heartbeat_timeout * 1000
          return [{ conductor: hostname }, online && isHeard ? 1 : 0]
        }),
    ],
    [
      'ferrite_image_store_images',
      'Images in the store of this host; in use: for a deployment under way.',
      ({ images }) =>
        [true, false].map(inUse => [{ in_use: String(inUse) }, images.filter(one => one.inUse === inUse).length]),
    ],
    [
      'ferrite_image_store_bytes',
      'Room that they take.',
      ({ images }) => [[{}, images.reduce((sum, { bytes }) => sum + bytes, 0)]],
    ],
    [
      'ferrite_image_store_limit_bytes',
      'Room that they may take before the least used goes.',
      () => [[{}, config.pxe.image_cache_size * 1024 * 1024]],
    ],
  ]
}

/** The reading that is under way or was just made; a new one otherwise. */
function shared(world: World): () => Promise<Reading> {
  let reading: Promise<Reading> | undefined
  let readAtMs = 0
  return () => {
    if (reading && performance.now() - readAtMs < freshForMs) return reading
    readAtMs = performance.now()
    const begun = readFleet(world)
    reading = begun
    begun.catch(() => {
      if (reading === begun) reading = undefined
    })
    return begun
  }
}

async function readFleet({ db, config }: World): Promise<Reading> {
  return {
    nodes: await countNodes(db),
    queues: await queueFigures(db),
    flows: await flowFigures(db),
    sinks: await sinkFigures(db),
    conductors: await listConductors(db),
    images: await listImages(config.pxe.instance_master_path),
  }
}

interface Counts {
  readonly states: Map<string, { count: number; oldestMs: number | null }>
  readonly power: Map<string, number>
  readonly maintenance: Map<string, number>
  held: number
}

async function countNodes(db: Db): Promise<Counts> {
  const counts: Counts = {
    states: new Map(Object.keys(provision).map(state => [state, { count: 0, oldestMs: null }])),
    power: new Map(),
    maintenance: new Map(),
    held: 0,
  }
  for (let afterId: number | undefined = 0; afterId !== undefined; ) {
    const page: NodeFigures[] = await nodeFigures(db, afterId, nodesAtOnce)
    for (const node of page) count(counts, node)
    afterId = page.at(-1)?.id
    // Statements of SQLite are answered within the same turn of the event loop: others go first.
    await new Promise(setImmediate)
  }
  return counts
}

function count(counts: Counts, node: NodeFigures): void {
  const { states, power, maintenance } = counts
  const state = states.get(node.provision_state) ?? { count: 0, oldestMs: null }
  const sinceMs = node.provision_updated_at === null ? null : Date.parse(node.provision_updated_at)
  state.count += 1
  if (sinceMs !== null && (state.oldestMs === null || sinceMs < state.oldestMs)) state.oldestMs = sinceMs
  states.set(node.provision_state, state)
  bump(power, node.power_state ?? 'unknown')
  if (node.maintenance) bump(maintenance, node.fault ?? 'none')
  if (node.isHeld) counts.held += 1
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
