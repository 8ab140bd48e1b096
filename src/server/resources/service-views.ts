/**
 * What people who run the service look at, Ferrite's own: who holds which node, which images lie in the store of this
 * host. All of it is for those who see the whole fleet.
 */
import { Type } from 'typebox'
import { heldNodes } from '#db/leases.ts'
import { Nullable, timestamp } from '#protocol/field.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'

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
