/**
 * Questions and commands to a PDU over SNMP, one at a time. A session is opened for each and closed after it: a PDU is
 * asked a few times a minute, and holds nothing for us. What goes wrong is told apart: network, access, outlet.
 *
 * Source: RFC 1157, RFC 3416 (error statuses), RFC 3414 (reports of version 3).
 */
import { lookup } from 'node:dns/promises'
import snmp, { type Session, type Varbind } from 'net-snmp'
import { messageOf } from '#lib/fault.ts'
import { HardwareFault } from '../driver.ts'
import { type BmcAnswer, timed } from '../measured.ts'
import type { AuthProtocol, PduSettings, PrivProtocol, User } from './driver-info.ts'

/** Nothing came back. */
export class PduSilent extends HardwareFault {
  override readonly code = 'pdu-unreachable'
  override get mayPass(): boolean {
    return true
  }
}

/** The PDU does not take the user, or what it was proved with. */
export class PduAccessDenied extends HardwareFault {
  override readonly code = 'pdu-access-denied'
}

/** The PDU answered with an error: no such outlet, read only, a value that it does not take. */
export class PduRefused extends HardwareFault {
  override readonly code = 'pdu-refused'
}

/** The PDU answered what makes no sense. */
export class PduUnreadable extends HardwareFault {
  override readonly code = 'pdu-unreadable'
}

