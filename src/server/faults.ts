/**
 * Faults that only the API raises, and the documents that faults become. The body is JSON whose one value is again
 * JSON, as text: clients decode it twice. Source: REST API reference, "Errors".
 */
import { Fault } from '#lib/fault.ts'
import { AuthFault } from './auth/faults.ts'

/** Something of the request is newer than the version it was made with, or no acceptable answer exists. */
export class NotAcceptable extends Fault {
  readonly status = 406
  readonly code = 'not-acceptable'
}

/** The request led to no handler: path, method or version do not fit. */
export class NoRoute extends Fault {
  readonly status: 400 | 403 | 404 | 405 | 406
  readonly code = 'no-route'
  constructor(status: NoRoute['status'], message: string) {
    super(message)
    this.status = status
  }
}

/** The body is larger or deeper than allowed. */
export class BodyLimit extends Fault {
  readonly status: 400 | 413
  readonly code = 'body-limit'
  constructor(status: BodyLimit['status'], message: string) {
    super(message)
    this.status = status
  }
}

/** More requests are waiting than can be answered soon. */
export class Busy extends Fault {
  readonly status = 503
  readonly code = 'busy'
}

/** The machine cannot be reached: its BMC fails, and the node was put aside for that. */
export class PowerFailed extends Fault {
  readonly status = 503
  readonly code = 'power-failed'
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
}

/** The body that tells a caller of a fault. */
export function faultBody(fault: Pick<Fault, 'status' | 'message'>): string {
  const { status, message } = fault
  const faultcode = status < 500 ? 'Client' : 'Server'
  if (fault instanceof AuthFault) return JSON.stringify({ error: fault.document() })
  if (fault instanceof BodyLimit) return JSON.stringify({ faultcode, faultstring: message })
  const inner =
    fault instanceof NoRoute
      ? { code: status, title: titles[status], description: message }
      : { faultcode, faultstring: message, debuginfo: null }
  return JSON.stringify({ error_message: JSON.stringify(inner) })
}
