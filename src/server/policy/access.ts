/**
 * What handlers ask about the caller beside their endpoint's policy: may it know of this node, which part of a list is
 * its own, may it do this further thing. Ironic's order: who may not see a node is answered as if there were none.
 */
import { Forbidden } from '#lib/fault.ts'
import type { Call } from '../endpoint.ts'
import { stepPolicy } from './policies.ts'
import type { Target } from './policy.ts'

type Caller = Pick<Call, 'may'>

/** Whether the caller may know of the node and of what belongs to it. */
export function seesNode(call: Caller, node: Target): boolean {
  return call.may('baremetal:node:get', node)
}

/** One of these policies, beside the endpoint's own. @throws Forbidden */
export function demand(call: Caller, policies: readonly string[], target: Target | null): void {
  if (policies.some(policy => call.may(policy, target))) return
  throw new Forbidden(`Access was denied by policy ${policies.join(', ')}`)
}

/**
 * The project whose things alone a list may show; undefined: all may be shown.
 * @param asked a project that the request itself names
 * @throws Forbidden when the caller may list nothing, or asks for another's
 */
export function listScope(
  call: Caller & Pick<Call, 'identity'>,
  kind: 'node' | 'port' | 'portgroup' | 'volume' | 'allocation' | 'runbook',
  asked?: string,
): string | undefined {
  if (call.may(`baremetal:${kind}:list_all`, null)) return undefined
  const { projectId } = call.identity
  if (projectId === null) throw new Forbidden(`Access was denied by policy baremetal:${kind}:list_all`)
  if (asked !== undefined && asked !== projectId) {
    throw new Forbidden(`Cannot list what belongs to project ${asked}: expected the caller's own, ${projectId}`)
  }
  demand(call, [`baremetal:${kind}:list`], null)
  return projectId
}

/** The project that becomes owner of what the caller creates; undefined for callers that act for none. */
export function ownProject({ identity }: Pick<Call, 'identity'>): string | undefined {
  return identity.system ? undefined : (identity.projectId ?? undefined)
}

/**
 * Some steps are restricted by operators, each by a policy of its own; all others are free.
 * @param node on which they shall run; null while that is not known
 * @throws Forbidden naming the steps
 */
export function demandSteps(
  call: Caller & Pick<Call, 'restricts'>,
  steps: readonly { readonly interface: string; readonly step: string }[],
  node: Target | null,
): void {
  const names = steps.map(one => `${one.interface}.${one.step}`)
  const refused = names.filter(name => {
    const policy = `${stepPolicy}${name}`
    return call.restricts(policy) && !call.may(policy, node)
  })
  if (refused.length > 0) throw new Forbidden(`Access to the steps ${refused.join(', ')} was denied by policy`)
}
