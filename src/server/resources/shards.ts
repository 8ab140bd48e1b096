/** Shards: the groups into which operators divide nodes for their callers. Source: REST API reference, "Shards". */
import { Type } from 'typebox'
import { countShards } from '#db/shards.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'

export const shards: readonly Endpoint[] = [
  endpoint({
    id: 'shard.list',
    method: 'GET',
    path: '/v1/shards',
    from: '1.82',
    status: 200,
    policy: ['baremetal:shards:get'],
    response: Type.Object({ shards: Type.Array(Type.Object({ name: Type.String(), count: Type.Integer() })) }),
    async handle(call) {
      call.allow(null)
      const counted = await countShards(call.db)
      // A text, also for nodes without a shard: clients rely on it.
      const shown = counted.map(({ shard, count }) => ({ name: shard ?? 'None', count }))
      return { json: JSON.stringify({ shards: shown }) }
    },
  }),
]
