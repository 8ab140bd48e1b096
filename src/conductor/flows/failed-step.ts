/** What cleaning and servicing have in common when they fail: whether a step was under way, and what its failure means. */
import type { NodePatch } from '#db/nodes.ts'
import type { Failure } from '../flow-definition.ts'

type Kind = 'clean' | 'service'
type Stepping<K extends Kind> = { [F in `${K}_step`]: Record<string, unknown> }

export function hasStep<K extends Kind>(node: Stepping<K>, kind: K): boolean {
  return Object.keys(node[`${kind}_step`]).length > 0
}

/** A step that failed may have left the machine in any shape: maintenance keeps everybody off it. */
export function stepFailed<K extends Kind>(
  kind: K,
  node: Stepping<K> & { maintenance_reason: string | null },
  failure: Failure,
): NodePatch {
  const done: NodePatch = { [`${kind}_step`]: {} }
  if (failure.aborted || !hasStep(node, kind)) return done
  return {
    ...done,
    maintenance: true,
    maintenance_reason: node.maintenance_reason ?? failure.message,
    fault: `${kind} failure`,
  }
}
