/**
 * Who a service is at Keystone: the options of keystoneauth, made into the body of a request for a token. Pure; what is
 * missing is said with the section that it is missing from.
 * Source: Identity API v3, "Authentication and token management"; keystoneauth1/loading, identity plug-ins
 */
import { InvalidInput } from '../fault.ts'

/** The options that every section has with which a service logs in. */
export interface LoginOptions {
  readonly auth_type: string | null
  readonly auth_url: string | null
  readonly username: string | null
  readonly user_id: string | null
  readonly password: string | null
  readonly user_domain_name: string | null
  readonly user_domain_id: string | null
  readonly project_name: string | null
  readonly project_id: string | null
  readonly project_domain_name: string | null
  readonly project_domain_id: string | null
  readonly default_domain_name: string | null
  readonly default_domain_id: string | null
  readonly domain_name: string | null
  readonly domain_id: string | null
  readonly system_scope: string | null
  readonly trust_id: string | null
  readonly tenant_name: string | null
  readonly tenant_id: string | null
  readonly application_credential_id: string | null
  readonly application_credential_name: string | null
  readonly application_credential_secret: string | null
}

/** How messages name what is missing. */
export interface Purpose {
  /** `Cannot ask Keystone about callers` */
  readonly attempt: string
  /** `keystone_authtoken` */
  readonly section: string
}

/** Keystone's URL with /v3 at the end. @throws InvalidInput when auth_url is missing or malformed */
export function identityUrl({ auth_url }: Pick<LoginOptions, 'auth_url'>, purpose: Purpose): string {
  if (auth_url === null) throw missing(purpose, 'auth_url', "Keystone's URL")
  if (!URL.canParse(auth_url)) throw missing(purpose, 'auth_url', `a URL, found ${JSON.stringify(auth_url)}`)
  const plain = auth_url.replace(/\/+$/, '')
  return /\/v3$/.test(plain) ? plain : `${plain}/v3`
}

/** Body of the request for a token. @throws InvalidInput naming the option that is missing */
export function credentials(options: LoginOptions, purpose: Purpose): Record<string, unknown> {
  return { auth: { identity: identityOf(options, purpose), ...scopeOf(options, purpose) } }
}

function missing({ attempt, section }: Purpose, name: string, expected: string): InvalidInput {
  return new InvalidInput(`${attempt}: expected [${section}] ${name} = ${expected}`)
}

function identityOf(options: LoginOptions, purpose: Purpose): Record<string, unknown> {
  const type = options.auth_type ?? 'password'
  if (type === 'password' || type === 'v3password') {
    const { password } = options
    if (password === null) throw missing(purpose, 'password', "the service's password")
    return { methods: ['password'], password: { user: { ...userOf(options, purpose), password } } }
  }
  if (type === 'v3applicationcredential') {
    const { application_credential_id: id, application_credential_secret: secret } = options
    if (secret === null) throw missing(purpose, 'application_credential_secret', 'its secret')
    const named = id === null ? { name: options.application_credential_name, user: userOf(options, purpose) } : { id }
    return { methods: ['application_credential'], application_credential: { ...named, secret } }
  }
  throw missing(purpose, 'auth_type', `password or v3applicationcredential, found ${JSON.stringify(type)}`)
}

function userOf(options: LoginOptions, purpose: Purpose): Record<string, unknown> {
  const { user_id: id, username: name } = options
  if (id !== null) return { id }
  if (name === null) throw missing(purpose, 'username', 'the user of this service')
  const domain = domainOf(options.user_domain_id, options.user_domain_name, options)
  if (!domain) throw missing(purpose, 'user_domain_name', 'the domain of that user')
  return { name, domain }
}

/** A domain by ID or name; where neither is given, the one that holds for user and project. */
function domainOf(
  id: string | null,
  name: string | null,
  { default_domain_id, default_domain_name }: LoginOptions,
): Record<string, unknown> | undefined {
  if (id !== null) return { id }
  if (name !== null) return { name }
  if (default_domain_id !== null) return { id: default_domain_id }
  return default_domain_name === null ? undefined : { name: default_domain_name }
}

function scopeOf(options: LoginOptions, purpose: Purpose): { scope?: Record<string, unknown> } {
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
    if (!domain) throw missing(purpose, 'project_domain_name', 'the domain of that project')
    return { scope: { project: { name, domain } } }
  }
  if (domain_id !== null) return { scope: { domain: { id: domain_id } } }
  if (domain_name !== null) return { scope: { domain: { name: domain_name } } }
  return {}
}
