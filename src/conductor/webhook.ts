/** Posts events to a URL, in Ferrite's form or in that of Ironic's notifications. What is at the URL changes nothing here. */
import { request } from 'undici'
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { FedEvent } from '#db/event-feed.ts'
import { eventType } from '#protocol/event.ts'
import { deliverEvents, type SinkWorld } from './event-sink.ts'
import { notificationsOf } from './notification.ts'

type Settings = Pick<Config, 'ferrite'>

const timeoutMs = 10_000

/** Delivers what is due; returns when there is nothing more, or it failed. */
export async function deliverWebhook(world: SinkWorld & { config: Settings }, signal: AbortSignal): Promise<void> {
  const { db, config } = world
  const { webhook_url: url } = config.ferrite
  if (url === null) return
  // The URL may hold a secret.
  const sink = { name: 'webhook', place: new URL(url).origin }
  const deliver = async (events: readonly FedEvent[]) => {
    for (const body of await bodiesOf(db, config, events)) await post(config, url, body, signal)
  }
  await deliverEvents(world, { ...sink, deliver }, signal)
}

/** What is posted: one body for all events, or one for each notification. */
async function bodiesOf(db: Db, { ferrite }: Settings, events: readonly FedEvent[]): Promise<unknown[]> {
  const { webhook_types: types, webhook_format: format } = ferrite
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
  return notificationsOf(db, wanted)
}

async function post({ ferrite }: Settings, url: string, body: unknown, signal: AbortSignal): Promise<void> {
  const { webhook_header: header, webhook_secret: secret } = ferrite
  const { statusCode, body: answer } = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(secret === null ? {} : { [header]: secret }) },
    body: JSON.stringify(body),
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  })
  await answer.dump()
  if (statusCode >= 300) throw new Error(`it answered ${statusCode}, expected a status below 300`)
}
