/**
 * One repository of an OCI registry: manifests, checked against their digest, and where blobs are. Where the registry
 * wants to know who asks, it says how: with a name and password, or with a token that another server gives for them.
 * Source: OCI distribution specification 1.1, "Pull"; distribution/distribution, "Token authentication"; RFC 9110, 11
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { ImageRefused, ImageUnreachable } from './faults.ts'
import { ask, type HttpSettings } from './http.ts'

export const manifestTypes = {
  index: ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'],
  manifest: ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'],
} as const

/** A name may be empty: the password is a token then. */
export interface RegistryCredentials {
  readonly user: string
  readonly password: string
}

export interface RegistryOptions {
  readonly host: string
  readonly repository: string
  /** How messages name the image. */
  readonly shown: string
  readonly settings: HttpSettings
  readonly credentials: RegistryCredentials | null
  /** A docker config.json that has credentials where none are given. */
  readonly authenticationConfig: string | null
  /** Try http where the registry speaks no TLS. */
  readonly permitHttp: boolean
  readonly signal: AbortSignal
}

const rateLimitAttempts = 5
const manifestLimitBytes = 4 * 1024 * 1024

export class OciRegistry {
  readonly #options: RegistryOptions
  #scheme: 'https' | 'http' = 'https'
  #authorization: string | null = null

  constructor(options: RegistryOptions) {
    this.#options = options
  }

  /** Value of the header that the registry wants with each request; null when it wants none. A secret. */
  get authorization(): string | null {
    return this.#authorization
  }

  blobUrl(digest: string): string {
    const { host, repository } = this.#options
    return `${this.#scheme}://${host}/v2/${repository}/blobs/${digest}`
  }

  /**
   * A manifest or index by tag or digest.
   * @throws ImageUnreachable naming the registry's answer; ImageRefused when it is not what its digest says
   */
  async manifest(reference: string, types: readonly string[]): Promise<unknown> {
    const { repository, shown } = this.#options
    const text = await this.#get(`${repository}/manifests/${reference}`, { accept: types.join(', ') })
    const [algo = '', value] = reference.split(':')
    if (value !== undefined && createHash(algo).update(text).digest('hex') !== value) {
      throw new ImageRefused(`Cannot use image ${shown}: the manifest that the registry sent is not ${reference}`)
    }
    try {
      return JSON.parse(text)
    } catch {
      throw new ImageRefused(`Cannot use image ${shown}: the manifest that the registry sent is no JSON`)
    }
  }

  async #get(path: string, headers: Record<string, string>): Promise<string> {
    const { shown, host } = this.#options
    for (let attempt = 1, asked = false; ; ) {
      const { status, headers: answered, body } = await this.#ask(`/v2/${path}`, headers)
      const text = await readLimited(body, shown)
      if (status === 200) return text
      if (status === 401 && !asked) {
        asked = true
        this.#authorization = await this.#answerChallenge(String(answered['www-authenticate'] ?? ''))
        continue
      }
      if (status === 429 && attempt < rateLimitAttempts) {
        await delay(Math.random() * 1500 * 2 ** (attempt - 1), undefined, { signal: this.#options.signal })
        attempt += 1
        continue
      }
      const hint =
        status === 401 || status === 403
          ? '; expected image_pull_secret of instance_info or driver_info, or [oci] authentication_config, to open it'
          : '; expected 200'
      throw new ImageUnreachable(
        `Cannot fetch image ${shown}: the registry ${host} answers ${status}${status === 404 ? ' (not found)' : ''}${hint}`,
      )
    }
  }

  async #ask(path: string, headers: Record<string, string>) {
    const { host, permitHttp, signal } = this.#options
    const settings = this.#settings(this.#authorization)
    try {
      return await ask('GET', `${this.#scheme}://${host}${path}`, settings, { headers, signal })
    } catch (error) {
      if (!permitHttp || this.#scheme === 'http' || !speaksNoTls(error)) throw error
      this.#scheme = 'http'
      return await ask('GET', `http://${host}${path}`, settings, { headers, signal })
    }
  }

  #settings(authorization: string | null): HttpSettings {
    const { settings } = this.#options
    return { ...settings, headers: authorization === null ? {} : { authorization } }
  }

