/**
 * Follows what happens for one caller: events of the log from a number on, without a hole, and, where they are asked for,
 * sights of what the log does not keep. How they are put on the wire is the business of who reads this.
 */
import type { FedEvent } from '#db/event-feed.ts'
import { logSince, type ProgressSight, progressNow } from '#db/sights.ts'
import { type EventType, eventType, type LoggedEvent } from '#protocol/event.ts'
import { timestamp } from '#protocol/field.ts'
import type { Call } from './endpoint.ts'
import type { EventHub } from './event-hub.ts'
import { Busy } from './faults.ts'

/** What of the events a caller asked for; undefined: all. */
export interface EventChoice {
  readonly nodeUuid: string | undefined
  readonly kinds: readonly string[] | undefined
  readonly types: readonly EventType[] | undefined
}

type Viewer = Pick<Call, 'may'>

export const seeing = 'baremetal:node:history:get'
/** A proxy takes a connection that says nothing for dead. */
const silenceMs = 15_000
/** How often sights are looked at: they are written once a second at most. */
const sightMs = 500
/** Who follows is asked anew who they are after this time. */
const longestMs = 3_600_000
const mostFollowers = 500
const mostPieces = 50
/** By the hub of a service. */
const followers = new WeakMap<EventHub, number>()
/** By the hub of a service: what is read for all of its followers. */
const progress = new WeakMap<EventHub, { atMs: number; seen: Promise<readonly ProgressSight[]> }>()

/** What of these events the caller asked for and may see, as it is told. */
export function shown(call: Viewer, page: readonly FedEvent[], { nodeUuid, kinds, types }: EventChoice): LoggedEvent[] {
  const everything = call.may('baremetal:node:list_all', null)
  const isWanted = ({ node_uuid, kind }: FedEvent) =>
    (nodeUuid === undefined || node_uuid === nodeUuid) &&
    (kinds === undefined || kinds.includes(kind)) &&
    (types === undefined || types.includes(eventType(kind)))
  const visible = page.filter(event => isWanted(event) && (everything || (event.hasNode && call.may(seeing, event))))
  return visible.map(({ id, at, node_uuid, kind, data }) => ({ id, at, node_uuid, type: eventType(kind), kind, data }))
}

/** Events as they come; a number, the last that was looked at, where nothing came for a while. Ends after an hour. */
export type Followed = LoggedEvent[] | number

/**
 * Follows from after the event `from` on, until the hour is over or the service ends; the place that a follower has is free
 * when the generator is.
 * @throws Busy at once when there are too many followers
 */
export function follow(call: Call, choice: EventChoice, from: number): AsyncGenerator<Followed> {
  const { hub } = call
  if ((followers.get(hub) ?? 0) >= mostFollowers) {
    throw new Busy(`Cannot tell of events: ${mostFollowers} callers are told already; try again later`)
  }
  return counted(hub, following(call, choice, from))
}

async function* counted(hub: EventHub, stream: AsyncGenerator<Followed>): AsyncGenerator<Followed> {
  followers.set(hub, (followers.get(hub) ?? 0) + 1)
  try {
    yield* stream
  } finally {
    followers.set(hub, (followers.get(hub) ?? 1) - 1)
  }
}

async function* following(call: Call, choice: EventChoice, from: number): AsyncGenerator<Followed> {
  const { hub, clock } = call
  const endMs = clock.now() + longestMs
  const sights = sightsFor(call, choice)
  let last = from
  let toldMs = clock.now()
  while (!hub.closed.aborted && clock.now() < endMs) {
    const page = await hub.after(last)
    last = page.at(-1)?.id ?? last
    const told = [...shown(call, page, choice), ...(sights ? await sights() : [])]
    if (told.length > 0 || clock.now() - toldMs >= silenceMs) {
      toldMs = clock.now()
      // The number that was reached: who comes back need not be told all that was not theirs again.
      yield told.length > 0 ? told : last
    }
    if (page.length === 0) await hub.news(last, hub.closed, sights ? sightMs : silenceMs)
  }
}

/** Looks for sights that are new to this follower; undefined where none are asked for. */
function sightsFor(call: Call, { nodeUuid, types, kinds }: EventChoice): (() => Promise<LoggedEvent[]>) | undefined {
  const isWanted = (type: 'progress' | 'log', kind: string) =>
    types?.includes(type) === true && (kinds === undefined || kinds.includes(kind))
  const looks = [
    ...(isWanted('progress', 'progress') ? [progressSights(call, nodeUuid)] : []),
    ...(isWanted('log', 'log lines') && nodeUuid !== undefined ? [logSights(call, nodeUuid)] : []),
  ]
  if (looks.length === 0) return undefined
  return async () => (await Promise.all(looks.map(look => look()))).flat()
}

function progressSights(call: Call, nodeUuid: string | undefined): () => Promise<LoggedEvent[]> {
  const told = new Map<string, string>()
  return async () => {
    const everything = call.may('baremetal:node:list_all', null)
    const seen = (await allProgress(call)).filter(
      one => (nodeUuid === undefined || one.node_uuid === nodeUuid) && (everything || call.may(seeing, one)),
    )
    const fresh = seen.filter(({ node_uuid, progress: now }) => told.get(node_uuid) !== mark(now))
    told.clear()
    for (const { node_uuid, progress: now } of seen) told.set(node_uuid, mark(now))
    return fresh.map(({ node_uuid, flow, progress: now }): LoggedEvent => {
      const data = { flow, ...now }
      return { id: null, at: now.updated_at, node_uuid, type: 'progress', kind: 'progress', data }
    })
  }
}

const mark = ({ updated_at, step, phase, bytes }: ProgressSight['progress']) =>
  `${updated_at} ${step} ${phase} ${bytes}`

/** One look serves all who follow. */
function allProgress({ hub, db, clock }: Call): Promise<readonly ProgressSight[]> {
  const last = progress.get(hub)
  if (last && clock.now() - last.atMs < sightMs / 2) return last.seen
  const seen = progressNow(db)
  progress.set(hub, { atMs: clock.now(), seen })
  return seen
}

/** What the node's ramdisk says from now on. */
function logSights({ db, clock }: Call, nodeUuid: string): () => Promise<LoggedEvent[]> {
  let from = timestamp(clock.now())
  let known = new Set<string>()
  return async () => {
    const pieces = await logSince(db, nodeUuid, from, mostPieces)
    const fresh = pieces.filter(({ boot_id, piece }) => !known.has(`${boot_id} ${piece}`))
    from = pieces.at(-1)?.came_at ?? from
    known = new Set(pieces.map(({ boot_id, piece }) => `${boot_id} ${piece}`))
    return fresh.map(({ came_at, ...data }): LoggedEvent => {
      return { id: null, at: came_at, node_uuid: nodeUuid, type: 'log', kind: 'log lines', data }
    })
  }
}
