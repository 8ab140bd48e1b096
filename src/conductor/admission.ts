/**
 * Places for work of which only so much may run at a time: deployments and cleanings. Nothing is refused for lack of a
 * place; it waits for its turn, in the "wait" state of its verb, where it can be aborted. Projects share the places
 * evenly, and within a project the first to ask is the first to come. How many stand before it is the progress of its
 * node.
 *
 * Source: [conductor] max_concurrent_deploy, max_concurrent_clean (Ironic refuses what is beyond them).
 */
import type { Config } from '#config/options.ts'
import {
  admit,
  askForPlace,
  freePlaces,
  hasPlace,
  passTurnstile,
  placesTaken,
  type Taken,
  tellPosition,
  type Waiting,
  waitingFor,
} from '#db/admissions.ts'
import { type Db, inTransaction, type Trx } from '#db/database.ts'
import { wakeFlow, writeProgress } from '#db/flows.ts'
import type { FlowContext } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { timestamp } from '#protocol/field.ts'

export type LimitedKind = 'deploy' | 'clean'
export const limitedKinds = ['deploy', 'clean'] as const satisfies readonly LimitedKind[]

/** How soon a flow asks again of its own; it is woken when it has a place. */
const askAgainMs = 30_000
/** Places that were given back are handed out so often, by one conductor for all. */
const roundMs = 900
/** How many of those who wait longest are looked at in one round. */
const queueLimit = 1000
/** Up to here a place in the queue is told exactly; behind it, when it has changed by a tenth. */
const exactly = 50

interface World {
  db: Db
  clock: Clock
  config: Config
}

/** Returns when the flow has a place of its kind, which it keeps to its end. */
export async function awaitPlace(ctx: FlowContext, kind: LimitedKind): Promise<void> {
  const wait = { on: ['a place'], everyMs: askAgainMs, timeoutMs: 0, release: true, onTimeout: neverTimesOut }
  await ctx.flow.until(`a place to ${kind}`, wait, async () => {
    const { db, flow } = ctx
    if (await hasPlace(db, flow.id)) return true
    const { node } = await ctx.fresh()
    const { conductor_group, lessee, owner } = node
    const asking = { flow_id: flow.id, kind, project: lessee ?? owner ?? '', conductor_group }
    return (await takeAtOnce(ctx, asking)) || undefined
  })
}

/** Takes a place if one is free and nobody waits for it; asks for one otherwise. */
async function takeAtOnce({ db, clock, config }: World, asking: Waitless): Promise<boolean> {
  const { kind, flow_id } = asking
  const nowMs = clock.now()
  return inTransaction(db, async trx => {
    await passTurnstile(trx, kind, nowMs)
    await askForPlace(trx, asking, nowMs)
    const [first] = await waitingFor(trx, kind, 1)
    if (first?.flow_id !== flow_id) return false
    const taken = countOf(await placesTaken(trx, kind), config, asking.conductor_group)
    if (taken >= limitOf(kind, config)) return false
    await admit(trx, flow_id, nowMs)
    return true
  })
}

type Waitless = Omit<Waiting, 'node_uuid' | 'position' | 'kind'> & { kind: LimitedKind }

/**
 * Hands out what places are free, and tells those who go on waiting where they stand; nothing when another conductor
 * has just done so. Returns the conductors of the flows that have a place now.
 */
export async function handOutAll(world: World): Promise<string[]> {
  const woken: string[] = []
  for (const kind of limitedKinds) {
    const [anybody] = await waitingFor(world.db, kind, 1)
    if (anybody) woken.push(...(await handOut(world, kind)))
  }
  return [...new Set(woken)]
}

