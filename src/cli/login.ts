/**
 * How to log in, chosen from what the user has given. Only reads settings: asking Keystone is keystone.ts, which is
 * loaded where it is needed. Passwords and tokens never get into an error's text.
 */
import type { Session } from './client.ts'
import type { GlobalOption } from './global-options.ts'
import { UsageError } from './parse.ts'

/** The value of a global option, wherever it came from. */
export type Text = (option: GlobalOption) => string | undefined

/** What Keystone is to be asked. */
export interface KeystonePlan {
  readonly kind: 'keystone'
  readonly authUrl: string
  /** `identity` and `scope` of the request. */
  readonly auth: Readonly<Record<string, unknown>>
  /** The API's URL, where the catalog is not to say. */
  readonly endpoint: string | undefined
  readonly serviceType: string
  readonly serviceName: string | undefined
  readonly interface: string
  readonly region: string | undefined
}

export type AuthPlan = { readonly kind: 'ready'; readonly session: Session } | KeystonePlan

const local = 'http://127.0.0.1:6385'
const known = 'none, http_basic, password, token or v3applicationcredential'

/** @throws UsageError naming what is missing */
export function authPlan(text: Text, endpoint: string | undefined): AuthPlan {
  const type = text('os-auth-type') ?? guess(text)
  const ready = (headers: Readonly<Record<string, string>>): AuthPlan => {
    return { kind: 'ready', session: { endpoint: endpoint ?? local, headers } }
  }
  switch (type) {
    case 'none':
      return ready({})
    case 'http_basic':
      return ready(basic(text))
    case 'admin_token':
      return ready({ 'X-Auth-Token': needed(text, type, 'os-token') })
    case 'token':
    case 'v3token':
      if (text('os-auth-url') === undefined) return ready({ 'X-Auth-Token': needed(text, type, 'os-token') })
      return keystone(text, type, endpoint, {
        identity: { methods: ['token'], token: { id: needed(text, type, 'os-token') } },
        ...scopeOf(text),
      })
    case 'password':
    case 'v3password':
      return keystone(text, type, endpoint, {
        identity: {
          methods: ['password'],
          password: { user: { ...userOf(text, type), password: needed(text, type, 'os-password') } },
        },
        ...scopeOf(text),
      })
    case 'v3applicationcredential':
      // The credential has its scope; naming one is an error.
      return keystone(text, type, endpoint, {
        identity: { methods: ['application_credential'], application_credential: credentialOf(text, type) },
      })
    default:
      throw new UsageError(`Cannot log in with "${type}": expected ${known}`)
  }
}

function guess(text: Text): string {
  if (text('os-token') !== undefined) return 'token'
  if (text('os-auth-url') === undefined) return 'none'
  return text('os-application-credential-secret') === undefined ? 'password' : 'v3applicationcredential'
}

function needed(text: Text, type: string, option: GlobalOption): string {
  const value = text(option)
  if (value !== undefined) return value
  const variable = option.replaceAll('-', '_').toUpperCase()
  throw new UsageError(`Cannot log in with ${type}: ${variable} (or --${option}) is missing`)
}

function basic(text: Text): Record<string, string> {
  const name = needed(text, 'http_basic', 'os-username')
  const password = needed(text, 'http_basic', 'os-password')
  return { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` }
}

function keystone(text: Text, type: string, endpoint: string | undefined, auth: KeystonePlan['auth']): KeystonePlan {
  return {
    kind: 'keystone',
    authUrl: needed(text, type, 'os-auth-url'),
    auth,
    endpoint,
    serviceType: text('os-service-type') ?? 'baremetal',
    serviceName: text('os-service-name'),
    interface: (text('os-interface') ?? 'public').replace(/URL$/, ''),
    region: text('os-region-name'),
  }
}

function domainOf(text: Text, whose: 'user' | 'project') {
  for (const domain of [`os-${whose}-domain`, 'os-default-domain'] as const) {
    const [id, name] = [text(`${domain}-id`), text(`${domain}-name`)]
    if (id !== undefined) return { domain: { id } }
    if (name !== undefined) return { domain: { name } }
  }
  return { domain: { id: 'default' } }
}

function userOf(text: Text, type: string) {
  const id = text('os-user-id')
  return id === undefined ? { name: needed(text, type, 'os-username'), ...domainOf(text, 'user') } : { id }
}

function credentialOf(text: Text, type: string) {
  const secret = needed(text, type, 'os-application-credential-secret')
  const id = text('os-application-credential-id')
  if (id !== undefined) return { id, secret }
  return { name: needed(text, type, 'os-application-credential-name'), secret, user: userOf(text, type) }
}

/** A trust before the system before a project before a domain; none where none is named. */
function scopeOf(text: Text): { scope?: unknown } {
  const trust = text('os-trust-id')
  if (trust !== undefined) return { scope: { 'OS-TRUST:trust': { id: trust } } }
  const system = text('os-system-scope')
  if (system !== undefined) {
    if (system !== 'all') throw new UsageError(`Wrong value for --os-system-scope: found "${system}", expected all`)
    return { scope: { system: { all: true } } }
  }
  const projectId = text('os-project-id')
  if (projectId !== undefined) return { scope: { project: { id: projectId } } }
  const project = text('os-project-name')
  if (project !== undefined) return { scope: { project: { name: project, ...domainOf(text, 'project') } } }
  const [id, name] = [text('os-domain-id'), text('os-domain-name')]
  if (id !== undefined) return { scope: { domain: { id } } }
  return name === undefined ? {} : { scope: { domain: { name } } }
}
