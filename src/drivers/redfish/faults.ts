/**
 * What can go wrong between us and a BMC, told apart, because each calls for another action: the cable, the
 * certificate, the password, the address, or the firmware. It sends nothing and decides nothing.
 */
import { messageOf } from '#lib/fault.ts'
import { HardwareFault } from '../driver.ts'
import type { BmcSettings } from './driver-info.ts'
import type { Answer, Method } from './transport.ts'

/** No connection, or it broke off before the answer was whole. */
export class BmcUnreachable extends HardwareFault {
  override readonly code = 'bmc-unreachable'
  override get mayPass(): boolean {
    return true
  }
}

/** The BMC's certificate is not trusted, or no TLS could be agreed upon. */
export class BmcNotTrusted extends HardwareFault {
  override readonly code = 'bmc-not-trusted'
}

/** The BMC refuses the user or the password. */
export class BmcAccessDenied extends HardwareFault {
  override readonly code = 'bmc-access-denied'
}

/** Something answered that does not speak Redfish. */
export class NotRedfish extends HardwareFault {
  override readonly code = 'bmc-not-redfish'
}

/** The BMC answered a request with an error. */
export class BmcRefused extends HardwareFault {
  override readonly code = 'bmc-refused'
  readonly httpStatus: number
  /** What the BMC says in its own words, with the identifiers of its messages. */
  readonly said: string

  constructor(message: string, answer: { status: number; said: string }) {
    super(message)
    this.httpStatus = answer.status
    this.said = answer.said
  }

  /** Busy, restarting, or behind a gateway that lost it. */
  override get mayPass(): boolean {
    return this.httpStatus === 429 || (this.httpStatus >= 502 && this.httpStatus <= 504)
  }
}

/** A connection that failed, and what may be done about it. */
export interface ConnectionFailure {
  kind: 'no connection' | 'connect timeout' | 'tls' | 'broken off' | 'no answer' | 'not http'
  /** Ends "Cannot …: ". */
  reason: string
  /** It may be different a little later. */
  mayPass: boolean
  /** The BMC may have carried out the request. */
  mayBeDone: boolean
}

/** Our own error for a certificate that is not accepted: the connector knows more than an error code says. */
export class CertificateRejected extends Error {}

/** Reads an error of Node or undici. Source: Node.js "Errors", undici docs "Errors", OpenSSL verify(1). */
export function connectionFailure(error: unknown): ConnectionFailure {
  const inner = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error
  const code = codeOf(inner)
  const failed = (kind: ConnectionFailure['kind'], reason: string, mayPass: boolean, mayBeDone = false) => ({
    kind,
    reason,
    mayPass,
    mayBeDone,
  })
  if (inner instanceof CertificateRejected) return failed('tls', inner.message, false)
  switch (code) {
    case 'ECONNREFUSED':
      return failed('no connection', 'the connection was refused: nothing listens there', true)
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
      return failed('no connection', 'the host is unreachable: no answer to ARP, or a router says so', true)
    case 'ENETUNREACH':
      return failed('no connection', 'the network is unreachable: this conductor has no route to it', true)
    case 'ENOTFOUND':
      return failed('no connection', 'the name cannot be resolved: DNS knows no such host', false)
    case 'EAI_AGAIN':
      return failed('no connection', 'the name cannot be resolved now: no DNS server answers', true)
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return failed('connect timeout', 'the connection timed out: no answer at all', true)
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return failed('no answer', 'it took the request and did not answer in time', true, true)
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return failed('broken off', 'it closed the connection in the middle', true, true)
  }
  if (inner instanceof Error && inner.name === 'HTTPParserError')
    return failed('not http', 'what answered does not speak HTTP here', false)
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return failed('tls', 'what answered does not speak TLS; for plain HTTP give redfish_address with http://', false)
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    return failed(
      'tls',
      `TLS could not be agreed upon (${code}); see redfish_tls_minimum_version, redfish_tls_ciphers`,
      false,
    )
  }
  return failed('broken off', messageOf(inner), true, true)
}

/** A fault for a connection that failed for good. */
export function faultOf(
  bmc: BmcSettings,
  request: string,
  failure: ConnectionFailure,
  attempts: number,
): HardwareFault {
  const tried = attempts > 1 ? ` (${attempts} attempts)` : ''
  const where = `the BMC at ${bmc.origin}`
  switch (failure.kind) {
    case 'tls':
      return new BmcNotTrusted(`Cannot trust ${where}: ${failure.reason}`)
    case 'not http':
      return new NotRedfish(`Cannot talk to ${where}: ${failure.reason}; check redfish_address`)
    case 'no connection':
    case 'connect timeout':
      return new BmcUnreachable(`Cannot connect to ${where}${tried}: ${failure.reason}`)
    default:
      return new BmcUnreachable(`Cannot finish ${request} at ${where}${tried}: ${failure.reason}`)
  }
}

/** Does the BMC refuse a login because of those it has, whatever status it says so with? Source: DMTF Base registry. */
export function saysSessionsAreUsedUp(answer: Answer): boolean {
  return answer.status >= 400 && /SessionLimitExceeded/.test(saidBy(answer))
}

/** A fault for an answer that is not a success; `body` is what was sent. */
export function refusal(bmc: BmcSettings, method: Method, path: string, answer: Answer, body?: unknown): HardwareFault {
  const said = masked([bmc.password, property(body, 'Password')], saidBy(answer))
  const tail = said === '' ? '' : `: ${said}`
  const what = `${method} ${path} with HTTP ${answer.status}`
  if (answer.status === 401 || answer.status === 403) {
    const who = bmc.username === null ? 'a request without user name' : `user ${JSON.stringify(bmc.username)}`
    const hint = answer.status === 401 ? 'check redfish_username and redfish_password' : 'the user may lack a privilege'
    return new BmcAccessDenied(`The BMC at ${bmc.origin} refused ${who} (${what}); ${hint}${tail}`)
  }
  return new BmcRefused(`The BMC at ${bmc.origin} answered ${what}${tail}`, { status: answer.status, said })
}

/**
 * The BMC's own words: the messages of its extended information, else the error's message, else the start of the text.
 * Source: DMTF DSP0266, "Error responses".
 */
export function saidBy(answer: Answer): string {
  const body = answer.body
  if (typeof body === 'string') return shortened(body.replace(/<[^>]*>/g, ' '))
  const error = property(body, 'error') ?? body
  const infos = property(error, '@Message.ExtendedInfo')
  const messages = (Array.isArray(infos) ? infos : []).map(messageIn).filter(text => text !== '')
  if (messages.length > 0) return shortened(messages.join('; '))
  return shortened([property(error, 'message'), property(error, 'code')].filter(isText).join(' '))
}

function messageIn(info: unknown): string {
  const [message, id, resolution] = ['Message', 'MessageId', 'Resolution'].map(name => property(info, name))
  const parts = [
    isText(message) ? message : '',
    isText(id) ? `[${id}]` : '',
    isText(resolution) && !/^none\.?$/i.test(resolution) ? resolution : '',
  ]
  return parts.filter(part => part !== '').join(' ')
}

function property(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return (value as Record<string, unknown>)[name] // an object; the value stays unknown
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== ''

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 600 ? `${line.slice(0, 597)}...` : line
}

/** Some firmware repeats the rejected request. */
function masked(secrets: readonly unknown[], text: string): string {
  const long = secrets.filter(isText).filter(secret => secret.length >= 3)
  return long.reduce((shown, secret) => shown.replaceAll(secret, '******'), text)
}

function codeOf(error: unknown): string {
  const code = property(error, 'code')
  return typeof code === 'string' ? code : ''
}
