/**
 * The HTTP server for boot files and images: reads below one directory, nothing else. Machines' firmware, iPXE and
 * agents are its clients, so it speaks plain HTTP/1.1 with lengths, ranges and validators. It lists no directories, shows
 * no dot files, and takes no uploads. Symbolic links are followed: the service makes them, and nobody else writes here.
 */
import { createReadStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'

/** A request that is over. */
export interface Transfer {
  readonly method: string
  /** Decoded, from the root, with a slash in front. */
  readonly path: string
  readonly remoteAddress: string
  readonly userAgent: string | null
  readonly status: number
  /** Of the body, as handed to the network. */
  readonly bytes: number
  /** Of the whole file; null when there is none. */
  readonly sizeBytes: number | null
  readonly seconds: number
  /** false: the client went away before the end. */
  readonly complete: boolean
}

export interface FileServerOptions {
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  readonly root: string
  readonly log: Log
  readonly onTransfer?: (transfer: Transfer) => void
  /** Connections at a time; more are closed at once, and their clients try again. */
  readonly maxConnections?: number
}

export interface FileServer extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** Takes no further requests and ends when those in progress are done, or after `graceMs`. */
  close(graceMs?: number): Promise<void>
}

export async function startFileServer(options: FileServerOptions): Promise<FileServer> {
  const server = createServer(
    { keepAliveTimeout: 10_000, headersTimeout: 15_000, requestTimeout: 30_000, maxHeaderSize: 16 * 1024 },
    (request, response) => {
      void serve(request, response, options)
    },
  )
  server.maxConnections = options.maxConnections ?? 1024
  server.on('drop', connection =>
    options.log.warn({ remote: connection?.remoteAddress }, 'too many connections to the file server, closed one'),
  )
  await listen(server, options)
  // A listening TCP server has such an address.
  const { port } = server.address() as AddressInfo
  const close = (graceMs = 2000) => closeServer(server, graceMs)
  return { host: options.host, port, close, [Symbol.asyncDispose]: () => close(0) }
}

async function serve(request: IncomingMessage, response: ServerResponse, options: FileServerOptions): Promise<void> {
  const startedMs = performance.now()
  const method = request.method ?? ''
  const path = decodedPath(request.url ?? '')
  let sizeBytes: number | null = null
  let bytes = 0
  // A machine that stops reading in the middle must not hold its connection for ever.
  response.setTimeout(60_000, () => response.destroy())
  try {
    if (method !== 'GET' && method !== 'HEAD') {
      end(response, 405, { Allow: 'GET, HEAD' })
    } else if (path === undefined) {
      end(response, 400)
    } else {
      const found = await find(options.root, path)
      if (found) sizeBytes = found.stats.size
      if (found) bytes = await answer(request, response, found)
      else end(response, 404)
    }
  } catch (error) {
    if (!response.headersSent) end(response, 500)
    // After the headers only the connection can tell; a client that went away is no error of ours.
    else response.destroy()
    if (!isGone(error)) options.log.error({ path, error: messageOf(error) }, 'cannot serve a file')
    bytes = bodyBytes.get(response) ?? bytes
  }
  const transfer: Transfer = {
    method,
    path: path ?? request.url ?? '',
    remoteAddress: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    userAgent: request.headers['user-agent'] ?? null,
    status: response.statusCode,
    bytes,
    sizeBytes,
    seconds: Math.round(performance.now() - startedMs) / 1000,
    complete: response.writableFinished || (response.writableEnded && !response.destroyed),
  }
  // Agents fetch an image in hundreds of ranges.
  const level = transfer.status === 206 ? 'debug' : 'info'
  options.log[level]({ ...transfer }, `${method} ${transfer.path} ${transfer.status}`)
  options.onTransfer?.(transfer)
}

