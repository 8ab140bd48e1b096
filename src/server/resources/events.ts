/**
 * The log of what happens, as pages and as a stream of server-sent events: Ferrite's own. And events that a network
 * service reports of ports, which are logged and nothing else: nothing here waits for one.
 *
 * Source: REST API reference, "Shards, events"; HTML standard, "Server-sent events".
 */
import { Type } from 'typebox'
import { eventsAfter, type FedEvent } from '#db/event-feed.ts'
import { Nullable, Uuid } from '#protocol/field.ts'
import { MacAddress } from '#protocol/port.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import type { EventHub } from '../event-hub.ts'
import { Busy } from '../faults.ts'
import { mustFindNode } from '../find-node.ts'
import { boolean, ident, integer, list, type ValuesOf } from '../parameters.ts'
import { listScope } from '../policy/access.ts'

const NetworkEvent = Type.Object(
  {
    event: Type.Enum(['network.bind_port', 'network.unbind_port', 'network.delete_port']),
    port_id: Uuid,
    mac_address: MacAddress,
    status: Type.String(),
    device_id: Type.Optional(Nullable(Uuid)),
    'binding:host_id': Type.Optional(Nullable(Uuid)),
    'binding:vnic_type': Type.Optional(Nullable(Type.String())),
  },
  { additionalProperties: false },
)

const LoggedEvent = Type.Object({
  id: Type.Integer(),
  at: Type.String(),
  node_uuid: Nullable(Type.String()),
  kind: Type.String(),
  data: Type.Record(Type.String(), Type.Unknown()),
})

const choice = {
  node: ident({ doc: 'UUID or name: events of this node only' }),
  kind: list({ doc: 'events of these kinds only' }),
  after: integer({ min: 0, doc: 'events after the one of this number' }),
}
const seeing = 'baremetal:node:history:get'
/** A proxy takes a connection that says nothing for dead. */
const silenceMs = 15_000
/** Who follows is asked anew who they are after this time. */
const longestMs = 3_600_000
const mostFollowers = 500
/** By the hub of a service. */
const followers = new WeakMap<EventHub, number>()

type Choice = ValuesOf<typeof choice>

/** What of a page of events the caller asked for and may see, as it is told. */
function shown(call: Pick<Call, 'may'>, page: readonly FedEvent[], kinds: Choice['kind']) {
  const everything = call.may('baremetal:node:list_all', null)
  const visible = page.filter(
    event =>
      (kinds === undefined || kinds.includes(event.kind)) && (everything || (event.hasNode && call.may(seeing, event))),
  )
  return visible.map(({ id, at, node_uuid, kind, data }) => ({ id, at, node_uuid, kind, data }))
}

async function nodeAsked(call: Call<unknown, Choice>): Promise<string | undefined> {
  return call.query.node === undefined ? undefined : (await mustFindNode(call, call.query.node)).uuid
}

async function pageOfEvents(call: Call<unknown, Choice & { limit: number | undefined }>): Promise<Answer> {
  const { limit: asked, after = 0, kind } = call.query
  const limit = Math.min(asked ?? call.config.api.max_limit, call.config.api.max_limit)
  const nodeUuid = await nodeAsked(call)
  const page = await eventsAfter(call.db, { afterId: after, limit, nodeUuid })
  const last = page.length === limit ? page.at(-1)?.id : undefined
  const more = last === undefined ? {} : { next: nextPage(call, last) }
  return { json: JSON.stringify({ events: shown(call, page, kind), ...more }) }
}

function nextPage({ links, path, given }: Call, after: number): string {
  const query = new URLSearchParams(
    Object.entries(given).map(([name, value]): [string, string] => [name, String(value)]),
  )
  query.set('after', String(after))
  return `${links.base}${path}?${query}`
}

async function* follow(
  call: Call<unknown, Choice>,
  nodeUuid: string | undefined,
  from: number,
): AsyncGenerator<string> {
  const { hub, clock } = call
  const endMs = clock.now() + longestMs
  let last = from
  yield 'retry: 2000\n\n'
  while (!hub.closed.aborted && clock.now() < endMs) {
    const page = await hub.after(last)
    last = page.at(-1)?.id ?? last
    const own = nodeUuid === undefined ? page : page.filter(event => event.node_uuid === nodeUuid)
    const told = shown(call, own, call.query.kind)
    if (told.length > 0) yield told.map(event => `id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`).join('')
    if (page.length > 0) continue
    await hub.news(last, hub.closed, silenceMs)
    // With the number that was reached: who comes back need not be told all that was not theirs again.
    if ((await hub.after(last)).length === 0) yield `: ${last}\n\n`
  }
}

async function streamOfEvents(call: Call<unknown, Choice>): Promise<Answer> {
  const nodeUuid = await nodeAsked(call)
  if ((followers.get(call.hub) ?? 0) >= mostFollowers) {
    throw new Busy(`Cannot tell of events: ${mostFollowers} callers are told already; try again later`)
  }
  // What a browser sends when it comes back.
  const heard = Number(call.header('last-event-id') ?? Number.NaN)
  const from = call.query.after ?? (Number.isSafeInteger(heard) ? heard : await call.hub.newestId())
  return { stream: { type: 'text/event-stream', body: counted(call.hub, follow(call, nodeUuid, from)) } }
}

/** Counts who follows; the place is free when the stream ends, or nobody reads it any more. */
async function* counted(hub: EventHub, stream: AsyncGenerator<string>): AsyncGenerator<string> {
  followers.set(hub, (followers.get(hub) ?? 0) + 1)
  try {
    yield* stream
  } finally {
    followers.set(hub, (followers.get(hub) ?? 1) - 1)
  }
}

export const events: readonly Endpoint[] = [
  endpoint({
    id: 'event.list',
    method: 'GET',
    path: '/v1/events',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:list', 'baremetal:node:list_all'],
    query: {
      ...choice,
      limit: integer({ min: 1, doc: 'at most so many' }),
      follow: boolean({ doc: 'a stream of what happens from now on, or after a number; also by Accept' }),
    },
    streams: 'text/event-stream',
    response: Type.Object({ events: Type.Array(LoggedEvent), next: Type.Optional(Type.String()) }),
    doc: "Ferrite's own: what has happened, oldest first, of all nodes whose history the caller may read. As a stream it ends after an hour; a client goes on after the last event that it has.",
    async handle(call) {
      listScope(call, 'node')
      const follows = call.query.follow ?? call.header('accept')?.includes('text/event-stream')
      return follows ? streamOfEvents(call) : pageOfEvents(call)
    },
  }),
  endpoint({
    id: 'event.post',
    method: 'POST',
    path: '/v1/events',
    from: '1.54',
    status: 204,
    policy: ['baremetal:events:post'],
    body: Type.Object({ events: Type.Array(NetworkEvent, { minItems: 1 }) }, { additionalProperties: false }),
    response: null,
    handle(call) {
      call.allow(null)
      for (const { event, port_id, mac_address, status } of call.body.events) {
        call.log.info({ event, port_id, mac_address, status }, 'a network service reports an event')
      }
      return undefined
    },
  }),
]
