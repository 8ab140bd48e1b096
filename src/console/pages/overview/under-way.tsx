/** The nodes that are worked on, with how far each is: the ones that began last. */
import { Link } from 'react-router'
import type { FleetNode } from '../../fleet.ts'
import { Work } from '../../parts/work.tsx'

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
