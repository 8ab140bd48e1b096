/**
 * Who calls, and whether they may. The frame authenticates once per request; handlers authorise against the policy
 * that their endpoint declares, with the object concerned. This is the one strategy there is for now: everyone is the
 * administrator (`auth_strategy = noauth`).
 */
import type { IncomingMessage } from 'node:http'

/** Who was recognised. */
export interface Identity {
  /** User as the authentication names them; null when it knows none. */
  readonly user: string | null
}

/** The object that a policy is checked against. */
export interface Target {
  readonly owner: string | null
  readonly lessee: string | null
}

export interface Auth {
  /** @throws a fault of status 401 */
  authenticate(request: IncomingMessage): Identity | Promise<Identity>
  /** @throws Forbidden, or NotFound where the caller may not even know of the object */
  authorize(identity: Identity, policy: readonly string[], target: Target | null): void
}

export const noauth: Auth = {
  authenticate: () => ({ user: null }),
  authorize() {},
}
