/**
 * The UDP sockets of this process, one for each version of IP, shared by all sessions with all BMCs: thousands of BMCs
 * need no thousands of ports. A packet goes to the lines with the address that it came from; those decide whether it is
 * theirs. It reads nothing but the packet's layout.
 */
import { createSocket, type Socket } from 'node:dgram'
import { decodePacket, type Packet } from '#protocol/ipmi/packet.ts'

export interface Remote {
  /** An IP address, no name. */
  address: string
  family: 4 | 6
  port: number
}

/** The way to one BMC. Others may have lines to the same one. */
export interface Line {
  send(datagram: Buffer): void
  /** Takes packets from now on; null takes none. */
  listen(take: ((packet: Packet) => void) | null): void
  close(): void
}

/** Answers of thousands of BMCs may come at once. The kernel grants what net.core.rmem_max allows. */
const receiveBufferBytes = 4 * 1024 * 1024

export class Hub implements AsyncDisposable {
  readonly #sockets = new Map<4 | 6, Promise<Socket>>()
  readonly #lines = new Map<string, Set<(packet: Packet) => void>>()
  #isClosed = false

  /** @throws an error of the system when this host has no socket for that version of IP */
  async line({ address, family, port }: Remote): Promise<Line> {
    const socket = await this.#socket(family)
    const key = keyOf(address, port)
    const all = this.#lines.get(key) ?? new Set()
    this.#lines.set(key, all)
    let take: ((packet: Packet) => void) | null = null
    const deliver = (packet: Packet) => take?.(packet)
    all.add(deliver)
    return {
      // What could not be sent was not answered: it is sent again.
      send: datagram => {
        if (!this.#isClosed) socket.send(datagram, port, address, () => {})
      },
      listen(next) {
        take = next
      },
      close: () => {
        all.delete(deliver)
        if (all.size === 0 && this.#lines.get(key) === all) this.#lines.delete(key)
      },
    }
  }

  /** Lines that are open. */
  get size(): number {
    return this.#lines.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const sockets = await Promise.allSettled(this.#sockets.values())
    this.#sockets.clear()
    const open = sockets.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []))
    await Promise.all(open.map(socket => new Promise<void>(resolve => socket.close(resolve))))
  }

  #socket(family: 4 | 6): Promise<Socket> {
    const known = this.#sockets.get(family)
    if (known) return known
    const made = open(family, (bytes, from) => {
      const lines = this.#lines.get(keyOf(from.address, from.port))
      const packet = lines && decodePacket(bytes)
      if (packet) for (const deliver of lines) deliver(packet)
    })
    this.#sockets.set(family, made)
    made.catch(() => this.#sockets.delete(family))
    return made
  }
}

const keyOf = (address: string, port: number) => `${address} ${port}`

function open(family: 4 | 6, take: (bytes: Buffer, from: { address: string; port: number }) => void): Promise<Socket> {
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    // Addresses only: nothing is to be looked up for each packet.
    lookup: (address, _options, done) => done(null, address, family),
  })
  socket.on('message', take)
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(0, () => {
      socket.off('error', reject)
      // An error of one packet is no error of the others.
      socket.on('error', () => {})
      try {
        socket.setRecvBufferSize(receiveBufferBytes)
      } catch {
        // A host that grants less loses a packet now and then, which is sent again.
      }
      resolve(socket)
    })
  })
}
