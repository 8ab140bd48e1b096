/**
 * An OpenStack service as the options of its section say: who we are, where it is, and questions to it with our token.
 * It reads [glance], [swift] and [neutron]; what is asked of them is said elsewhere. Tokens reach no message.
 * Source: configuration, "keystoneauth options"; keystoneauth1/adapter.py, session.py, access/service_catalog.py
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import type { Config } from '#config/options.ts'
import { systemClock } from '#lib/clock.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { credentials, identityUrl } from '#lib/openstack/credentials.ts'
import {
  agentOf,
  askJson,
  type CatalogEntry,
  isConnectFailure,
  type JsonAnswer,
  type Keystone,
  OpenstackUnavailable,
  openKeystone,
} from '#lib/openstack/keystone.ts'

export type ServiceSection = 'glance' | 'swift' | 'neutron'

export interface OpenstackService extends AsyncDisposable {
  /** Of the catalog, or endpoint_override; without a slash at the end. @throws InvalidInput, OpenstackUnavailable */
  endpoint(): Promise<string>
  /** The project that we are logged in to; null without a login or a project. */
  projectId(): Promise<string | null>
  /** Headers that make a request ours. They are a secret. */
  authorization(): Promise<Record<string, string>>
  /**
   * Asks a URL of the service; with a new token once when ours is refused, again after failures as the section says.
   * @throws OpenstackUnavailable when there is no answer
   */
  ask(
    method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE',
    url: string,
    signal: AbortSignal,
    content?: { readonly headers: Readonly<Record<string, string>>; readonly body?: Uint8Array },
  ): Promise<JsonAnswer>
  readonly tls: { readonly insecure: boolean; readonly cafile: string | null }
}

type Shared = { readonly config: Config; shared<T extends object>(key: symbol, make: () => T): T }

const keys = {
  glance: Symbol('service of [glance]'),
  swift: Symbol('service of [swift]'),
  neutron: Symbol('service of [neutron]'),
}
const titles = { glance: 'Glance', swift: 'Swift', neutron: 'Neutron' }
const defaultTimeoutS = 60
/** What an inspection found is as long as a ramdisk may post. */
const bodyLimitBytes = 64 * 1024 * 1024

/** The process's one handle on the service. @throws InvalidInput when its section lacks something */
export function openstackService({ config, shared }: Shared, section: ServiceSection): OpenstackService {
  return shared(keys[section], () => openService(config, section))
}

function openService(config: Config, section: ServiceSection): OpenstackService {
  const own = config[section]
  const login = loginOptions(config, section)
  const purpose = { attempt: `Cannot use ${titles[section]}`, section: login.section }
  const type = login.options.auth_type ?? (login.options.auth_url === null ? 'none' : 'password')
  const timeoutMs = (own.timeout ?? defaultTimeoutS) * 1000
  const { cafile, certfile, keyfile, insecure } = own
  const tls = { section, tls: { cafile, certfile, keyfile }, insecure, timeoutMs }
  const agent = agentOf({ ...tls, bodyLimitBytes })
  const keystone: Keystone | null =
    type === 'none' || type === 'http_basic'
      ? null
      : openKeystone(
          {
            ...tls,
            section: login.section,
            url: identityUrl(login.options, purpose),
            credentials: credentials(login.options, purpose),
            connectRetries: own.connect_retries ?? 0,
          },
          { clock: systemClock },
        )

  async function authorization(): Promise<Record<string, string>> {
    if (keystone) return { 'x-auth-token': (await keystone.login()).token }
    const { username, password } = login.options
    if (type === 'none' || username === null) return {}
    return { authorization: `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}` }
  }

  return {
    tls: { insecure, cafile },
    authorization,
    async endpoint() {
      const given = own.endpoint_override ?? (keystone && catalogUrl((await keystone.login()).catalog, own))
      if (given) return given.replace(/\/+$/, '')
      throw new InvalidInput(
        keystone
          ? `Cannot use ${titles[section]}: the catalog has no endpoint of type ${own.service_type} with interface ${own.valid_interfaces.join(' or ')}${own.region_name === null ? '' : ` in region ${own.region_name}`}; expected one, or [${section}] endpoint_override`
          : `Cannot use ${titles[section]}: [${section}] has neither auth_url nor endpoint_override; expected one of them`,
      )
    },
    async projectId() {
      return keystone ? (await keystone.login()).projectId : null
    },
    async ask(method, url, signal, { headers: more = {}, ...content } = { headers: {} }) {
      for (let renewed = false; ; renewed = true) {
        const headers = { ...more, ...(await authorization()) }
        const question = { method, url, headers, ...content, dispatcher: agent, timeoutMs, signal }
        const answer = await patiently(section, own, question)
        if (answer.status !== 401 || renewed || !keystone) return answer
        keystone.forget(headers['x-auth-token'] ?? '')
      }
    },
    async [Symbol.asyncDispose]() {
      await keystone?.close()
      await agent.close()
    },
  }
}

/** The section whose login holds: the one that auth_section names, else its own. */
function loginOptions(config: Config, section: ServiceSection) {
  const { auth_section } = config[section]
  if (auth_section === null || auth_section === section) return { section, options: config[section] }
  if (
    auth_section === 'glance' ||
    auth_section === 'swift' ||
    auth_section === 'neutron' ||
    auth_section === 'keystone_authtoken'
  ) {
    return { section: auth_section, options: config[auth_section] }
  }
  throw new InvalidInput(
    `Cannot use ${titles[section]}: [${section}] auth_section is ${JSON.stringify(auth_section)}; expected glance, swift, neutron or keystone_authtoken`,
  )
}

function catalogUrl(catalog: readonly CatalogEntry[], own: Config[ServiceSection]): string | undefined {
  const endpoints = catalog
    .filter(({ type, name }) => type === own.service_type && (own.service_name === null || name === own.service_name))
    .flatMap(entry => entry.endpoints)
    .filter(({ region, region_id }) => own.region_name === null || own.region_name === (region_id ?? region))
  for (const wanted of own.valid_interfaces) {
    const found = endpoints.find(endpoint => endpoint.interface === wanted)
    if (found) return found.url
  }
  return undefined
}

interface Question {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  readonly url: string
  readonly headers: Record<string, string>
  readonly body?: Uint8Array
  readonly dispatcher: Dispatcher
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Asks again while the connection fails, or the service says that it is not ready, as often as the section says. */
async function patiently(
  section: ServiceSection,
  own: Config[ServiceSection],
  { url, ...options }: Question,
): Promise<JsonAnswer> {
  const connects = Math.max(own.connect_retries ?? 0, 'num_retries' in own ? own.num_retries : 0)
  const statuses = own.status_code_retries ?? 0
  const busy = own.retriable_status_codes ?? ['503']
  for (let failed = 0, refused = 0; ; ) {
    try {
      const answer = await askJson(url, options)
      if (refused >= statuses || !busy.includes(String(answer.status))) return answer
      refused += 1
      await delay((own.status_code_retry_delay ?? 1) * 1000, undefined, { signal: options.signal })
    } catch (error) {
      options.signal.throwIfAborted()
      if (failed >= connects || !isConnectFailure(error)) {
        const times = failed === 0 ? '' : `, asked ${failed + 1} times`
        throw new OpenstackUnavailable(
          `${titles[section]} at ${new URL(url).origin} does not answer${times}: ${messageOf(error)}`,
          { cause: error },
        )
      }
      failed += 1
      await delay((own.connect_retry_delay ?? 1) * 1000, undefined, { signal: options.signal })
    }
  }
}
