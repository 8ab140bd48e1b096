/** The nodes that are worked on, with how far each is: the ones that began last. */
import { Progress, ProgressMeasureLocation, ProgressSize } from '@patternfly/react-core'
import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import type { Timeline } from '#protocol/timeline.ts'
import { get, part } from '../../api.ts'
import { inStateMs } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { StateLabel } from '../../parts/state-label.tsx'
import { duration } from '../../parts/time.ts'

const most = 8

export function UnderWay({ nodes, nowMs }: { nodes: readonly FleetNode[]; nowMs: number }) {
  if (nodes.length === 0) return <p className="ferrite-subtle">Nothing is being done to any node.</p>
  const newest = [...nodes].sort((a, b) => (b.provision_updated_at ?? '').localeCompare(a.provision_updated_at ?? ''))
  return (
    <>
      <ul className="ferrite-list">
        {newest.slice(0, most).map(node => (
          <Work key={node.uuid} node={node} nowMs={nowMs} />
        ))}
      </ul>
      {nodes.length > most && <Link to="/nodes?view=busy">All {nodes.length.toLocaleString()}</Link>}
    </>
  )
}

function Work({ node, nowMs }: { node: FleetNode; nowMs: number }) {
  const { data } = useQuery({
    queryKey: ['node', node.uuid, 'timeline', 'newest'],
    queryFn: ({ signal }) => get<Timeline>(`/v1/nodes/${part(node.uuid)}/timeline`, { query: { limit: 1 }, signal }),
    refetchInterval: 3000,
    retry: false,
  })
  const now = data?.runs[0]?.now
  const name = node.name ?? node.uuid
  return (
    <li>
      <div className="ferrite-between">
        <Link to={`/nodes/${part(node.uuid)}`}>{name}</Link>
        <StateLabel state={node.provision_state} />
      </div>
      {now?.fraction != null ? (
        <Progress
          value={Math.round(now.fraction * 100)}
          size={ProgressSize.sm}
          measureLocation={ProgressMeasureLocation.outside}
          aria-label={`Progress of ${name}`}
        />
      ) : null}
      <div className="ferrite-subtle ferrite-small">
        {now
          ? `${now.what}${now.eta_s === null ? '' : ` · ${duration(now.eta_s * 1000)} left`}`
          : `for ${duration(inStateMs(node, nowMs) ?? 0)}`}
      </div>
    </li>
  )
}
