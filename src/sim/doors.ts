/**
 * One HTTP server behind many ports. A callback URL has no path, so each agent needs a port of its own; but a whole
 * server for each would cost more memory than the agent. It knows nothing of what is served.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'

export interface Certificate {
  certPem: string
  keyPem: string
}

export interface Door {
  readonly port: number
  /** Nothing listens any more and open connections break. */
  close(): void
}

export class Doors {
  readonly #address: string
  readonly #server: Server
  readonly #listeners = new WeakMap<Socket, RequestListener>()
  readonly #open = new Set<Door>()
  /** A certificate that many doors share is parsed, and kept, once. */
  readonly #contexts = new WeakMap<Certificate, SecureContext>()

  /** @param address that all of them listen on */
  constructor(address: string) {
    this.#address = address
    this.#server = createServer((request, response) => {
      const listener = this.#listeners.get(request.socket)
      if (listener === undefined) response.destroy()
      else listener(request, response)
    })
  }

  /** Opens a free port; `certificate` null for plain HTTP. */
  async open(listener: RequestListener, certificate: Certificate | null): Promise<Door> {
    const secureContext = certificate === null ? null : this.#contextOf(certificate)
    const sockets = new Set<Socket>()
    const net = createNetServer(plain => {
      const socket = secureContext === null ? plain : new TLSSocket(plain, { isServer: true, secureContext })
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      // A client that goes away is no event of the simulation.
      socket.on('error', () => socket.destroy())
      this.#listeners.set(socket, listener)
      this.#server.emit('connection', socket)
    })
    await new Promise<void>((resolve, reject) => {
      net.once('error', reject)
      net.listen(0, this.#address, resolve)
    })
    const door: Door = {
      port: (net.address() as AddressInfo).port, // it listens on TCP, so it is one
      close: () => {
        this.#open.delete(door)
        net.close()
        for (const socket of sockets) socket.destroy()
      },
    }
    this.#open.add(door)
    return door
  }

  closeAll(): void {
    for (const door of [...this.#open]) door.close()
  }

  #contextOf(certificate: Certificate): SecureContext {
    const known = this.#contexts.get(certificate)
    if (known) return known
    const context = createSecureContext({ cert: certificate.certPem, key: certificate.keyPem })
    this.#contexts.set(certificate, context)
    return context
  }
}
