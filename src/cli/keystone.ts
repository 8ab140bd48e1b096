/**
 * A token from Keystone v3, and the API's address from the catalog that comes with it. A token lives for an hour or so
 * and a wait may last longer: the session fetches a new one when the API refuses the old. Source: Identity API v3,
 * "Authentication and token management".
 */
import { Fault } from '#lib/fault.ts'
import type { Session } from './client.ts'
import { errorMessage, exchange, type Transport, tryParse } from './http.ts'
import type { KeystonePlan } from './login.ts'
import { UsageError } from './parse.ts'

/** Keystone did not give a token, or one that leads nowhere. */
export class LoginFailed extends Fault {
  readonly status = 401
  readonly code = 'login-failed'
}

/** @throws LoginFailed, UsageError, Unreachable */
export async function logIn(plan: KeystonePlan, transport: Transport): Promise<Session> {
  const { token, catalog } = await fetchToken(plan, transport)
  return {
    endpoint: plan.endpoint ?? endpointOf(catalog, plan),
    headers: { 'X-Auth-Token': token },
    renew: async () => ({ 'X-Auth-Token': (await fetchToken(plan, transport)).token }),
  }
}

async function fetchToken({ authUrl, auth }: KeystonePlan, transport: Transport) {
  const base = identityUrl(authUrl)
  const url = new URL(`${base.pathname}/auth/tokens`, base)
  const request = { what: 'identity service', named: '--os-auth-url or OS_AUTH_URL', base, url }
  const answer = await exchange({ ...request, method: 'POST', body: { auth } }, transport)
  if (answer.status >= 300) {
    const said = errorMessage(answer.text, answer.status)
    throw new LoginFailed(`Cannot log in at ${base.href}: ${said} (HTTP ${answer.status})`)
  }
  const token = answer.headers['x-subject-token']
  const body = tryParse(answer.text)?.token
  if (typeof token !== 'string' || typeof body !== 'object' || body === null) {
    throw new LoginFailed(`Cannot log in at ${base.href}: the answer holds no token. Is this Keystone?`)
  }
  return { token, catalog: 'catalog' in body && Array.isArray(body.catalog) ? body.catalog : [] }
}

/** The address of version 3, wherever the user's ends. */
function identityUrl(authUrl: string): URL {
  const url = URL.canParse(authUrl) ? new URL(authUrl) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`Cannot use the URL of --os-auth-url: expected http://HOST:PORT/v3 or https://HOST:PORT/v3`)
  }
  url.pathname = `${url.pathname.replace(/\/+(v3\/*)?$/, '')}/v3`
  url.search = ''
  url.username = ''
  url.password = ''
  return url
}

interface Service {
  readonly type?: unknown
  readonly name?: unknown
  readonly endpoints?: readonly { interface?: unknown; region_id?: unknown; region?: unknown; url?: unknown }[]
}

/** Other names of the service type in older catalogs. */
const aliases: readonly string[] = ['baremetal', 'bare-metal']

function endpointOf(catalog: readonly Service[], plan: KeystonePlan): string {
  const { serviceType, serviceName, interface: wanted, region } = plan
  const types = aliases.includes(serviceType) ? aliases : [serviceType]
  const endpoints = catalog
    .filter(({ type, name }) => types.some(one => one === type) && (serviceName === undefined || name === serviceName))
    .flatMap(service => service.endpoints ?? [])
  const fits = endpoints.find(
    one => one.interface === wanted && (region === undefined || one.region_id === region || one.region === region),
  )
  if (typeof fits?.url === 'string') return fits.url
  const where = region === undefined ? '' : ` in region ${region}`
  const advice = 'Name the API with --os-endpoint, or log in with a scope that has a catalog'
  throw new LoginFailed(
    `Cannot find the API: the catalog has no ${wanted} endpoint of ${serviceType}${where}. ${advice}`,
  )
}
