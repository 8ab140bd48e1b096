/**
 * The log of what happens, as pages and as a stream of server-sent events (event-socket.ts has the same as a WebSocket):
 * Ferrite's own. And events that a network service reports of ports, which are logged and nothing else: nothing here
 * waits for one.
 *
 * Source: REST API reference, "Shards, events"; HTML standard, "Server-sent events".
 */
import { Type } from 'typebox'
import { eventsAfter, latestEvents } from '#db/event-feed.ts'
import { InvalidInput } from '#lib/fault.ts'
import { eventTypes, kindsOfTypes, LoggedEvent } from '#protocol/event.ts'
import { Nullable, Uuid } from '#protocol/field.ts'
import { MacAddress } from '#protocol/port.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { type EventChoice, type Followed, follow, shown } from '../event-stream.ts'
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

const choice = {
  node: ident({ doc: 'UUID or name: events of this node only' }),
  type: list({
    doc: `events of these types only: ${eventTypes.join(', ')}; a stream tells the last two to who names them`,
  }),
  kind: list({ doc: 'events of these kinds only' }),
  after: integer({ min: 0, doc: 'events after the one of this number' }),
}

type Choice = ValuesOf<typeof choice>

/** @throws InvalidInput for a type that is none, or lines of logs of no node in particular */
async function chosen(call: Call<unknown, Choice>): Promise<EventChoice> {
  const { node, kind: kinds, type } = call.query
  const types = type?.map(word => {
    const known = eventTypes.find(one => one === word)
    if (known) return known
    throw new InvalidInput(
      `Cannot read type: found ${JSON.stringify(word.slice(0, 80))}, expected ${eventTypes.join(', ')}`,
    )
  })
  if (types?.includes('log') && node === undefined) {
    throw new InvalidInput('Cannot tell lines of logs of all nodes at once: expected a node beside the type "log"')
  }
  return { nodeUuid: node === undefined ? undefined : (await mustFindNode(call, node)).uuid, kinds, types }
}

type PageChoice = Choice & { limit: number | undefined; latest: number | undefined; before: number | undefined }

async function pageOfEvents(call: Call<unknown, PageChoice>): Promise<Answer> {
  const { limit: asked, latest, before: beforeId, after = 0 } = call.query
  const limit = Math.min(latest ?? asked ?? call.config.api.max_limit, call.config.api.max_limit)
  const wanted = await chosen(call)
  if (latest !== undefined) {
    const { types, ...sought } = wanted
    const page = await latestEvents(call.db, {
      limit,
      beforeId,
      sought: { ...sought, types: types && kindsOfTypes(types) },
    })
    const first = page.length === limit ? page[0]?.id : undefined
    return { json: JSON.stringify({ events: shown(call, page, wanted), ...nextPage(call, 'before', first) }) }
  }
  const page = await eventsAfter(call.db, { afterId: after, limit, nodeUuid: wanted.nodeUuid })
  const last = page.length === limit ? page.at(-1)?.id : undefined
  return { json: JSON.stringify({ events: shown(call, page, wanted), ...nextPage(call, 'after', last) }) }
}

/** The link to the page beyond the event `id`, on that side of it; nothing where there is none. */
function nextPage({ links, path, given }: Call, side: 'after' | 'before', id: number | undefined): { next?: string } {
  if (id === undefined) return {}
  const query = new URLSearchParams(
    Object.entries(given).map(([name, value]): [string, string] => [name, String(value)]),
  )
  query.set(side, String(id))
  return { next: `${links.base}${path}?${query}` }
}

/**
 * What a caller follows who may list nodes: from the event that it had last, or from now on.
 * @throws Busy, Forbidden, InvalidInput, NotFound
 */
export async function followed(call: Call<unknown, Choice>): Promise<AsyncGenerator<Followed>> {
  listScope(call, 'node')
  const wanted = await chosen(call)
  // What a browser sends when it comes back.
  const heard = Number(call.header('last-event-id') ?? Number.NaN)
  const from = call.query.after ?? (Number.isSafeInteger(heard) ? heard : await call.hub.newestId())
  return follow(call, wanted, from)
}

/** As server-sent events. */
async function* inText(told: AsyncGenerator<Followed>): AsyncGenerator<string> {
  yield 'retry: 2000\n\n'
  for await (const now of told) yield typeof now === 'number' ? `: ${now}\n\n` : now.map(textOf).join('')
}

/** Only what is kept has a number to come back with. */
const textOf = (event: LoggedEvent) =>
  `${event.id === null ? '' : `id: ${event.id}\n`}data: ${JSON.stringify(event)}\n\n`

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
      latest: integer({
        min: 1,
        doc: 'the last so many, oldest first, in place of a page from the beginning; next leads to older ones',
      }),
      before: integer({ min: 1, doc: 'with latest: of those before the one of this number' }),
      follow: boolean({ doc: 'a stream of what happens from now on, or after a number; also by Accept' }),
    },
    streams: 'text/event-stream',
    response: Type.Object({ events: Type.Array(LoggedEvent), next: Type.Optional(Type.String()) }),
    doc: "Ferrite's own: what has happened, oldest first, of all nodes whose history the caller may read. As a stream it ends after an hour; a client goes on after the last event that it has.",
    async handle(call) {
      listScope(call, 'node')
      const follows = call.query.follow ?? call.header('accept')?.includes('text/event-stream')
      if (!follows) return pageOfEvents(call)
      return { stream: { type: 'text/event-stream', body: inText(await followed(call)) } }
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
