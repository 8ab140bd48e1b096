/**
 * Glance and an object store behind one address, as small as deployments need them, for tests: a program on a real socket.
 * It shows images without a login and takes temporary URLs as Swift or RadosGW do. The real ones are met in
 * interop/deploy.
 * Source: Image API v2; Swift, "Temporary URL middleware"; Ceph Object Gateway, "Swift API, temporary URL operations"
 */
import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeObjectStoreOptions {
  /** Comes before the version in all URLs, but in no signature. RadosGW has `/swift`. */
  readonly prefix?: string
  readonly key: string
  readonly digest: 'sha1' | 'sha256'
  /** What /info says; without it there is none. */
  readonly allowedDigests?: readonly string[]
  readonly images: Readonly<Record<string, { readonly content: Uint8Array; readonly about: object }>>
}

export interface FakeObjectStore extends AsyncDisposable {
  readonly url: string
  /** `METHOD /path?query` of each request, in order. */
  readonly requests: string[]
  /** From now on this key signs. */
  changeKey(key: string): void
}

interface Reply {
  readonly status: number
  readonly body?: Uint8Array
}

export async function startFakeObjectStore(options: FakeObjectStoreOptions): Promise<FakeObjectStore> {
  const { prefix = '', digest, allowedDigests, images } = options
  const requests: string[] = []
  let { key } = options

  function answer({ method, url: path = '/' }: IncomingMessage): Reply {
    requests.push(`${method} ${path}`)
    const url = new URL(path, 'http://fake')
    if (url.pathname === `${prefix}/info`) {
      return allowedDigests ? json({ tempurl: { allowed_digests: allowedDigests } }) : { status: 404 }
    }
    const [, id = '', file] = /^\/v2\/images\/([^/]+)(\/file)?$/.exec(url.pathname) ?? []
    const shown = images[id]
    if (shown) return file ? { status: 200, body: shown.content } : json({ id, status: 'active', ...shown.about })
    return url.pathname.startsWith(`${prefix}/v1/`) ? object(url) : { status: 404 }
  }

  function object({ pathname, searchParams }: URL): Reply {
    const expires = searchParams.get('temp_url_expires')
    const signed = createHmac(digest, key)
      .update(`GET\n${expires}\n${pathname.slice(prefix.length)}`)
      .digest('hex')
    if (searchParams.get('temp_url_sig') !== signed || Number(expires) * 1000 < Date.now()) return { status: 401 }
    const found = images[pathname.split('/').at(-1) ?? '']
    return found ? { status: 200, body: found.content } : { status: 404 }
  }

  const server = createServer((request, response) => {
    const { status, body = Buffer.alloc(0) } = answer(request)
    response.writeHead(status, { 'content-length': body.length }).end(request.method === 'HEAD' ? undefined : body)
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on TCP
    requests,
    changeKey(changed) {
      key = changed
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(closed => server.close(closed))
    },
  }
}

function json(body: object): Reply {
  return { status: 200, body: Buffer.from(JSON.stringify(body)) }
}
