/**
 * Opens the strategy that `auth_strategy` names, and the policy that goes with it. What it needs (a file, the settings of
 * an identity service) is checked at the start.
 */
import { isIP } from 'node:net'
import type { Config } from '#config/options.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import { type Authenticator, noauth } from '../auth.ts'
import { openEnforcer } from '../policy/enforcer.ts'
import { type Policy, unrestricted } from '../policy/policy.ts'
import { openHttpBasic } from './http-basic.ts'
import { openKeystone } from './keystone.ts'
import { keystoneSettings } from './keystone-settings.ts'

export type AuthConfig = Pick<Config, 'DEFAULT' | 'api' | 'keystone_authtoken' | 'oslo_policy'>

interface Tools {
  readonly clock: Clock
  readonly log: Log
  /** A relative `policy_file` is looked for beside them. */
  readonly configFiles: readonly string[]
}

/** @throws InvalidInput when what the strategy needs is missing or wrong */
export async function openAccess(config: AuthConfig, tools: Tools): Promise<{ auth: Authenticator; policy: Policy }> {
  const policy = config.DEFAULT.auth_strategy === 'keystone' ? await openEnforcer(config, tools) : unrestricted
  return { auth: await openAuthenticator(config, tools), policy }
}

async function openAuthenticator(config: AuthConfig, { clock, log }: Tools): Promise<Authenticator> {
  const { auth_strategy, http_basic_auth_user_file } = config.DEFAULT
  if (auth_strategy === 'http_basic') return openHttpBasic({ path: http_basic_auth_user_file, clock, log })
  if (auth_strategy === 'keystone') return openKeystone(keystoneSettings(config.keystone_authtoken), { clock, log })
  const open = openTo(config)
  if (open !== null) {
    log.warn(
      { auth_strategy },
      `Everybody who reaches ${open} may do everything with every machine; set [DEFAULT] auth_strategy, or [api] host_ip = 127.0.0.1`,
    )
  }
  return noauth
}

/** Where others than this host's own programs reach the API; null where they do not. */
function openTo({ api }: AuthConfig): string | null {
  if (api.unix_socket) return null
  const { host_ip: host, port } = api
  if (host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))) return null
  return `${host}:${port}`
}