async function handOut({ db, clock, config }: World, kind: LimitedKind): Promise<string[]> {
  const nowMs = clock.now()
  return inTransaction(db, async trx => {
    if (!(await passTurnstile(trx, kind, nowMs, nowMs - roundMs))) return []
    // A conductor of an earlier version may have ended work without giving its place back.
    await freePlaces(trx, kind)
    const taken = await placesTaken(trx, kind)
    const waiting = await waitingFor(trx, kind, queueLimit)
    const { max_concurrent_per_conductor_group: perGroup } = config.conductor
    const groups = perGroup ? [...Map.groupBy(waiting, one => one.conductor_group).values()] : [waiting]
    const woken: string[] = []
    for (const group of groups) woken.push(...(await handOutAmong(trx, group, { kind, taken, config, nowMs })))
    return woken
  })
}

async function handOutAmong(
  trx: Trx,
  waiting: readonly Waiting[],
  { kind, taken, config, nowMs }: { kind: LimitedKind; taken: readonly Taken[]; config: Config; nowMs: number },
): Promise<string[]> {
  const limit = limitOf(kind, config)
  const group = waiting[0]?.conductor_group ?? ''
  const free = Math.max(0, limit - countOf(taken, config, group))
  const queue = fairOrder(taken, waiting)
  const woken: string[] = []
  for (const one of queue.slice(0, free)) {
    await admit(trx, one.flow_id, nowMs)
    await writeProgress(trx, one.flow_id, null)
    woken.push(...(await wakeFlow(trx, one.node_uuid, 'a place')))
  }
  for (const [index, one] of queue.slice(free).entries()) {
    const position = index + 1
    const moved = one.position === null ? position : Math.abs(one.position - position)
    if (moved === 0 || (position > exactly && moved < position / 10)) continue
    await tellPosition(trx, one.flow_id, position)
    await writeProgress(trx, one.flow_id, {
      step: kind,
      phase: `waiting for a place: ${position} in the queue, ${limit} at a time`,
      position,
      bytes: 0,
      total_bytes: null,
      rate_bytes_per_s: null,
      eta_s: null,
      updated_at: timestamp(nowMs),
    })
  }
  return woken
}

function limitOf(kind: LimitedKind, { conductor }: Config): number {
  return kind === 'deploy' ? conductor.max_concurrent_deploy : conductor.max_concurrent_clean
}

/** The places taken that count against the limit of a group. */
function countOf(taken: readonly Taken[], { conductor }: Config, group: string): number {
  const counted = conductor.max_concurrent_per_conductor_group
    ? taken.filter(one => one.conductor_group === group)
    : taken
  return counted.reduce((sum, one) => sum + one.places, 0)
}

/**
 * The order in which those who wait come to their turn: always the project that has the fewest places, counting those
 * it will have got by then; among equals the one whose turn was asked for first. `waiting` is in the order of asking.
 */
export function fairOrder<T extends { project: string }>(
  taken: readonly Pick<Taken, 'project' | 'places'>[],
  waiting: readonly T[],
): T[] {
  const places = new Map<string, number>()
  for (const one of taken) places.set(one.project, (places.get(one.project) ?? 0) + one.places)
  const queues = [...Map.groupBy(waiting.entries(), ([, one]) => one.project)].map(([project, queue]) => ({
    queue,
    next: 0,
    places: places.get(project) ?? 0,
  }))
  const order: T[] = []
  while (order.length < waiting.length) {
    let chosen: (typeof queues)[number] | undefined
    for (const candidate of queues) {
      if (candidate.next < candidate.queue.length && (!chosen || comesBefore(candidate, chosen))) chosen = candidate
    }
    const entry = chosen?.queue[chosen.next]
    if (!chosen || !entry) break
    chosen.next += 1
    chosen.places += 1
    order.push(entry[1])
  }
  return order
}

interface Queue {
  queue: readonly (readonly [askedAs: number, one: unknown])[]
  next: number
  places: number
}

function comesBefore(a: Queue, b: Queue): boolean {
  if (a.places !== b.places) return a.places < b.places
  return (a.queue[a.next]?.[0] ?? 0) < (b.queue[b.next]?.[0] ?? 0)
}

function neverTimesOut(): never {
  throw new Error('a wait for a place has no deadline')
}
