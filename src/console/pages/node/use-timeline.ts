/** The node's runs, asked for anew by events, and while one is under way every second. */
import { useQuery } from '@tanstack/react-query'
import type { Timeline } from '#protocol/timeline.ts'
import { get, part } from '../../api.ts'
import type { Node } from '../../node-type.ts'

export function useTimeline(node: Node, { limit }: { limit: number }) {
  return useQuery({
    queryKey: ['node', node.uuid, 'timeline', limit],
    queryFn: ({ signal }) => get<Timeline>(`/v1/nodes/${part(node.uuid)}/timeline`, { query: { limit }, signal }),
    refetchInterval: ({ state }) => (state.data?.runs[0]?.now ? 1000 : false),
  })
}
