/** How many nodes are in which state, and for how long: a table whose cells darken with their number and lead to it. */
import { Link } from 'react-router'
import { provisionStates } from '#protocol/states.ts'
import { type Age, ageOf, ages, expectedIn } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { StateLabel } from '../../parts/state-label.tsx'

export function StateMatrix({ nodes, nowMs }: { nodes: readonly FleetNode[]; nowMs: number }) {
  const counts = new Map<string, number>()
  const add = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)
  for (const node of nodes) {
    add(node.provision_state)
    add(`${node.provision_state} ${ageOf(node, nowMs)}`)
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
                  <td key={age.id} className={isLate(state, age.id) ? 'ferrite-late' : undefined}>
                    {count > 0 && (
                      <Link
                        to={`/nodes?state=${encodeURIComponent(state)}&age=${age.id}`}
                        style={{ '--share': `${Math.round(12 + 58 * Math.sqrt(count / most))}%` } as object}
                        aria-label={`${count} nodes in ${state}, ${age.label}`}
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

/** Everything in the column is over what the state takes. */
function isLate(state: (typeof provisionStates)[number], age: Age): boolean {
  const expectedMs = expectedIn(state)
  const before = ages[ages.findIndex(one => one.id === age) - 1]
  return expectedMs !== undefined && before !== undefined && before.endMs >= expectedMs
}
