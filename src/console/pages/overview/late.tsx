/** Nodes that are in a state of work for longer than it takes, the latest first. */
import { Link } from 'react-router'
import { part } from '../../api.ts'
import { expectedIn, inStateMs } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { StateLabel } from '../../parts/state-label.tsx'
import { duration } from '../../parts/time.ts'

const most = 8

export function Late({ nodes, nowMs }: { nodes: readonly FleetNode[]; nowMs: number }) {
  if (nodes.length === 0) return <p className="ferrite-subtle">Everything that is under way is within its time.</p>
  const over = (node: FleetNode) => (inStateMs(node, nowMs) ?? 0) - (expectedIn(node.provision_state) ?? 0)
  const latest = [...nodes].sort((a, b) => over(b) - over(a)).slice(0, most)
  return (
    <>
      <ul className="ferrite-list">
        {latest.map(node => (
          <li key={node.uuid}>
            <div className="ferrite-between">
              <Link to={`/nodes/${part(node.uuid)}/why`}>{node.name ?? node.uuid}</Link>
              <StateLabel state={node.provision_state} />
            </div>
            <div className="ferrite-subtle ferrite-small">
              {duration(inStateMs(node, nowMs) ?? 0)}, expected {duration(expectedIn(node.provision_state) ?? 0)} at
              most
            </div>
          </li>
        ))}
      </ul>
      {nodes.length > most && <Link to="/nodes?view=overdue">All {nodes.length.toLocaleString()}</Link>}
    </>
  )
}
