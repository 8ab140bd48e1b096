/**
 * How Keystone is reached and who we are there: [keystone_authtoken], as keystonemiddleware and keystoneauth read it,
 * made into the body of a request for a token. What is missing is said at the start.
 */
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'

export interface KeystoneSettings {
  /** With /v3 at the end. */
  readonly url: string
  /** Where callers are sent for a token. */
  readonly publicUrl: string
  /** Body of the request for our own token. */
  readonly credentials: Record<string, unknown>
  readonly tls: { readonly cafile: string | null; readonly certfile: string | null; readonly keyfile: string | null }
  /** Do not check the certificate. */
  readonly insecure: boolean
  readonly timeoutMs: number
  /** Tries to connect after the first. */
  readonly connectRetries: number
  /** How long a validated token is trusted; 0 or less: not at all. */
  readonly cacheForMs: number
  readonly serviceRoles: readonly string[]
  readonly serviceRolesRequired: boolean
  /** What this service is called in access rules of application credentials. */
  readonly serviceType: string | null
}

type Options = Config['keystone_authtoken']

const defaultTimeoutS = 30

/** @throws InvalidInput naming the option that is missing */
export function keystoneSettings(options: Options): KeystoneSettings {
  const { auth_url, www_authenticate_uri, auth_uri, http_connect_timeout, timeout } = options
  if (auth_url === null) throw missing('auth_url', "Keystone's URL")
  if (!URL.canParse(auth_url)) throw missing('auth_url', `a URL, found ${JSON.stringify(auth_url)}`)
  return {
    url: versioned(auth_url),
    publicUrl: www_authenticate_uri ?? auth_uri ?? auth_url,
    credentials: { auth: { identity: identityOf(options), ...scopeOf(options) } },
    tls: { cafile: options.cafile, certfile: options.certfile, keyfile: options.keyfile },
    insecure: options.insecure,
    timeoutMs: (http_connect_timeout ?? timeout ?? defaultTimeoutS) * 1000,
    connectRetries: options.http_request_max_retries,
    cacheForMs: options.token_cache_time * 1000,
    serviceRoles: options.service_token_roles.map(role => role.toLowerCase()),
    serviceRolesRequired: options.service_token_roles_required,
    serviceType: options.service_type,
  }
}

function missing(name: string, expected: string): InvalidInput {
  return new InvalidInput(`Cannot ask Keystone about callers: expected [keystone_authtoken] ${name} = ${expected}`)
}

function versioned(url: string): string {
  const plain = url.replace(/\/+$/, '')
  return /\/v3$/.test(plain) ? plain : `${plain}/v3`
}

function identityOf(options: Options): Record<string, unknown> {
  const type = options.auth_type ?? options.auth_plugin ?? 'password'
  if (type === 'password' || type === 'v3password') {
    const { password } = options
    if (password === null) throw missing('password', "the service's password")
    return { methods: ['password'], password: { user: { ...userOf(options), password } } }
  }
  if (type === 'v3applicationcredential') {
    const { application_credential_id: id, application_credential_secret: secret } = options
    if (secret === null) throw missing('application_credential_secret', 'its secret')
    const named = id === null ? { name: options.application_credential_name, user: userOf(options) } : { id }
    return { methods: ['application_credential'], application_credential: { ...named, secret } }
  }
  throw missing('auth_type', `password or v3applicationcredential, found ${JSON.stringify(type)}`)
}

function userOf(options: Options): Record<string, unknown> {
  const { user_id: id, username: name } = options
  if (id !== null) return { id }
  if (name === null) throw missing('username', 'the user of this service')
  const domain = domainOf(options.user_domain_id, options.user_domain_name, options)
  if (!domain) throw missing('user_domain_name', 'the domain of that user')
  return { name, domain }
}

/** A domain by ID or name; where neither is given, the one that holds for user and project. */
function domainOf(
  id: string | null,
  name: string | null,
  { default_domain_id, default_domain_name }: Options,
): Record<string, unknown> | undefined {
  if (id !== null) return { id }
  if (name !== null) return { name }
  if (default_domain_id !== null) return { id: default_domain_id }
  return default_domain_name === null ? undefined : { name: default_domain_name }
}

function scopeOf(options: Options): { scope?: Record<string, unknown> } {
  // The scope of an application credential is its own.
  if (options.application_credential_secret !== null) return {}
  const { system_scope, trust_id, domain_id, domain_name } = options
  const id = options.project_id ?? options.tenant_id
  const name = options.project_name ?? options.tenant_name
  if (system_scope !== null) return { scope: { system: { [system_scope]: true } } }
  if (trust_id !== null) return { scope: { 'OS-TRUST:trust': { id: trust_id } } }
  if (id !== null) return { scope: { project: { id } } }
  if (name !== null) {
    const domain = domainOf(options.project_domain_id, options.project_domain_name, options)
    if (!domain) throw missing('project_domain_name', 'the domain of that project')
    return { scope: { project: { name, domain } } }
  }
  if (domain_id !== null) return { scope: { domain: { id: domain_id } } }
  if (domain_name !== null) return { scope: { domain: { name: domain_name } } }
  return {}
}
