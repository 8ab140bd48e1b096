/**
 * How Keystone is reached and who we are there: [keystone_authtoken], as keystonemiddleware and keystoneauth read it.
 * What is missing is said at the start.
 */
import type { Config } from '#config/options.ts'
import { credentials, identityUrl } from '#lib/openstack/credentials.ts'
import type { KeystoneAccess } from '#lib/openstack/keystone.ts'

export interface KeystoneSettings extends KeystoneAccess {
  /** Where callers are sent for a token. */
  readonly publicUrl: string
  /** How long a validated token is trusted; 0 or less: not at all. */
  readonly cacheForMs: number
  readonly serviceRoles: readonly string[]
  readonly serviceRolesRequired: boolean
  /** What this service is called in access rules of application credentials. */
  readonly serviceType: string | null
}

const purpose = { attempt: 'Cannot ask Keystone about callers', section: 'keystone_authtoken' }
const defaultTimeoutS = 30

/** @throws InvalidInput naming the option that is missing */
export function keystoneSettings(options: Config['keystone_authtoken']): KeystoneSettings {
  const { auth_url, www_authenticate_uri, auth_uri, http_connect_timeout, timeout } = options
  const url = identityUrl(options, purpose)
  return {
    section: purpose.section,
    url,
    publicUrl: www_authenticate_uri ?? auth_uri ?? auth_url ?? url,
    credentials: credentials({ ...options, auth_type: options.auth_type ?? options.auth_plugin }, purpose),
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
