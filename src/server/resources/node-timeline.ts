/** What a node's runs took, phase by phase, and how long the one under way will take: Ferrite's own. */

import { Timeline } from '#protocol/timeline.ts'
import { timelineOf } from '#timeline/timeline.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { mustFindNode } from '../find-node.ts'
import { integer, list } from '../parameters.ts'

/** A run has some dozens of phases: what a page shows. */
const usual = 10

export const nodeTimeline: readonly Endpoint[] = [
  endpoint({
    id: 'node.timeline',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/timeline',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:history:get'],
    query: {
      limit: integer({ min: 1, doc: 'at most so many runs' }),
      before: integer({ min: 1, doc: 'runs older than the one of this number' }),
      kind: list({ doc: 'runs of these kinds only: deploy, clean, power …; without it all but power changes' }),
    },
    response: Timeline,
    doc: "Ferrite's own: the node's runs, the newest first; each second of a run belongs to one phase.",
    async handle(call) {
      const { limit: asked = usual, before: beforeId, kind: kinds } = call.query
      const limit = Math.min(asked, call.config.api.max_limit)
      const node = await mustFindNode(call, call.params.node_ident)
      const timeline = await timelineOf({ db: call.db, nowMs: call.clock.now() }, node, { limit, beforeId, kinds })
      const last = timeline.runs.length === limit ? timeline.runs.at(-1)?.id : undefined
      return { json: JSON.stringify({ ...timeline, ...(last === undefined ? {} : { next: nextPage(call, last) }) }) }
    },
  }),
]

function nextPage({ links, path, given }: Call, before: number): string {
  const query = new URLSearchParams(
    Object.entries(given).map(([name, value]): [string, string] => [name, String(value)]),
  )
  query.set('before', String(before))
  return `${links.base}${path}?${query}`
}
