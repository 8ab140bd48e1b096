/**
 * Serves one image over real HTTP and misbehaves on demand, for tests.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ImageServer {
  url: string
  requests: { method: string; range: string | undefined; authorization: string | undefined }[]
  /** Status codes for the next requests instead of the image. */
  refusals: number[]
  /** Breaks the connection after so many bytes of a response; one entry per response. */
  cuts: number[]
  /** False: answers 200 whatever range is asked for. */
  ranges: boolean
  /** Sends no Content-Length. */
  sizeUnknown: boolean
  etag: string
  /** Pause after every 256 KiB. */
  slowMs: number
  /** Files beside the image, by path. */
  files: Record<string, string>
  close(): Promise<void>
}

export async function serveImage(image: Buffer): Promise<ImageServer> {
  const served: ImageServer = {
    url: '',
    requests: [],
    refusals: [],
    cuts: [],
    ranges: true,
    sizeUnknown: false,
    etag: `"${createHash('sha1').update(image).digest('hex')}"`,
    slowMs: 0,
    files: {},
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const file = served.files[request.url ?? '']
    if (file !== undefined) return void response.end(file)
    const { range, authorization } = request.headers
    served.requests.push({ method: request.method ?? '', range, authorization })
    const refusal = served.refusals.shift()
    if (refusal !== undefined) return void response.writeHead(refusal).end('no')
    const from = served.ranges ? Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0) : 0
    const body = image.subarray(from)
    response.writeHead(from > 0 ? 206 : 200, {
      ETag: served.etag,
      ...(served.sizeUnknown ? {} : { 'Content-Length': body.length }),
      ...(from > 0 ? { 'Content-Range': `bytes ${from}-${image.length - 1}/${image.length}` } : {}),
    })
    const cut = served.cuts.shift() ?? Number.POSITIVE_INFINITY
    for (let at = 0; at < body.length; at += 256 * 1024) {
      if (at >= cut) return void response.destroy()
      if (served.slowMs > 0) await new Promise(resolve => setTimeout(resolve, served.slowMs))
      if (!response.write(body.subarray(at, at + 256 * 1024))) {
        const closed = new AbortController()
        const stop = () => closed.abort()
        response.once('close', stop)
        await once(response, 'drain', { signal: closed.signal }).catch(() => {})
        response.off('close', stop)
      }
      if (response.destroyed) return
    }
    response.end()
  }

  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img` // TCP, so not a pipe's name
  return served
}
