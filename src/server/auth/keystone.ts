/**
 * `auth_strategy = keystone`: callers bring a token in X-Auth-Token, and Keystone says whom it stands for. What it said
 * is remembered for `token_cache_time`, a refusal for a few seconds, and a token is asked for once however many requests
 * come with it. A service that acts for somebody adds its own token (X-Service-Token): with it the caller's may have
 * expired meanwhile.
 *
 * Source: REST API reference, "Three ways"; keystonemiddleware/auth_token/__init__.py
 */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { recentMap } from '#lib/recent.ts'
import type { Authenticator, Identity } from '../auth.ts'
import { Busy } from '../faults.ts'
import { digestOf } from './digest.ts'
import { Unauthenticated } from './faults.ts'
import { type KeystoneClient, keystoneClient } from './keystone-client.ts'
import type { KeystoneSettings } from './keystone-settings.ts'
import { ruleMatches, type Token } from './token.ts'

const refusedForMs = 10_000
const rememberMost = 10_000
const mostAsking = 1000
/** No real token is longer; a header that is must not become work for Keystone. */
const longestToken = 16_384

export function openKeystone(settings: KeystoneSettings, { clock, log }: { clock: Clock; log: Log }): Authenticator {
  const client = keystoneClient(settings, { clock, log })
  // Whether we are let in ourselves is best known before the first caller comes.
  client.login().catch(error => log.error({}, `no token of a caller can be validated: ${messageOf(error)}`))
  const lookUp = tokenLookUp(client, settings, clock)

  const refuse = () =>
    new Unauthenticated(
      'The request you have made requires authentication.',
      `Keystone uri="${settings.publicUrl.replaceAll('"', '')}"`,
    )

  /** @throws Unauthenticated */
  function admit(token: Token | undefined, request: IncomingMessage, options: { allowExpired: boolean }): Identity {
    if (!token) throw refuse()
    if (!options.allowExpired && token.expiresAtMs <= clock.now()) throw refuse()
    const { accessRules } = token
    if (accessRules && headerOf(request, 'x-service-token') === undefined) {
      const { serviceType } = settings
      if (serviceType === null) {
        log.warn({}, 'a token with access rules was refused: [keystone_authtoken] service_type is not set')
        throw refuse()
      }
      const asked = {
        service: serviceType,
        method: request.method ?? '',
        path: (request.url ?? '').split('?', 1)[0] ?? '',
      }
      if (!accessRules.some(rule => ruleMatches(rule, asked))) throw refuse()
    }
    return token.identity
  }

  /** Whether the service's token allows the caller's to have expired. @throws Unauthenticated when it is none */
  async function serviceAllowsExpired(token: string): Promise<boolean> {
    const found = await lookUp(token, { allowExpired: false })
    if (!found || found.expiresAtMs <= clock.now()) throw refuse()
    const isService = found.identity.roles.some(role => settings.serviceRoles.includes(role))
    if (!isService && settings.serviceRolesRequired) throw refuse()
    return isService
  }

  return {
    authenticate(request) {
      const token = headerOf(request, 'x-auth-token')
      if (token === undefined || token.length > longestToken) throw refuse()
      const service = headerOf(request, 'x-service-token')
      if (service === undefined) {
        const options = { allowExpired: false }
        const found = lookUp(token, options)
        return found instanceof Promise
          ? found.then(one => admit(one, request, options))
          : admit(found, request, options)
      }
      return serviceAllowsExpired(service.slice(0, longestToken)).then(async allowExpired =>
        admit(await lookUp(token, { allowExpired }), request, { allowExpired }),
      )
    },
    close: () => client.close(),
  }
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  const text = (Array.isArray(value) ? value[0] : value)?.trim()
  return text === '' ? undefined : text
}

type LookUp = (token: string, options: { allowExpired: boolean }) => Token | undefined | Promise<Token | undefined>

/** What tokens stand for, remembered under their digests. */
function tokenLookUp(client: KeystoneClient, { cacheForMs }: KeystoneSettings, clock: Clock): LookUp {
  // Apart from each other, so that a flood of wrong tokens drives out no right ones.
  const known = recentMap<Token>({ most: rememberMost, now: clock.now })
  const refused = recentMap<true>({ most: rememberMost, now: clock.now })
  const asking = new Map<string, Promise<Token | undefined>>()

  async function ask(key: string, token: string, options: { allowExpired: boolean }): Promise<Token | undefined> {
    if (asking.size >= mostAsking) {
      throw new Busy('Cannot validate the token now: too many others are being validated; try again in a few seconds')
    }
    const found = await client.validate(token, options)
    if (!found) refused.set(key, true, refusedForMs)
    else if (cacheForMs > 0) known.set(key, found, cacheForMs)
    return found
  }

  return (token, options) => {
    // In front, where no token can write it: what is remembered of one kind is not found as the other.
    const key = digestOf(`${options.allowExpired ? 'any' : 'valid'} ${token}`)
    const remembered = known.get(key)
    if (remembered !== undefined) return remembered
    if (refused.get(key)) return undefined
    const running = asking.get(key)
    if (running) return running
    const started = ask(key, token, options).finally(() => asking.delete(key))
    asking.set(key, started)
    return started
  }
}