/** What an object holds. An object identifier is a text. */
export async function ask(
  settings: PduSettings,
  object: string,
  what: string,
  signal: AbortSignal,
): Promise<number | string> {
  const varbind = await exchange(
    settings,
    { kind: 'read', what: `the question for ${what}` },
    signal,
    (session, done) => session.get([object], done),
  )
  const { value } = varbind
  if (typeof value === 'number' || typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return value.toString()
  throw new PduUnreadable(`The PDU at ${addressOf(settings)} answered the question for ${what} with ${typeof value}`)
}

/** Writes an INTEGER. */
export async function tell(
  settings: PduSettings,
  { object, value, what }: { object: string; value: number; what: string },
  signal: AbortSignal,
): Promise<void> {
  const varbind = { oid: object, type: snmp.ObjectType.Integer, value }
  await exchange(settings, { kind: 'write', what }, signal, (session, done) => session.set([varbind], done))
}

type Done = (error: Error | null, varbinds?: readonly Varbind[]) => void

interface Asked {
  kind: 'read' | 'write'
  /** For messages. */
  what: string
}

function exchange(
  settings: PduSettings,
  asked: Asked,
  signal: AbortSignal,
  send: (session: Session, done: Done) => void,
): Promise<Varbind> {
  return timed('snmp', () => exchangeOnce(settings, asked, signal, send), outcomeOf)
}

function outcomeOf(result: { answer: Varbind } | { error: unknown }): BmcAnswer['outcome'] {
  if ('answer' in result) return 'ok'
  return result.error instanceof PduRefused ? 'refused' : 'failed'
}

async function exchangeOnce(
  settings: PduSettings,
  asked: Asked,
  signal: AbortSignal,
  send: (session: Session, done: Done) => void,
): Promise<Varbind> {
  signal.throwIfAborted()
  const session = await open(settings, asked.kind)
  let abort = () => {}
  try {
    const varbinds = await new Promise<readonly Varbind[]>((resolve, reject) => {
      abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      session.on('error', reject)
      send(session, (error, answer = []) => (error ? reject(error) : resolve(answer)))
    })
    const [varbind] = varbinds
    if (!varbind) throw new PduUnreadable(`The PDU at ${addressOf(settings)} answered ${asked.what} with nothing`)
    if (snmp.isVarbindError(varbind)) throw new PduRefused(refusal(settings, asked, snmp.varbindError(varbind)))
    return varbind
  } catch (error) {
    signal.throwIfAborted()
    throw faultOf(settings, asked, error)
  } finally {
    signal.removeEventListener('abort', abort)
    session.close()
  }
}

async function open(settings: PduSettings, kind: Asked['kind']): Promise<Session> {
  const { access, port, answerMs, retries } = settings
  const { address, family } = await lookup(settings.host).catch(error => {
    throw new PduSilent(`Cannot reach the PDU at ${addressOf(settings)}: ${messageOf(error)}; check snmp_address`)
  })
  const options = { port, retries, timeout: Math.max(1, answerMs), transport: family === 6 ? 'udp6' : 'udp4' } as const
  if (access.version === '3') {
    const { user } = access
    const more = { version: snmp.Version3, context: user.context }
    return snmp.createV3Session(address, securityOf(user), { ...options, ...more })
  }
  const community = kind === 'write' ? access.writeCommunity : access.readCommunity
  const version = access.version === '2c' ? snmp.Version2c : snmp.Version1
  return snmp.createSession(address, community, { ...options, version })
}

const auth: Readonly<Record<AuthProtocol, number>> = {
  none: snmp.AuthProtocols.none,
  md5: snmp.AuthProtocols.md5,
  sha: snmp.AuthProtocols.sha,
  sha224: snmp.AuthProtocols.sha224,
  sha256: snmp.AuthProtocols.sha256,
  sha384: snmp.AuthProtocols.sha384,
  sha512: snmp.AuthProtocols.sha512,
}

/** Keys of 256 bits are made of a password in two ways: Reeder's, and Blumenthal's. */
const priv: Readonly<Record<PrivProtocol, number>> = {
  none: snmp.PrivProtocols.none,
  aes: snmp.PrivProtocols.aes,
  aes256: snmp.PrivProtocols.aes256r,
  aes256blmt: snmp.PrivProtocols.aes256b,
}

function securityOf(user: User) {
  const { noAuthNoPriv, authNoPriv, authPriv } = snmp.SecurityLevel
  const level = user.authProtocol === 'none' ? noAuthNoPriv : user.privProtocol === 'none' ? authNoPriv : authPriv
  return {
    name: user.name,
    level,
    authProtocol: auth[user.authProtocol],
    authKey: user.authKey,
    privProtocol: priv[user.privProtocol],
    privKey: user.privKey,
  }
}

function faultOf(settings: PduSettings, asked: Asked, error: unknown): unknown {
  if (error instanceof HardwareFault) return error
  const address = addressOf(settings)
  const { access, retries, answerMs } = settings
  if (error instanceof snmp.RequestTimedOutError) {
    const about =
      access.version === '3'
        ? 'wrong address or port, or a firewall'
        : 'wrong address or port, a firewall, another SNMP version, or a community that it does not know'
    return new PduSilent(
      `The PDU at ${address} did not answer ${asked.what}, sent ${retries + 1} times, ${answerMs / 1000} s each: ${about}`,
    )
  }
  if (error instanceof snmp.RequestFailedError) return new PduRefused(refusal(settings, asked, messageOf(error)))
  if (error instanceof snmp.ResponseInvalidError) {
    const why = messageOf(error)
    if (access.version !== '3')
      return new PduUnreadable(`The PDU at ${address} answered ${asked.what} with nonsense: ${why}`)
    return new PduAccessDenied(
      `The PDU at ${address} does not take ${asked.what} from user ${JSON.stringify(access.user.name)}: ${why}; ` +
        'check snmp_user, snmp_auth_protocol, snmp_auth_key, snmp_priv_protocol and snmp_priv_key',
    )
  }
  if (error instanceof Error)
    return new PduSilent(`Cannot ask the PDU at ${address} ${asked.what}: ${messageOf(error)}`)
  return error
}

function refusal(settings: PduSettings, asked: Asked, why: string): string {
  const check =
    asked.kind === 'write' ? 'snmp_driver, snmp_outlet and the right to write' : 'snmp_driver and snmp_outlet'
  return `The PDU at ${addressOf(settings)} refused ${asked.what}: ${why}; check ${check}`
}

const addressOf = ({ host, port }: PduSettings) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
