/** Nodes that are worked on for longer than it takes, the latest first; and by what that is judged. */
import { Link } from 'react-router'
import { part } from '../../api.ts'
import { type Allowance, allowanceOf, type RunsByNode } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { latenessText } from '../../parts/lateness.ts'
import { StateLabel } from '../../parts/state-label.tsx'

const most = 8

interface Props {
  readonly nodes: readonly FleetNode[]
  readonly runs: RunsByNode
  readonly nowMs: number
}

export function Late({ nodes, runs, nowMs }: Props) {
  if (nodes.length === 0) return <p className="ferrite-subtle">Everything that is under way is within its time.</p>
  const found = nodes.flatMap(node => {
    const allowance = allowanceOf(node, runs.get(node.uuid), nowMs)
    return allowance ? [{ node, allowance }] : []
  })
  const latest = found.toSorted((a, b) => over(b.allowance) - over(a.allowance)).slice(0, most)
  const byHistory = found.filter(({ allowance }) => allowance.by === 'history').length
  return (
    <>
      <p className="ferrite-subtle ferrite-small">
        {byHistory.toLocaleString()} by the history of their model, {(found.length - byHistory).toLocaleString()} by
        default times
      </p>
      <ul className="ferrite-list">
        {latest.map(({ node, allowance }) => (
          <li key={node.uuid}>
            <div className="ferrite-between">
              <Link to={`/nodes/${part(node.uuid)}/why`}>{node.name ?? node.uuid}</Link>
              <StateLabel state={node.provision_state} />
            </div>
            <div className="ferrite-subtle ferrite-small">{latenessText(allowance)}</div>
          </li>
        ))}
      </ul>
      {nodes.length > most && <Link to="/nodes?view=overdue">All {nodes.length.toLocaleString()}</Link>}
    </>
  )
}

const over = ({ spentMs, allowedMs }: Allowance) => spentMs - allowedMs
