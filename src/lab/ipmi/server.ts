/** A BMC that speaks IPMI behind a UDP socket, with the delays and losses that a test wants. */
import { createSocket, type Socket } from 'node:dgram'
import type { IpmiBmc } from './bmc.ts'

export interface IpmiPort extends AsyncDisposable {
  readonly port: number
  /** Datagrams that arrived. */
  readonly received: number
}

export interface PortOptions {
  address?: string
  /** 0: any that is free. */
  port?: number
  /** How long an answer takes; asked for each. */
  delayMs?: number | (() => number)
  /** Is this datagram lost on its way? */
  loses?: (way: 'to the BMC' | 'from the BMC', datagram: Buffer) => boolean
}

export async function openIpmiPort(bmc: IpmiBmc, options: PortOptions = {}): Promise<IpmiPort> {
  const { address = '127.0.0.1', port = 0, delayMs = 0, loses = () => false } = options
  const socket: Socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  let received = 0
  let isOpen = true
  socket.on('message', async (datagram, from) => {
    if (loses('to the BMC', datagram)) return
    received += 1
    const send = (answer: Buffer) => {
      if (isOpen && !loses('from the BMC', answer)) socket.send(answer, from.port, from.address, () => {})
    }
    const answers = await bmc.handle(datagram, send)
    const sendAll = () => answers.forEach(send)
    const lateMs = typeof delayMs === 'number' ? delayMs : delayMs()
    if (lateMs > 0) setTimeout(sendAll, lateMs).unref()
    else sendAll()
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, address, () => {
      socket.off('error', reject)
      resolve()
    })
  })
  bmc.port = socket.address().port
  return {
    port: socket.address().port,
    get received() {
      return received
    },
    async [Symbol.asyncDispose]() {
      isOpen = false
      await new Promise<void>(resolve => socket.close(() => resolve()))
    },
  }
}
