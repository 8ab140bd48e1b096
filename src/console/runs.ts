/**
 * The runs under way of the whole fleet, by node: one question for all of them, asked again now and then, and when work
 * begins or ends.
 */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useRef } from 'react'
import type { LiveRun } from '#protocol/timeline.ts'
import { all } from './api.ts'
import type { RunsByNode, SeenRun } from './expected.ts'
import { type LiveEvent, useEvents } from './live.ts'

const key = ['runs'] as const
const rereadMs = 30_000
/** Work of a whole fleet begins and ends many times a second: once in this time is enough. */
const gatherMs = 3000

/** Empty until they are known, and where they cannot be asked for: then times are judged by what is usual. */
export function useRuns(): RunsByNode {
  const cache = useQueryClient()
  const { data } = useQuery({
    queryKey: key,
    queryFn: async ({ signal }): Promise<SeenRun[]> => {
      const runs = await all<LiveRun>('/v1/runs', 'runs', { signal })
      const readAtMs = Date.now()
      return runs.map(run => ({ run, readAtMs }))
    },
    refetchInterval: rereadMs,
    retry: false,
  })
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const onEvent = useCallback(
    ({ kind }: LiveEvent) => {
      if (kind !== 'requested' && kind !== 'ended') return
      timer.current ??= setTimeout(() => {
        timer.current = undefined
        void cache.invalidateQueries({ queryKey: key })
      }, gatherMs)
    },
    [cache],
  )
  useEvents(onEvent)
  useEffect(() => () => clearTimeout(timer.current), [])
  // A node has one run at a time; of two the later one.
  return useMemo(() => new Map(data?.map(seen => [seen.run.node_uuid, seen])), [data])
}
