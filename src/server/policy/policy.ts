/**
 * What a caller may do. A policy is a name of Ironic's (`baremetal:node:get`) with a rule over the caller and the object
 * concerned; an endpoint names the policies it asks for. What stands here is the question; who answers it by rules is
 * enforcer.ts.
 */
import { Forbidden } from '#lib/fault.ts'
import type { Identity } from '../auth.ts'

/** The object that a policy is checked against, as far as rules may look at it. A node is one as it is. */
export interface Target {
  /** What `owner` belongs to. Default: a node. */
  readonly of?: 'node' | 'allocation' | 'runbook'
  readonly owner: string | null
  readonly lessee?: string | null
}

export interface Policy {
  /** A name that nobody has declared allows nothing. */
  allows(identity: Identity, policy: string, target: Target | null): boolean
  /** Whether rules are asked at all: not where everybody who is let in may do everything. */
  readonly enforced: boolean
  /** Whether there is a rule of this name; some exist only where an operator writes them. */
  restricts(policy: string): boolean
}

/** With `noauth` and `http_basic` whoever is let in is the administrator. Two policies show secrets: they stay closed. */
export const unrestricted: Policy = {
  enforced: false,
  restricts: () => false,
  allows: (_, policy) => !secretPolicies.includes(policy),
}

const secretPolicies = ['show_password', 'show_instance_secrets']

/** One of the policies must allow it. @throws Forbidden */
export function requireAny(policy: Policy, identity: Identity, names: readonly string[], target: Target | null): void {
  for (const name of names) if (policy.allows(identity, name, target)) return
  throw new Forbidden(`Access was denied by policy ${names.join(', ')}`)
}
