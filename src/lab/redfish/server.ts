/**
 * HTTPS in front of a Redfish service: the BMC's port. It can be closed and opened again, as a BMC that is unplugged or
 * restarts; each request leaves a line in the access log, which never holds a header or a body.
 */
import { createWriteStream, type WriteStream } from 'node:fs'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { RedfishError } from './messages.ts'
import type { RedfishService } from './service.ts'

export interface RedfishServerOptions {
  service: RedfishService
  certPem: string
  keyPem: string
  address: string
  /** 0 for a free one, which stays the same when the port is opened again. */
  port: number
  /** A file for one line of JSON per request; null for none. */
  accessLog: string | null
}

const webSockets = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false })

export class RedfishServer {
  readonly #options: RedfishServerOptions
  readonly #log: WriteStream | null
  #server: Server | null = null
  #port: number

  constructor(options: RedfishServerOptions) {
    this.#options = options
    this.#port = options.port
    this.#log = options.accessLog === null ? null : createWriteStream(options.accessLog, { flags: 'a' })
  }

  get port(): number {
    return this.#port
  }

  async open(): Promise<void> {
    if (this.#server !== null) return
    const { certPem, keyPem, address } = this.#options
    const server = createServer({ cert: certPem, key: keyPem, minVersion: 'TLSv1.2' }, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, address, resolve)
    })
    this.#port = (server.address() as AddressInfo).port // it listens on TCP, so it is one
  }

  /** Nothing listens any more and open connections break. */
  async close(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }

  async end(): Promise<void> {
    await this.close()
    await new Promise<void>(resolve => (this.#log === null ? resolve() : this.#log.end(resolve)))
  }

  /** WebSockets: the service says what one is for, or why there is none. */
  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { service } = this.#options
    socket.on('error', () => socket.destroy())
    const path = incoming.url
    const log = (status: number) => this.#note({ method: 'WEBSOCKET', path, status, startedAtMs: Date.now() })
    try {
      const use = service.connect?.(webRequest(incoming, Buffer.alloc(0)))
      if (use === undefined) throw new RedfishError('ResourceMissingAtURI', path ?? '')
      webSockets.handleUpgrade(incoming, socket, head, opened => use(createWebSocketStream(opened)))
      log(101)
    } catch (error) {
      const status = error instanceof RedfishError ? error.status : 500
      socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      log(status)
    }
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const startedAtMs = Date.now()
    const body: Buffer[] = []
    let sizeBytes = 0
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length
      // More than the service takes is read to its end but not kept; the service sees that it is too much.
      if (sizeBytes <= 2 << 20) body.push(chunk)
    }
    const response = await this.#options.service(webRequest(incoming, Buffer.concat(body)))
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    // A HEAD request is answered like GET; Node leaves the body out.
    await pipeline(response.body ?? [], outgoing)
    this.#note({ method: incoming.method, path: incoming.url, status: response.status, startedAtMs })
  }

  #note({
    startedAtMs,
    ...request
  }: { startedAtMs: number; status: number } & Pick<IncomingMessage, 'method'> & { path: string | undefined }): void {
    const at = new Date(startedAtMs).toISOString()
    this.#log?.write(`${JSON.stringify({ at, ...request, ms: Date.now() - startedAtMs })}\n`)
  }
}

function webRequest(incoming: IncomingMessage, body: Buffer): Request {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (typeof value === 'string') headers.set(name, value)
  }
  const method = incoming.method ?? 'GET'
  const url = new URL(incoming.url ?? '/', 'https://bmc')
  return new Request(url, { method, headers, ...(body.length > 0 ? { body: new Uint8Array(body) } : {}) })
}