/** The path from the root; undefined when it is malformed, leaves the root, or goes through a dot file. */
function decodedPath(url: string): string | undefined {
  try {
    const path = decodeURIComponent(url.split(/[?#]/, 1)[0] ?? '')
    const parts = path.split('/')
    if (!path.startsWith('/') || path.includes('\0') || path.includes('\\')) return undefined
    return parts.some(part => part.startsWith('.')) ? undefined : `/${parts.filter(part => part !== '').join('/')}`
  } catch {
    return undefined
  }
}

interface Found {
  readonly file: string
  readonly stats: Stats
}

async function find(root: string, path: string): Promise<Found | undefined> {
  const file = join(resolve(root), path)
  const stats = await stat(file).catch(error => {
    if (
      error instanceof Error &&
      'code' in error &&
      ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'].includes(String(error.code))
    )
      return null
    throw error
  })
  return stats?.isFile() ? { file, stats } : undefined
}

/** Bodies in the course of being sent, for the log of those that break off. */
const bodyBytes = new WeakMap<ServerResponse, number>()

/** @returns the bytes of the body that were sent */
async function answer(request: IncomingMessage, response: ServerResponse, { file, stats }: Found): Promise<number> {
  const etag = `"${stats.size.toString(16)}-${Math.trunc(stats.mtimeMs).toString(16)}-${stats.ino.toString(16)}"`
  const modified = new Date(stats.mtimeMs).toUTCString()
  // Spelled as HTTP/1.1 is used to: the GRUB of Debian 13 compares letter by letter, and takes a file without a
  // "Content-Length" for empty.
  const headers = {
    'Accept-Ranges': 'bytes',
    ETag: etag,
    'Last-Modified': modified,
    'Cache-Control': 'no-cache',
    'Content-Type': contentTypes[extname(file)] ?? 'application/octet-stream',
  }
  if (notModified(request, etag, stats.mtimeMs)) {
    end(response, 304, { ETag: etag, 'Last-Modified': modified })
    return 0
  }
  const range = rangeOf(request, { etag, modified, sizeBytes: stats.size })
  if (range === 'unsatisfiable') {
    end(response, 416, { 'Content-Range': `bytes */${stats.size}` })
    return 0
  }
  const { from, to } = range ?? { from: 0, to: stats.size - 1 }
  const length = to - from + 1
  response.writeHead(range ? 206 : 200, {
    ...headers,
    'Content-Length': length,
    ...(range && { 'Content-Range': `bytes ${from}-${to}/${stats.size}` }),
  })
  if (request.method === 'HEAD' || length === 0) {
    response.end()
    return 0
  }
  bodyBytes.set(response, 0)
  const stream = createReadStream(file, { start: from, end: to, highWaterMark: 512 * 1024 })
  stream.on('data', chunk => bodyBytes.set(response, (bodyBytes.get(response) ?? 0) + chunk.length))
  await pipeline(stream, response, { end: false })
  const bytes = bodyBytes.get(response) ?? 0
  // A length was promised: only a broken connection tells the client that the file became shorter meanwhile.
  if (bytes < length) throw new Error(`the file ended after ${from + bytes} of ${stats.size} bytes`)
  response.end()
  return bytes
}

/** Source: RFC 9110, 13.2.2: a date counts only where no entity tag was sent. */
function notModified(request: IncomingMessage, etag: string, modifiedMs: number): boolean {
  const tags = request.headers['if-none-match']
  if (tags !== undefined) return tags.split(',').some(tag => ['*', etag].includes(tag.trim().replace(/^W\//, '')))
  const since = Date.parse(request.headers['if-modified-since'] ?? '')
  return Number.isFinite(since) && Math.trunc(modifiedMs / 1000) * 1000 <= since
}

/** One range; several, malformed ones and those of a file that has changed mean the whole file (RFC 9110, 14.2). */
function rangeOf(
  request: IncomingMessage,
  { etag, modified, sizeBytes }: { etag: string; modified: string; sizeBytes: number },
): { from: number; to: number } | 'unsatisfiable' | undefined {
  const condition = request.headers['if-range']
  if (condition !== undefined && condition !== etag && condition !== modified) return undefined
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
  const from = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first)
  const to = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  return from > to ? 'unsatisfiable' : { from, to }
}

const contentTypes: Record<string, string> = {
  '.ipxe': 'text/plain; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.json': 'application/json',
}

function end(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  // The shim, which asks for much that need not be there, waits for the end of the connection each time.
  const last = status === 404 ? { Connection: 'close' } : {}
  response.writeHead(status, { ...headers, ...last, ...(status === 304 ? {} : { 'Content-Length': 0 }) })
  response.end()
}

function isGone(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'].includes(code)
}

async function listen(server: Server, { host, port }: FileServerOptions): Promise<void> {
  const { promise, resolve: listening, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ host, port }, listening)
  await promise
  server.removeListener('error', reject)
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>(done => server.close(() => done()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}
