/**
 * Delivers events to a place outside as they happen: each at least once, in their order, by whichever conductor has the
 * sink. What cannot be delivered is tried again, later each time, and nothing after it goes first; the position outlives
 * processes. It reads the log and nothing else: no work waits for it.
 */
import type { Db } from '#db/database.ts'
import { eventsAfter, type FedEvent, newestEventId } from '#db/event-feed.ts'
import { delivered, giveUp, notDelivered, takeSink } from '#db/event-sinks.ts'
import type { Clock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'

export interface EventSink {
  /** Of its row: how far it is, and who delivers. */
  readonly name: string
  /** Where events go, for the log: without secrets. */
  readonly place: string
  /** Events that are further behind the newest are given up; undefined: none is. */
  readonly mostBehind?: number
  /** Resolves when all of them are there. */
  deliver(events: readonly FedEvent[], signal: AbortSignal): Promise<void>
  /** So many were given up. */
  givenUp?(count: number): void
}

export interface SinkWorld {
  db: Db
  clock: Clock
  log: Log
  hostname: string
}

const page = 100
/** What is looked at in one round; the next one follows a second later. */
const mostPages = 20
/** Others take the sink when its holder says nothing for so long. */
const holdMs = 60_000
const firstPauseMs = 1000
const longestPauseMs = 300_000
/** A number that is missing before an event may still be filled for so long. */
const settledMs = 6000

/** Delivers what is due; returns when there is nothing more, or it failed. */
export async function deliverEvents(world: SinkWorld, sink: EventSink, signal: AbortSignal): Promise<void> {
  const { db, clock, log, hostname: holder } = world
  const { name, place } = sink
  for (let round = 0; round < mostPages && !signal.aborted; round++) {
    const nowMs = clock.now()
    const taken = await takeSink(db, name, { holder, nowMs, forMs: holdMs })
    if (!taken) return
    const position = await caughtUp(world, sink, taken.position)
    const found = await eventsAfter(db, { afterId: position, limit: page })
    const events = settled(found, position, nowMs)
    const last = events.at(-1)
    if (!last) return
    try {
      await sink.deliver(events, signal)
    } catch (error) {
      if (signal.aborted) return
      const failures = taken.failures + 1
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1))
      await notDelivered(db, name, holder, { failures, retryAtMs: clock.now() + pauseMs })
      log.warn({ place, failures, retry_s: pauseMs / 1000, reason: messageOf(error) }, 'events could not be delivered')
      return
    }
    if (!(await delivered(db, name, holder, last.id)) || events.length < page) return
  }
}

/** Where to go on: not so far behind that nobody wants to hear of it. */
async function caughtUp(
  { db, log, hostname }: SinkWorld,
  { name, place, mostBehind, givenUp }: EventSink,
  position: number,
): Promise<number> {
  if (mostBehind === undefined) return position
  const from = (await newestEventId(db)) - mostBehind
  if (from <= position || !(await giveUp(db, name, hostname, from))) return position
  log.warn({ place, events: from - position }, 'events were given up: they could not be delivered for too long')
  givenUp?.(from - position)
  return from
}

/** Up to the first number that another process may be about to fill. */
function settled(found: readonly FedEvent[], position: number, nowMs: number): readonly FedEvent[] {
  const hole = found.findIndex(({ id, at }, index) => {
    const before = found[index - 1]?.id ?? position
    return id !== before + 1 && nowMs - Date.parse(at) < settledMs
  })
  return hole < 0 ? found : found.slice(0, hole)
}
