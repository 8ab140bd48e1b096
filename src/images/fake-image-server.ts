/**
 * An image server with the faults that real ones have, for tests: a program on a real socket. The first part of a path
 * names the fault, the rest the file: `/cut/disk.raw`, `/redirect/disk.raw`; `/plain/...` has none.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface FakeImageServer extends AsyncDisposable {
  readonly url: string
  /** `METHOD /path` of each request, in order. */
  readonly requests: string[]
  readonly bytesSent: () => number
}

export async function startFakeImageServer(
  files: Readonly<Record<string, Uint8Array>>,
  { user, password, host = '127.0.0.1' }: { user?: string; password?: string; host?: string } = {},
): Promise<FakeImageServer> {
  const requests: string[] = []
  const tries = new Map<string, number>()
  let bytesSent = 0

  const server = createServer(async (request, response) => {
    const path = request.url ?? ''
    requests.push(`${request.method} ${path}`)
    const [, fault = '', ...rest] = path.split('/')
    const attempt = (tries.get(`${request.method} ${path}`) ?? 0) + 1
    tries.set(`${request.method} ${path}`, attempt)
    const file = files[rest.join('/')]
    const shrank = fault === 'shrinks' && attempt > 1
    const body = shrank ? file?.subarray(0, Math.ceil(file.length / 2)) : file
    if (
      user !== undefined &&
      request.headers.authorization !== `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
    )
      return reply(response, 401)
    if (fault === 'redirect') return reply(response, 302, { location: `/plain/${rest.join('/')}` })
    if (fault === 'elsewhere') return reply(response, 307, { location: rest.join('/').replace(':/', '://') })
    if (fault === 'loop') return reply(response, 301, { location: path })
    if (!body) return reply(response, 404)
    if (fault === 'busy' && request.method === 'GET' && attempt <= 2) return reply(response, 503)
    if (fault === 'nohead' && request.method === 'HEAD') return reply(response, 405)
    if (fault === 'vanish' && request.method === 'GET') return reply(response, 404)
    const resumable = fault !== 'cut' && fault !== 'short'
    const from = resumable && !shrank ? startOf(request, body.length) : 0
    const validators: Record<string, string> = resumable
      ? { etag: shrank ? '"two"' : '"one"', 'accept-ranges': 'bytes' }
      : {}
    const range: Record<string, string> =
      from > 0 ? { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` } : {}
    response.writeHead(from > 0 ? 206 : 200, {
      ...validators,
      ...range,
      ...(fault === 'nolength' ? {} : { 'content-length': body.length - from }),
    })
    if (request.method === 'HEAD') return response.end()
    const breaks =
      fault === 'cut' || fault === 'short' || (fault === 'breaks' && attempt <= 3) || (fault === 'shrinks' && !shrank)
    const end = breaks ? from + Math.ceil((body.length - from) / 2) : body.length
    for (let at = from; at < end && !response.destroyed; at += 65536) {
      const chunk = body.subarray(at, Math.min(at + 65536, end))
      bytesSent += chunk.length
      await new Promise<void>(done => response.write(chunk, () => done()))
      if (fault === 'slow') await delay(20)
    }
    if (breaks) response.destroy()
    else response.end()
  })
  await new Promise<void>(listening => server.listen(0, host, listening))
  // A listening TCP server has such an address.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host}:${port}`,
    requests,
    bytesSent: () => bytesSent,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(closed => server.close(closed))
    },
  }
}

function reply(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-length': 0, ...headers })
  response.end()
}

function startOf(request: IncomingMessage, sizeBytes: number): number {
  const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
  return from < sizeBytes ? from : 0
}
