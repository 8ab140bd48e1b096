/**
 * Temporary URLs of Glance's images in Swift or RadosGW, so that a machine can fetch them without a token of ours:
 * where the object is, which key signs, which digest the server takes.
 *
 * A URL that is handed out was asked for first: one of the cache whose key was changed meanwhile is signed anew, and a
 * signature that is refused is told with what to look at.
 * Source: images, section 7 (ironic/common/glance_service/image_service.py restated); Swift, "tempurl" and "discoverability".
 */
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import { ImageUnreachable } from './faults.ts'
import { ask, type HttpSettings } from './http.ts'
import { type OpenstackService, openstackService } from './openstack.ts'
import { signTempUrl, type TempUrl, TempUrlCache, type TempUrlDigest } from './temp-url.ts'

export interface SwiftContext {
  readonly config: Config
  readonly signal: AbortSignal
  shared<T extends object>(key: symbol, make: () => T): T
}

const cacheKey = Symbol('temporary URLs')
const digestKey = Symbol('digests of temporary URLs')

/**
 * A temporary URL of the image's data that the server has just accepted.
 * @param settings how the server is asked; without credentials of other servers
 * @throws ImageUnreachable, InvalidInput naming the option, OpenstackUnavailable
 */
export async function swiftTempUrl(ctx: SwiftContext, imageId: string, settings: HttpSettings): Promise<TempUrl> {
  const { config, signal } = ctx
  const { swift_temp_url_cache_enabled: caching, swift_temp_url_expected_download_start_delay: startDelayS } =
    config.glance
  const cache = ctx.shared(cacheKey, () => new TempUrlCache())
  const { endpoint, path } = await placeOf(ctx, imageId)
  const name = endpoint + path
  const nowS = Math.floor(Date.now() / 1000)
  const known = caching ? cache.get(name, nowS + startDelayS) : undefined
  if (known && (await accepts(known.url, settings, signal)) === 200) return known

  cache.delete(name)
  const key = await signingKey(ctx)
  const expires = nowS + config.glance.swift_temp_url_duration
  let status = 0
  for (const digest of await digests(ctx, endpoint, settings)) {
    const signed = { url: endpoint + signTempUrl(path, { key, expires, digest }), expires }
    status = await accepts(signed.url, settings, signal)
    if (status !== 200) continue
    ctx.shared(digestKey, () => new Map<string, TempUrlDigest>()).set(endpoint, digest)
    if (caching) cache.set(name, signed)
    return signed
  }
  ctx.shared(digestKey, () => new Map<string, TempUrlDigest>()).delete(endpoint)
  if (Date.now() > expires * 1000) {
    throw new ImageUnreachable(
      `Cannot fetch image glance://${imageId}: its temporary URL ended before the object store at ${endpoint} had answered; expected [glance] swift_temp_url_duration to be more than ${config.glance.swift_temp_url_duration}`,
    )
  }
  throw new ImageUnreachable(`Cannot fetch image glance://${imageId}: ${refusal(status, { endpoint, path })}`)
}

/** The status of the object behind a signed URL. Signatures for GET are good for HEAD. */
async function accepts(url: string, settings: HttpSettings, signal: AbortSignal): Promise<number> {
  const { status, body } = await ask('HEAD', url, settings, { signal })
  await body.dump()
  return status
}

function refusal(status: number, { endpoint, path }: { endpoint: string; path: string }): string {
  const at = `the object store at ${endpoint}`
  if (status === 401 || status === 403) {
    return `${at} refuses its temporary URL with ${status}; expected the key that signs ([glance] swift_temp_url_key, or Temp-URL-Key of the account) to be a key of account ${path.split('/')[2]}, and the clocks of both hosts to agree`
  }
  if (status === 404) {
    return `${at} has no ${path}; expected Glance to keep its images there: see [glance] swift_container, swift_account and swift_store_multiple_containers_seed`
  }
  return `${at} answers ${status} to its temporary URL; expected 200`
}

/** Where the image's object is; the endpoint is what comes before the signed path. */
async function placeOf(ctx: SwiftContext, imageId: string): Promise<{ endpoint: string; path: string }> {
  const { glance } = ctx.config
  const swift = () => openstackService(ctx, 'swift')
  const { swift_account_prefix: prefix } = glance
  const accountPrefix = prefix && !prefix.endsWith('_') ? `${prefix}_` : (prefix ?? '')
  const given = glance.swift_endpoint_url ?? (await swift().endpoint())
  const account = glance.swift_account ?? `${accountPrefix}${await projectOf(swift())}`
  const tail = new RegExp(`/v1/${accountPrefix.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}[^/]+/?$`)
  const endpoint = given.replace(tail, '').replace(/\/+$/, '')
  const container = containerOf(glance.swift_container, imageId, glance.swift_store_multiple_containers_seed)
  return { endpoint, path: `/${glance.swift_api_version}/${account}/${container}/${imageId}` }
}

/**
 * Of several containers, the one whose name ends with the image's first characters. Dashes among them are added once
 * more, and those that this brings are not: as Glance itself does, which has put the image there.
 * Source: glance_store/_drivers/swift/store.py, get_container_name
 */
export function containerOf(container: string | null, imageId: string, seed: number): string {
  const plain = container ?? 'glance'
  if (seed === 0) return plain
  const dashes = imageId.slice(0, seed).split('-').length - 1
  return `${plain}_${imageId.slice(0, seed + dashes)}`
}

async function projectOf(swift: OpenstackService): Promise<string> {
  const project = await swift.projectId()
  if (project !== null) return project
  throw new InvalidInput(
    'Cannot make a temporary URL: neither [glance] swift_account is set nor does the login of [swift] have a project; expected one of them',
  )
}

/** The key of the configuration, else of the account, asked for each time: it may have been changed. */
async function signingKey(ctx: SwiftContext): Promise<string> {
  const { swift_temp_url_key: given } = ctx.config.glance
  if (given) return given
  const swift = openstackService(ctx, 'swift')
  const account = await swift.endpoint()
  const { status, headers } = await swift.ask('HEAD', account, ctx.signal)
  // While the first key is changed, URLs of the second stay good.
  const found = headers['x-account-meta-temp-url-key-2'] ?? headers['x-account-meta-temp-url-key']
  if (typeof found === 'string' && found !== '') return found
  throw new InvalidInput(
    `Cannot make a temporary URL: [glance] swift_temp_url_key is not set, and the object store at ${account} tells no key of the account (it answers ${status}); expected one of them, such as: swift post -m Temp-URL-Key:KEY`,
  )
}

/** Those that the server says it takes, the strongest first; where it says nothing, those that there are. */
async function digests(ctx: SwiftContext, endpoint: string, settings: HttpSettings): Promise<readonly TempUrlDigest[]> {
  const known = ctx.shared(digestKey, () => new Map<string, TempUrlDigest>()).get(endpoint)
  if (known) return [known]
  const { status, body } = await ask('GET', `${endpoint}/info`, settings, { signal: ctx.signal })
  const told = await body.text()
  const listed = status === 200 ? allowedDigests(told) : undefined
  const inOrder = ['sha256', 'sha1', 'sha512'] as const
  const taken = listed ? inOrder.filter(digest => listed.includes(digest)) : []
  return taken.length > 0 ? taken : inOrder.slice(0, 2)
}

function allowedDigests(info: string): readonly unknown[] | undefined {
  try {
    const parsed = JSON.parse(info) as { tempurl?: { allowed_digests?: unknown } } // looked at below
    const list = parsed?.tempurl?.allowed_digests
    return Array.isArray(list) ? list : undefined
  } catch {
    return undefined
  }
}
