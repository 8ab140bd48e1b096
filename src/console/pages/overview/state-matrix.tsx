/** How many nodes are in which state, and for how long: a table whose cells darken with their number and lead to it. */
import { Link } from 'react-router'
import { provisionStates } from '#protocol/states.ts'
import { ageOf, ages } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { StateLabel } from '../../parts/state-label.tsx'

interface Props {
  readonly nodes: readonly FleetNode[]
  /** Those of them that are over their time. */
  readonly late: readonly FleetNode[]
  readonly nowMs: number
}

export function StateMatrix({ nodes, late, nowMs }: Props) {
  const cellOf = (node: FleetNode) => `${node.provision_state} ${ageOf(node, nowMs)}`
  const lateCells = new Set(late.map(cellOf))
  const counts = new Map<string, number>()
  const add = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)
  for (const node of nodes) {
    add(node.provision_state)
    add(cellOf(node))
  }
  const shown = provisionStates.filter(state => counts.has(state))
  const most = Math.max(...shown.flatMap(state => ages.map(age => counts.get(`${state} ${age.id}`) ?? 0)), 1)
  return (
    <div className="ferrite-scroll-x">
      <table className="ferrite-matrix">
        <thead>
          <tr>
            <th scope="col">State</th>
            {ages.map(age => (
              <th scope="col" key={age.id}>
                {age.label}
              </th>
            ))}
            <th scope="col">All</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(state => (
            <tr key={state}>
              <th scope="row">
                <StateLabel state={state} />
              </th>
              {ages.map(age => {
                const count = counts.get(`${state} ${age.id}`) ?? 0
                return (
                  <td key={age.id} className={lateCells.has(`${state} ${age.id}`) ? 'ferrite-late' : undefined}>
                    {count > 0 && (
                      <Link
                        to={`/nodes?state=${encodeURIComponent(state)}&age=${age.id}`}
                        style={{ '--share': `${Math.round(12 + 58 * Math.sqrt(count / most))}%` } as object}
                        aria-label={`${count} nodes in ${state}, ${age.label}${lateCells.has(`${state} ${age.id}`) ? ', some over their time' : ''}`}
                      >
                        {count.toLocaleString()}
                      </Link>
                    )}
                  </td>
                )
              })}
              <td className="ferrite-sum">
                <Link to={`/nodes?state=${encodeURIComponent(state)}`}>
                  {(counts.get(state) ?? 0).toLocaleString()}
                </Link>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
