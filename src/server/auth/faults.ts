/**
 * Faults of authentication, and the documents in which callers read them: a client of Ironic finds the text under
 * `error`, not under `error_message`. Source: REST API reference, "Authentication and policy".
 */
import { Fault } from '#lib/fault.ts'

/** The error document has the form of the identity service's own. */
export abstract class AuthFault extends Fault {
  /** Value of WWW-Authenticate; absent where another try with other credentials changes nothing. */
  abstract readonly challenge: string | undefined
  abstract document(): Record<string, unknown>
}

/** No credentials, or wrong ones. */
export class Unauthenticated extends AuthFault {
  readonly status = 401
  readonly code = 'unauthenticated'
  readonly challenge: string
  constructor(message: string, challenge: string) {
    super(message)
    this.challenge = challenge
  }
  document(): Record<string, unknown> {
    return { code: this.status, title: 'Unauthorized', message: this.message }
  }
}

/** The credentials cannot be read at all. */
export class MalformedCredentials extends AuthFault {
  readonly status = 400
  readonly code = 'malformed-credentials'
  readonly challenge = undefined
  document(): Record<string, unknown> {
    return { code: this.status, title: 'Bad Request', message: this.message }
  }
}

/** The identity service does not answer, or answers what cannot be used: nobody can be recognised now. */
export class IdentityUnavailable extends AuthFault {
  readonly status = 503
  readonly code = 'identity-unavailable'
  readonly challenge = undefined
  document(): Record<string, unknown> {
    return { code: this.status, title: 'Service Unavailable', message: this.message }
  }
}