  /** @returns the value of the Authorization header for the next try */
  async #answerChallenge(challenge: string): Promise<string> {
    const { host, shown, signal, repository } = this.#options
    const scheme = /^(\w+)/.exec(challenge)?.[1]?.toLowerCase()
    const parameters = Object.fromEntries(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name.toLowerCase(), value]),
    )
    const basic = await this.#basic(parameters.realm)
    if (scheme === 'basic' && basic !== null) return basic
    if (scheme === 'basic') {
      throw new ImageUnreachable(
        `Cannot fetch image ${shown}: the registry ${host} wants a name and a password; expected image_pull_secret USER:PASSWORD in instance_info or driver_info, or [oci] authentication_config`,
      )
    }
    const realm = URL.parse(parameters.realm ?? '')
    if (scheme !== 'bearer' || !realm) {
      throw new ImageUnreachable(
        `Cannot fetch image ${shown}: the registry ${host} answers 401 and asks for no login that is known (${scheme ?? 'nothing'}); expected Bearer or Basic`,
      )
    }
    if (this.#scheme === 'https' && realm.protocol !== 'https:') {
      throw new ImageUnreachable(
        `Cannot fetch image ${shown}: the registry ${host} sends for a token to ${realm.origin}; expected https, as for itself`,
      )
    }
    if (parameters.service) realm.searchParams.set('service', parameters.service)
    realm.searchParams.set('scope', parameters.scope ?? `repository:${repository}:pull`)
    const answer = await ask('GET', realm.href, this.#settings(basic), { signal })
    const text = await readLimited(answer.body, shown)
    const token = answer.status === 200 ? tokenOf(text) : undefined
    if (token !== undefined) return `Bearer ${token}`
    throw new ImageUnreachable(
      `Cannot fetch image ${shown}: ${realm.origin} gives no token for it, it answers ${answer.status}; expected image_pull_secret of instance_info or driver_info, or [oci] authentication_config, to be right`,
    )
  }

  async #basic(realm: string | undefined): Promise<string | null> {
    const { credentials, authenticationConfig, host } = this.#options
    if (credentials) {
      return `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`
    }
    if (authenticationConfig === null) return null
    const auths = await readAuthenticationConfig(authenticationConfig)
    const known = auths[host] ?? auths[URL.parse(realm ?? '')?.host ?? '']
    if (known === undefined) return null
    // As docker writes it: base64 of USER:PASSWORD. Anything else is a token of its own.
    const isPair = Buffer.from(known, 'base64').toString('utf8').includes(':')
    return `Basic ${isPair ? known : Buffer.from(`:${known}`).toString('base64')}`
  }
}

/** The secrets by host. @throws InvalidInput when the file cannot be read */
export async function readAuthenticationConfig(path: string): Promise<Readonly<Record<string, string>>> {
  try {
    const parsed = JSON.parse(await readFile(path, 'utf8')) as { auths?: Record<string, { auth?: unknown }> } // see below
    const entries = Object.entries(parsed.auths ?? {}).flatMap(([host, entry]) => {
      return typeof entry?.auth === 'string' ? [[host, entry.auth] as const] : []
    })
    return Object.fromEntries(entries)
  } catch (error) {
    // What JSON.parse says of a file shows some of it.
    const why = error instanceof SyntaxError ? 'it is no JSON' : messageOf(error)
    throw new InvalidInput(`Cannot read [oci] authentication_config ${path}: ${why}; expected a docker config.json`)
  }
}

function tokenOf(text: string): string | undefined {
  try {
    const { token, access_token } = JSON.parse(text) as Record<string, unknown> // strings are looked for
    return [token, access_token].find(value => typeof value === 'string' && value !== '') as string | undefined
  } catch {
    return undefined
  }
}

async function readLimited(body: AsyncIterable<Uint8Array>, shown: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > manifestLimitBytes) {
      throw new ImageRefused(`Cannot use image ${shown}: the registry's answer is larger than 4 MiB`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The other side talks, but not TLS; a certificate that is not trusted is another matter. */
function speaksNoTls(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (
      'code' in cause &&
      /^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/.test(String(cause.code))
    )
      return true
  }
  return false
}
