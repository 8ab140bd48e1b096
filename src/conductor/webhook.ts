/**
 * Delivers events to a URL as they happen: each at least once, in their order, by whichever conductor has the sink. What
 * cannot be delivered is tried again, later each time, and nothing after it goes first; the position outlives processes.
 * It reads the log and nothing else, and what is at the URL changes nothing here.
 */
import { request } from 'undici'
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import { eventsAfter, type FedEvent } from '#db/event-feed.ts'
import { delivered, notDelivered, takeSink } from '#db/event-sinks.ts'
import { findNode } from '#db/nodes.ts'
import type { Clock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { eventType } from '#protocol/event.ts'
import { notificationOf } from './notification.ts'

export interface WebhookWorld {
  db: Db
  config: Pick<Config, 'ferrite'>
  clock: Clock
  log: Log
  hostname: string
}

const name = 'webhook'
const page = 100
/** What is looked at in one round; the next one follows a second later. */
const mostPages = 20
const timeoutMs = 10_000
/** Others take the sink when its holder says nothing for so long. */
const holdMs = 60_000
const firstPauseMs = 1000
const longestPauseMs = 300_000
/** A number that is missing before an event may still be filled for so long. */
const settledMs = 6000

/** Delivers what is due; returns when there is nothing more, or it failed. */
export async function deliverWebhook(world: WebhookWorld, signal: AbortSignal): Promise<void> {
  const { db, config, clock, log, hostname: holder } = world
  const { webhook_url: url } = config.ferrite
  if (url === null) return
  for (let round = 0; round < mostPages && !signal.aborted; round++) {
    const nowMs = clock.now()
    const sink = await takeSink(db, name, { holder, nowMs, forMs: holdMs })
    if (!sink) return
    const found = await eventsAfter(db, { afterId: sink.position, limit: page })
    const events = settled(found, sink.position, nowMs)
    const last = events.at(-1)
    if (!last) return
    try {
      for (const body of await bodiesOf(world, events)) await post(world, url, body, signal)
    } catch (error) {
      if (signal.aborted) return
      const failures = sink.failures + 1
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1))
      await notDelivered(db, name, holder, { failures, retryAtMs: clock.now() + pauseMs })
      // The URL may hold a secret.
      const { origin } = new URL(url)
      log.warn({ origin, failures, retry_s: pauseMs / 1000, reason: messageOf(error) }, 'events could not be delivered')
      return
    }
    if (!(await delivered(db, name, holder, last.id)) || events.length < page) return
  }
}

/** Up to the first number that another process may be about to fill. */
function settled(found: readonly FedEvent[], position: number, nowMs: number): readonly FedEvent[] {
  const hole = found.findIndex(({ id, at }, index) => {
    const before = found[index - 1]?.id ?? position
    return id !== before + 1 && nowMs - Date.parse(at) < settledMs
  })
  return hole < 0 ? found : found.slice(0, hole)
}

/** What is posted: one body for all events, or one for each notification. */
async function bodiesOf({ db, config }: WebhookWorld, events: readonly FedEvent[]): Promise<unknown[]> {
  const { webhook_types: types, webhook_format: format } = config.ferrite
  const wanted = events.filter(({ kind }) => types.includes(eventType(kind)))
  if (format === 'ferrite') {
    const told = wanted.map(({ id, at, node_uuid, kind, data }) => ({
      id,
      at,
      node_uuid,
      type: eventType(kind),
      kind,
      data,
    }))
    return told.length === 0 ? [] : [{ events: told }]
  }
  const bodies: unknown[] = []
  for (const event of wanted) {
    const node = event.node_uuid === null ? undefined : await findNode(db, event.node_uuid)
    const body = node && notificationOf(event, node)
    if (body) bodies.push(body)
  }
  return bodies
}

async function post({ config }: WebhookWorld, url: string, body: unknown, signal: AbortSignal): Promise<void> {
  const { webhook_header: header, webhook_secret: secret } = config.ferrite
  const { statusCode, body: answer } = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(secret === null ? {} : { [header]: secret }) },
    body: JSON.stringify(body),
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  })
  await answer.dump()
  if (statusCode >= 300) throw new Error(`it answered ${statusCode}, expected a status below 300`)
}
