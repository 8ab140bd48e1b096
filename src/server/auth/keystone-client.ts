/**
 * What Keystone says of callers' tokens, asked with this service's own. It remembers no caller's token; tokens and
 * passwords never reach a log or a message.
 * Source: Identity API v3; keystonemiddleware/auth_token/_identity.py
 */
import type { Clock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { OpenstackUnavailable, openKeystone } from '#lib/openstack/keystone.ts'
import { IdentityUnavailable } from './faults.ts'
import type { KeystoneSettings } from './keystone-settings.ts'
import { readToken, type Token } from './token.ts'

export interface KeystoneClient {
  /**
   * What a token stands for; undefined when it is none (any more).
   * @throws IdentityUnavailable
   */
  validate(token: string, options: { allowExpired: boolean }): Promise<Token | undefined>
  /** Gets our own token, to find out at the start whether that works. @throws IdentityUnavailable */
  login(): Promise<unknown>
  close(): Promise<void>
}

/** What tokens of application credentials with access rules need: we check those rules. */
const accessRules = { 'OpenStack-Identity-Access-Rules': '1.0' }

/** @throws InvalidInput when a certificate's file cannot be read */
export function keystoneClient(settings: KeystoneSettings, { clock, log }: { clock: Clock; log: Log }): KeystoneClient {
  const keystone = openKeystone(settings, { clock })
  let logged: unknown

  async function validate(token: string, { allowExpired }: { allowExpired: boolean }): Promise<Token | undefined> {
    // The catalog is long, and nothing here looks at it.
    const path = `/auth/tokens?nocatalog${allowExpired ? '&allow_expired=1' : ''}`
    for (let attempt = 0; ; attempt += 1) {
      const own = await keystone.login()
      const headers = { 'x-auth-token': own.token, 'x-subject-token': token, ...accessRules }
      const { status, body } = await keystone.ask('GET', path, { headers })
      if (status === 404) return undefined
      if (status === 401 && attempt === 0) {
        // It is our own token that is no longer accepted.
        keystone.forget(own.token)
        continue
      }
      const described = status === 200 ? readToken(body) : undefined
      if (described) return described
      throw new OpenstackUnavailable(`Keystone at ${settings.url} cannot validate a token, it answers ${status}`)
    }
  }

  /** The log tells the operator why; the caller only learns that nobody can be recognised. */
  async function discreetly<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (!(error instanceof OpenstackUnavailable)) throw error
      // A refusal is remembered and meets many callers; once told is enough.
      if (error !== logged) log.error({}, messageOf(error))
      logged = error
      throw new IdentityUnavailable('The Keystone service is temporarily unavailable.', { cause: error })
    }
  }

  return {
    login: () => discreetly(keystone.login()),
    validate: (token, options) => discreetly(validate(token, options)),
    close: () => keystone.close(),
  }
}
