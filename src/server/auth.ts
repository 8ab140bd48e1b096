/**
 * Who calls. The frame authenticates every request that is not public before it reads anything else of it; what the
 * caller may do is decided by policy/. The strategies are in auth/; `auth_strategy` names one.
 */
import type { IncomingMessage } from 'node:http'

/** Who was recognised. IDs and names are those of the identity service; null where the strategy knows none. */
export interface Identity {
  readonly userId: string | null
  readonly userName: string | null
  readonly userDomainId: string | null
  /** The token is for the whole system. */
  readonly system: boolean
  readonly projectId: string | null
  readonly projectName: string | null
  readonly projectDomainId: string | null
  /** The domain that the token is for. */
  readonly domainId: string | null
  readonly isAdminProject: boolean
  /** In lower case: roles are compared in any case. */
  readonly roles: readonly string[]
}

export interface Authenticator {
  /** @throws Unauthenticated, or a fault of status 503 when the identity service does not answer */
  authenticate(request: IncomingMessage): Identity | Promise<Identity>
  close?(): Promise<void>
}

/** Somebody of whom nothing is known: whoever calls what is public, and everybody with `noauth`. */
export const nobody: Identity = {
  userId: null,
  userName: null,
  userDomainId: null,
  system: false,
  projectId: null,
  projectName: null,
  projectDomainId: null,
  domainId: null,
  isAdminProject: false,
  roles: [],
}

export const noauth: Authenticator = { authenticate: () => nobody }
