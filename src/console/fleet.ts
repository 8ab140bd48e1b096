/**
 * Every node that the user may see, with the few fields that tables and sums need: read page by page, shown as the pages
 * come, and kept true by the event stream. A node that something happened to is asked for alone; when much happens at
 * once, all are read again.
 */
import { type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useRef } from 'react'
import { ApiFault, get, pages, part } from './api.ts'
import { type LiveEvent, useEvents } from './live.ts'
import type { Node } from './node-type.ts'

export const fleetFields = [
  'uuid',
  'name',
  'provision_state',
  'target_provision_state',
  'provision_updated_at',
  'power_state',
  'target_power_state',
  'maintenance',
  'maintenance_reason',
  'fault',
  'last_error',
  'health',
  'driver',
  'resource_class',
  'conductor',
  'conductor_group',
  'instance_uuid',
  'instance_name',
  'owner',
  'lessee',
  'protected',
  'retired',
] as const satisfies readonly (keyof Node)[]
export type FleetNode = Pick<Node, (typeof fleetFields)[number]>

export interface Fleet {
  readonly nodes: readonly FleetNode[]
  /** All pages have come. */
  readonly isComplete: boolean
}

const key = ['fleet'] as const
const pageSize = 1000
/** What changes without an event (a node made or removed, a power state that was looked up) is seen after this time. */
const rereadMs = 60_000
const gatherMs = 400
/** More at once, and reading all is less work for the service. */
const mostAlone = 100
const atOnce = 4

export function useFleet() {
  const cache = useQueryClient()
  const query = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => readFleet(cache, signal),
    refetchInterval: rereadMs,
    staleTime: rereadMs / 2,
  })
  useLiveFleet(cache)
  return query
}

async function readFleet(cache: QueryClient, signal: AbortSignal): Promise<Fleet> {
  const nodes: FleetNode[] = []
  // A first reading is shown while it grows; later ones replace what is shown when they are whole.
  const isFirst = cache.getQueryData<Fleet>(key)?.isComplete !== true
  for await (const page of pages<FleetNode>('/v1/nodes', 'nodes', {
    query: { fields: fleetFields, limit: pageSize },
    signal,
  })) {
    nodes.push(...page)
    if (isFirst) cache.setQueryData<Fleet>(key, { nodes: [...nodes], isComplete: false })
  }
  return { nodes, isComplete: true }
}

function useLiveFleet(cache: QueryClient): void {
  const gathered = useRef(new Set<string>())
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const onEvent = useCallback(
    ({ node_uuid }: LiveEvent) => {
      if (node_uuid === null) return
      gathered.current.add(node_uuid)
      timer.current ??= setTimeout(() => {
        const uuids = [...gathered.current]
        gathered.current.clear()
        void reread(cache, uuids).finally(() => {
          timer.current = undefined
        })
      }, gatherMs)
    },
    [cache],
  )
  useEvents(onEvent)
  useEffect(() => () => clearTimeout(timer.current), [])
}

async function reread(cache: QueryClient, uuids: readonly string[]): Promise<void> {
  if (uuids.length > mostAlone) return cache.invalidateQueries({ queryKey: key })
  const waiting = [...uuids]
  const found = new Map<string, FleetNode | undefined>()
  const worker = async () => {
    for (let uuid = waiting.pop(); uuid !== undefined; uuid = waiting.pop()) {
      try {
        found.set(uuid, await get<FleetNode>(`/v1/nodes/${part(uuid)}`, { query: { fields: fleetFields } }))
      } catch (error) {
        // Gone; whatever else went wrong, the next event or reading mends it.
        if (error instanceof ApiFault && error.status === 404) found.set(uuid, undefined)
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  cache.setQueryData<Fleet>(key, fleet => fleet && { ...fleet, nodes: merged(fleet.nodes, found) })
}

function merged(nodes: readonly FleetNode[], found: ReadonlyMap<string, FleetNode | undefined>): FleetNode[] {
  const known = new Set<string>()
  const kept = nodes.flatMap(node => {
    if (!found.has(node.uuid)) return [node]
    known.add(node.uuid)
    return found.get(node.uuid) ?? []
  })
  const fresh = [...found].flatMap(([uuid, node]) => (node && !known.has(uuid) ? [node] : []))
  return [...kept, ...fresh]
}
