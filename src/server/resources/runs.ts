/** What is under way in the whole fleet, and how long it may take: Ferrite's own. A node's own runs are node-timeline.ts's. */
import { Type } from 'typebox'
import { LiveRun } from '#protocol/timeline.ts'
import { liveRunsOf } from '#timeline/live-runs.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { seeing } from '../event-stream.ts'
import { integer } from '../parameters.ts'
import { listScope } from '../policy/access.ts'

export const runs: readonly Endpoint[] = [
  endpoint({
    id: 'run.list',
    method: 'GET',
    path: '/v1/runs',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:list', 'baremetal:node:list_all'],
    query: {
      limit: integer({ min: 1, doc: 'at most so many' }),
      after: integer({ min: 0, doc: 'runs asked for after the one of this number' }),
    },
    response: Type.Object({ runs: Type.Array(LiveRun), next: Type.Optional(Type.String()) }),
    doc: "Ferrite's own: the runs under way of all nodes whose history the caller may read, each with how long runs of its kind and model take.",
    async handle(call) {
      listScope(call, 'node')
      const { limit: asked, after: afterId = 0 } = call.query
      const limit = Math.min(asked ?? call.config.api.max_limit, call.config.api.max_limit)
      const page = await liveRunsOf({ db: call.db, nowMs: call.clock.now() }, { afterId, limit })
      const everything = call.may('baremetal:node:list_all', null)
      const shown = page.filter(of => everything || call.may(seeing, of)).map(({ run }) => run)
      const last = page.length === limit ? page.at(-1)?.run.id : undefined
      return { json: JSON.stringify({ runs: shown, ...nextPage(call, { limit, after: last }) }) }
    },
  }),
]

function nextPage({ links, path }: Call, { limit, after }: { limit: number; after: number | undefined }) {
  return after === undefined ? {} : { next: `${links.base}${path}?limit=${limit}&after=${after}` }
}
