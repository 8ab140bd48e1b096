/**
 * The three ways to be let in: what each asks of the service's configuration, and of the environment of the clients,
 * who are the administrator in all of them. `npm run interop:clients` runs every test in each.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hash } from 'bcrypt'
import type { Sections } from '#lab/service-process.ts'
import { addToCatalog, environmentOf, type KeystoneAccess, keystoneOfTests } from './keystone.ts'

export const accessModes = ['noauth', 'http_basic', 'keystone'] as const
export type AccessMode = (typeof accessModes)[number]

export type ClientEnvironment = Readonly<Record<string, string>>

export interface Access {
  readonly mode: AccessMode
  /** Options of the service. */
  readonly config: Sections
  /** The environment in which a client finds the service at `endpoint` and is its administrator. */
  environment(endpoint: string): Promise<ClientEnvironment>
}

/** How this process shall test: FERRITE_CLIENT_ACCESS names it; without it everybody is let in. */
export function modeOfTests(): AccessMode {
  return accessModes.find(name => name === process.env.FERRITE_CLIENT_ACCESS) ?? 'noauth'
}

/** @param directory for the file of users; it is there */
export async function accessOfTests(directory: string): Promise<Access> {
  const mode = modeOfTests()
  if (mode === 'noauth') return noauth
  return mode === 'http_basic' ? await httpBasic(directory) : keystone(keystoneOfTests())
}

export const noauth: Access = {
  mode: 'noauth',
  config: { DEFAULT: { auth_strategy: 'noauth' } },
  environment: async endpoint => ({ OS_AUTH_TYPE: 'none', OS_ENDPOINT: endpoint }),
}

/** @param directory for the file of users */
export async function httpBasic(directory: string): Promise<Access> {
  const user = { name: 'ferrite-admin', password: 'what: only the clients know' }
  const path = join(directory, 'htpasswd')
  await writeFile(path, `${user.name}:${await hash(user.password, 5)}\n`, { mode: 0o600 })
  return {
    mode: 'http_basic',
    config: { DEFAULT: { auth_strategy: 'http_basic', http_basic_auth_user_file: path } },
    environment: async endpoint => ({
      ...{ OS_AUTH_TYPE: 'http_basic', OS_ENDPOINT: endpoint },
      ...{ OS_USERNAME: user.name, OS_PASSWORD: user.password },
    }),
  }
}

/** The clients find the service in Keystone's catalog, by a region of its own. */
export function keystone(access: KeystoneAccess): Access {
  const service = { username: 'ferrite', user_domain_id: 'default' }
  const scope = { project_name: 'service', project_domain_id: 'default' }
  const password = { auth_type: 'password', auth_url: access.url, password: access.password }
  return {
    mode: 'keystone',
    config: {
      DEFAULT: { auth_strategy: 'keystone' },
      keystone_authtoken: { ...password, ...service, ...scope, www_authenticate_uri: access.url },
    },
    environment: async endpoint => ({
      ...environmentOf(access, 'system-admin'),
      OS_REGION_NAME: await addToCatalog(access, endpoint),
    }),
  }
}
