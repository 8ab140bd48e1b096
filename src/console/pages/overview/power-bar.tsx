/** How much of the fleet is on. */
import { Link } from 'react-router'
import type { FleetNode } from '../../fleet.ts'

const parts = [
  { state: 'power on', label: 'On' },
  { state: 'power off', label: 'Off' },
  { state: 'error', label: 'Error' },
  { state: 'unknown', label: 'Unknown' },
] as const

export function PowerBar({ nodes }: { nodes: readonly FleetNode[] }) {
  const counted = parts.map(part => ({
    ...part,
    count: nodes.filter(node => (node.power_state ?? 'unknown') === part.state).length,
  }))
  return (
    <>
      <div className="ferrite-bar" aria-hidden="true">
        {counted.map(({ state, count }) =>
          count === 0 ? null : (
            <span key={state} className={`ferrite-bar-${state.replace(' ', '-')}`} style={{ flexGrow: count }} />
          ),
        )}
      </div>
      <ul className="ferrite-legend">
        {counted.map(({ state, label, count }) => (
          <li key={state}>
            <span className={`ferrite-key ferrite-bar-${state.replace(' ', '-')}`} aria-hidden="true" />
            <Link to={`/nodes?power=${encodeURIComponent(state)}`}>{label}</Link> {count.toLocaleString()}
          </li>
        ))}
      </ul>
    </>
  )
}
