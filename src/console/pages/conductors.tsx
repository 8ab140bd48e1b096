/** The processes that work on nodes: whether each is alive, what it drives, and which nodes it holds now. */
import { Label } from '@patternfly/react-core'
import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { all, get } from '../api.ts'
import { useFleet } from '../fleet.ts'
import type { Conductor } from '../node-type.ts'
import { Facts } from '../parts/facts.tsx'
import { ListPage } from '../parts/list-page.tsx'
import { duration, moment, useNow } from '../parts/time.ts'

interface Detailed extends Conductor {
  readonly drivers: readonly string[]
  readonly created_at: string
}

interface Lease {
  readonly node_uuid: string
  readonly node_name: string | null
  readonly holder: string
  readonly purpose: string
  readonly since: string
}

export default function Conductors() {
  const nowMs = useNow(5000)
  const { data: fleet } = useFleet()
  const query = useQuery({
    queryKey: ['conductors', 'detail'],
    queryFn: ({ signal }) => all<Detailed>('/v1/conductors', 'conductors', { query: { detail: true }, signal }),
    refetchInterval: 15_000,
  })
  // Only those who see the whole fleet may ask; for others the page has no such rows.
  const { data: held } = useQuery({
    queryKey: ['leases'],
    queryFn: ({ signal }) => get<{ leases: Lease[] }>('/v1/leases', { signal }),
    refetchInterval: 5000,
    retry: false,
  })
  const heldBy = (hostname: string) => held?.leases.filter(({ holder }) => holder === hostname) ?? []
  const served = (hostname: string) => fleet?.nodes.filter(node => node.conductor === hostname).length ?? 0
  return (
    <ListPage
      title="Conductors"
      about="Each serves a part of the nodes; when one is silent, the others of its group take its nodes over."
      what="list the conductors"
      query={query}
      keyOf={({ hostname }) => hostname}
      empty="No conductor has ever been registered: is a service running?"
      columns={[
        { label: 'Host', text: ({ hostname }) => hostname },
        { label: 'Group', text: ({ conductor_group }) => conductor_group },
        {
          label: 'Health',
          text: ({ alive }) => (alive ? 'alive' : 'not heard of'),
          shown: ({ alive }) => (
            <Label isCompact color={alive ? 'green' : 'red'}>
              {alive ? 'alive' : 'not heard of'}
            </Label>
          ),
        },
        {
          label: 'Last sign of life',
          text: ({ updated_at }) => updated_at ?? '',
          shown: ({ updated_at }) => (updated_at ? `${duration(nowMs - Date.parse(updated_at))} ago` : '–'),
        },
        {
          label: 'Nodes',
          text: ({ hostname }) => served(hostname),
          shown: ({ hostname }) => (
            <Link to={`/nodes?conductor=${encodeURIComponent(hostname)}`}>{served(hostname).toLocaleString()}</Link>
          ),
        },
        { label: 'Works on', text: ({ hostname }) => heldBy(hostname).length },
      ]}
      details={({ hostname, drivers, created_at }) => (
        <Facts
          facts={[
            ['Hardware types', drivers.join(', ')],
            ['First registered', moment(created_at)],
            [
              'Holds now',
              heldBy(hostname).map(({ node_uuid, node_name, purpose, since }) => (
                <div key={node_uuid}>
                  <Link to={`/nodes/${node_uuid}`}>{node_name ?? node_uuid}</Link> for {purpose}, since{' '}
                  {duration(nowMs - Date.parse(since))}
                </div>
              )),
            ],
          ]}
        />
      )}
    />
  )
}
