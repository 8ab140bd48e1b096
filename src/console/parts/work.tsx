/** What is being done to a node, in a line: how far it is, by its timeline, and how long it will take. */
import { Progress, ProgressMeasureLocation, ProgressSize } from '@patternfly/react-core'
import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import type { Timeline } from '#protocol/timeline.ts'
import { get, part } from '../api.ts'
import { inStateMs } from '../expected.ts'
import type { FleetNode } from '../fleet.ts'
import { StateLabel } from './state-label.tsx'
import { duration } from './time.ts'

export function Work({ node, nowMs }: { node: FleetNode; nowMs: number }) {
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
