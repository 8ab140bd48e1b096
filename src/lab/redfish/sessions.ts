/** The BMC's account and its sessions: who may ask. It has one account, as it comes from the factory. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { RedfishError } from './messages.ts'

export interface Account {
  username: string
  password: string
}

export interface Session {
  id: string
  username: string
  token: string
  lastUsedAtMs: number
}

/** Real BMCs have few; a client that never ends its sessions shall notice. */
const MAX_SESSIONS = 16
export const SESSION_TIMEOUT_S = 1800

export class Sessions {
  readonly #account: Account
  readonly #now: () => number
  readonly #byToken = new Map<string, Session>()
  #lastId = 0

  constructor(account: Account, now: () => number) {
    this.#account = account
    this.#now = now
  }

  /** The user name behind a request's headers. @throws RedfishError NoValidSession */
  authenticate(headers: Headers): string {
    const token = headers.get('x-auth-token')
    if (token !== null) {
      const session = this.list().find(candidate => candidate.token === token)
      if (session === undefined) throw new RedfishError('NoValidSession')
      session.lastUsedAtMs = this.#now()
      return session.username
    }
    const [scheme, encoded] = (headers.get('authorization') ?? '').split(' ')
    if (scheme?.toLowerCase() !== 'basic' || encoded === undefined) throw new RedfishError('NoValidSession')
    const [username, password] = splitOnce(Buffer.from(encoded, 'base64').toString(), ':')
    this.#check(username, password)
    return username
  }

  /** @throws RedfishError NoValidSession, SessionLimitExceeded */
  create(username: string, password: string): Session {
    this.#check(username, password)
    if (this.list().length >= MAX_SESSIONS) throw new RedfishError('SessionLimitExceeded', `${MAX_SESSIONS}`)
    const session: Session = {
      id: `${++this.#lastId}`,
      username,
      token: randomBytes(24).toString('base64url'),
      lastUsedAtMs: this.#now(),
    }
    this.#byToken.set(session.token, session)
    return session
  }

  /** Those that have not expired. */
  list(): Session[] {
    const oldest = this.#now() - SESSION_TIMEOUT_S * 1000
    for (const [token, session] of this.#byToken) if (session.lastUsedAtMs < oldest) this.#byToken.delete(token)
    return [...this.#byToken.values()]
  }

  find(id: string): Session | undefined {
    return this.list().find(session => session.id === id)
  }

  delete(session: Session): void {
    this.#byToken.delete(session.token)
  }

  /** All sessions end, as when a BMC restarts. */
  clear(): void {
    this.#byToken.clear()
  }

  #check(username: string, password: string): void {
    const right = equal(username, this.#account.username) && equal(password, this.#account.password)
    if (!right) throw new RedfishError('NoValidSession')
  }
}

function equal(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(left), digest(right))
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
