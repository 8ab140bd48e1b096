/**
 * What stands in front of several conductors: one port, whose connections go to whichever of the back ends takes them.
 * Like any balancer it breaks a connection whose back end dies; it knows nothing of what is said.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

const address = '127.0.0.1'

export class Front {
  readonly #server: Server
  readonly #ports: readonly number[]
  readonly #sockets = new Set<Socket>()
  #next = 0

  private constructor(ports: readonly number[]) {
    this.#ports = ports
    this.#server = createServer(socket => this.#pass(socket))
  }

  /** @param ports of the back ends, on the loopback */
  static async open(ports: readonly number[]): Promise<Front> {
    const front = new Front(ports)
    await new Promise<void>((resolve, reject) => {
      front.#server.once('error', reject)
      front.#server.listen(0, address, resolve)
    })
    return front
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo // it listens on TCP, so it is one
    return `http://${address}:${port}`
  }

  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** Tries each back end once, beginning with the next in turn. */
  #pass(socket: Socket, tried = 0): void {
    if (tried === 0) this.#keep(socket)
    const port = this.#ports[this.#next++ % this.#ports.length] ?? 0
    const back = connect(port, address)
    back.once('connect', () => {
      socket.pipe(back).pipe(socket)
      back.once('close', () => socket.destroy())
      socket.once('close', () => back.destroy())
    })
    back.on('error', () => {
      if (back.connecting || back.bytesRead + back.bytesWritten > 0) socket.destroy()
      else if (tried + 1 < this.#ports.length) this.#pass(socket, tried + 1)
      else socket.destroy()
    })
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
