/**
 * Faults: what went wrong, said to somebody who can act on it.
 *
 * A fault has an HTTP status, a stable code, and a message that says what was attempted, then the state found. It is
 * the only kind of error that reaches a caller or `last_error` as it is; anything else is a bug, and answers as one.
 * Messages never carry a secret.
 */
export abstract class Fault extends Error {
  /** HTTP status of the reply when the fault ends a request. */
  abstract readonly status: number
  /** Stable, kebab-case; the key of the troubleshooting guide. */
  abstract readonly code: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** The request is wrong and will stay wrong: names the field, what was found, what was expected. */
export class InvalidInput extends Fault {
  readonly status = 400
  readonly code = 'invalid-input'
}

/** The caller named something that does not exist (or that it may not see). */
export class NotFound extends Fault {
  readonly status = 404
  readonly code = 'not-found'
}

/** The request is fine but the present state forbids it; it may succeed later or after another action. */
export class Conflict extends Fault {
  readonly status = 409
  readonly code = 'conflict'
}

/** Someone else holds the node; the caller may try again. */
export class NodeLocked extends Fault {
  readonly status = 409
  readonly code = 'node-locked'
}

/** The policy, or a protection on the object, forbids it. */
export class Forbidden extends Fault {
  readonly status = 403
  readonly code = 'forbidden'
}

/** The message of anything thrown, for logs and for wrapping: never `[object Object]`. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name
  return String(error)
}
