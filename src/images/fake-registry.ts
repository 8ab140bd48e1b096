/**
 * An OCI registry with the parts that pulling needs, for tests: a program on a real socket that knows manifests by tag and
 * digest, blobs, and logins by token or by name and password. Blobs may lie with another server, as with a CDN.
 * Source: OCI distribution specification 1.1, "Pull"; distribution/distribution, "Token authentication"
 */
import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface FakeRegistryOptions {
  readonly tls?: { readonly cert: string; readonly key: string }
  /** `user:password`; a token has an empty user. Default: open to all. */
  readonly login?: { readonly how: 'Bearer' | 'Basic'; readonly pair: string }
  /** Answers so many requests with 429 first. */
  readonly busy?: number
  /** Blobs are redirected to this URL, with the digest behind it. */
  readonly blobsAt?: string
}

export interface FakeRegistry extends AsyncDisposable {
  readonly host: string
  /** `METHOD /path` of each request, in order. */
  readonly requests: string[]
  /** Authorization headers with which blobs were asked for. */
  readonly shownForBlobs: (string | undefined)[]
  /** @returns its digest */
  addBlob(content: Uint8Array): string
  /** @returns its digest */
  addManifest(manifest: object, tag?: string): string
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json'

/** @param repository the only one there is */
export async function startFakeRegistry(repository: string, options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
  const content = new Map<string, { bytes: Uint8Array; type: string }>()
  const tokens = new Set<string>()
  const requests: string[] = []
  const shownForBlobs: (string | undefined)[] = []
  const { login, tls } = options
  let busy = options.busy ?? 0
  let host = ''

  function answer(request: IncomingMessage): Reply {
    const { method, headers } = request
    requests.push(`${method} ${request.url}`)
    const url = new URL(request.url ?? '/', `${tls ? 'https' : 'http'}://${host}`)
    if (url.pathname === '/token') return giveToken(request, url)
    if (busy-- > 0) return { status: 429 }
    const [, kind, name = ''] = url.pathname.match(new RegExp(`^/v2/${repository}/(manifests|blobs)/(.+)$`)) ?? []
    if (kind === 'blobs') shownForBlobs.push(headers.authorization)
    if (!isKnown(headers.authorization)) return challenge(url)
    if (kind === 'blobs' && options.blobsAt !== undefined) {
      return { status: 307, headers: { location: `${options.blobsAt}${name}` } }
    }
    const found = kind === undefined ? undefined : content.get(name)
    if (!found) return { status: 404 }
    return { status: 200, body: found.bytes, headers: { 'content-type': found.type, etag: `"${name}"` } }
  }

  function isKnown(authorization: string | undefined): boolean {
    if (!login) return true
    const [how, secret = ''] = authorization?.split(' ') ?? []
    if (how !== login.how) return false
    return how === 'Bearer' ? tokens.has(secret) : Buffer.from(secret, 'base64').toString() === login.pair
  }

  function challenge(url: URL): Reply {
    const realm = login?.how === 'Bearer' ? `${url.origin}/token` : 'registry'
    const more = login?.how === 'Bearer' ? `,service="fake",scope="repository:${repository}:pull"` : ''
    return { status: 401, headers: { 'www-authenticate': `${login?.how} realm="${realm}"${more}` } }
  }

  function giveToken({ headers }: IncomingMessage, { searchParams }: URL): Reply {
    const pair = Buffer.from(headers.authorization?.split(' ')[1] ?? '', 'base64').toString()
    const isAsked =
      searchParams.get('scope') === `repository:${repository}:pull` && searchParams.get('service') === 'fake'
    if (pair !== login?.pair || !isAsked) return { status: 401 }
    const token = randomUUID()
    tokens.add(token)
    return { status: 200, body: Buffer.from(JSON.stringify({ token })) }
  }

  const listener = (request: IncomingMessage, response: ServerResponse) => tell(response, answer(request))
  const server: Server = tls ? createTlsServer(tls, listener) : createServer(listener)
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  host = `127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on TCP
  const add = (bytes: Uint8Array, type: string) => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    content.set(digest, { bytes, type })
    return digest
  }
  return {
    host,
    requests,
    shownForBlobs,
    addBlob: bytes => add(bytes, 'application/octet-stream'),
    addManifest(manifest, tag) {
      const bytes = Buffer.from(JSON.stringify(manifest))
      const digest = add(bytes, manifestType)
      if (tag !== undefined) content.set(tag, { bytes, type: manifestType })
      return digest
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(closed => server.close(closed))
    },
  }
}

interface Reply {
  readonly status: number
  readonly body?: Uint8Array
  readonly headers?: Record<string, string>
}

function tell(response: ServerResponse, { status, body = Buffer.alloc(0), headers = {} }: Reply): void {
  response.writeHead(status, { ...headers, 'content-length': body.length }).end(body)
}
