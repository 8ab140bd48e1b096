/**
 * What people who run the service look at, Ferrite's own: who holds which node, what has happened last, which images lie in
 * the store of this host. All of it is for those who see the whole fleet.
 */
import { Type } from 'typebox'
import { latestEvents } from '#db/latest-events.ts'
import { heldNodes } from '#db/leases.ts'
import { Nullable, timestamp } from '#protocol/field.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { integer, list } from '../parameters.ts'

const Time = Type.String()

const Lease = Type.Object({
  node_uuid: Type.String(),
  node_name: Nullable(Type.String()),
  provision_state: Type.String(),
  /** Host name of a conductor. */
  holder: Type.String(),
  purpose: Type.String(),
  since: Time,
  until: Time,
})

const LatestEvent = Type.Object({
  id: Type.Integer(),
  at: Time,
  node_uuid: Nullable(Type.String()),
  kind: Type.String(),
  data: Type.Record(Type.String(), Type.Unknown()),
})

const StoredImage = Type.Object({
  id: Type.String(),
  source: Type.String(),
  format: Nullable(Type.String()),
  size_bytes: Type.Integer(),
  /** Room that it takes. */
  stored_bytes: Type.Integer(),
  /** It has the form that agents of Ferrite's fetch in pieces. */
  chunked: Type.Boolean(),
  in_use: Type.Boolean(),
  used_at: Time,
})

export const serviceViews: readonly Endpoint[] = [
  endpoint({
    id: 'lease.list',
    method: 'GET',
    path: '/v1/leases',
    from: '1.1',
    status: 200,
    policy: ['baremetal:leases:get'],
    response: Type.Object({ leases: Type.Array(Lease) }),
    doc: "Ferrite's own: which nodes are held, by whom, for what, since when; the longest held first.",
    async handle(call) {
      call.allow(null)
      const held = await heldNodes(call.db, call.config.api.max_limit)
      const leases = held.map(({ untilMs, ...lease }) => ({ ...lease, until: timestamp(untilMs) }))
      return { json: JSON.stringify({ leases }) }
    },
  }),
  endpoint({
    id: 'event.latest',
    method: 'GET',
    path: '/v1/events/latest',
    from: '1.1',
    status: 200,
    policy: ['baremetal:events:get_latest'],
    query: {
      kind: list({ doc: 'events of these kinds only' }),
      before: integer({ min: 1, doc: 'events before the one of this number' }),
      limit: integer({ min: 1, doc: 'at most so many' }),
    },
    response: Type.Object({ events: Type.Array(LatestEvent) }),
    doc: "Ferrite's own: what has happened, newest first.",
    async handle(call) {
      call.allow(null)
      const { kind: kinds, before: beforeId, limit = 200 } = call.query
      const most = Math.min(limit, call.config.api.max_limit)
      const found = await latestEvents(call.db, { kinds, beforeId, limit: most })
      const events = found.map(({ id, at, node_uuid, kind, data }) => ({ id, at, node_uuid, kind, data }))
      return { json: JSON.stringify({ events }) }
    },
  }),
  endpoint({
    id: 'image.list',
    method: 'GET',
    path: '/v1/images',
    from: '1.1',
    status: 200,
    policy: ['baremetal:images:get'],
    response: Type.Object({ host: Type.String(), limit_bytes: Type.Integer(), images: Type.Array(StoredImage) }),
    doc: "Ferrite's own: the images that lie in the store of this host, the one used last first.",
    async handle(call) {
      call.allow(null)
      return { json: JSON.stringify(await call.conductor.storedImages()) }
    },
  }),
]
