/**
 * The way of a request to the controller that is to answer it: the BMC itself, or one behind it, reached by one or two
 * "Send Message" commands around the request. The answer of the one behind comes either within the answer to "Send
 * Message" or as a message of its own.
 *
 * Source: IPMI v2.0 rev 1.1, 22.7 "Send Message", 6.13 "BMC message bridging".
 */
import { commands, netFns } from '#protocol/ipmi/commands.ts'
import { bmcAddress, consoleAddress, decodeMessage, encodeMessage, type Message } from '#protocol/ipmi/message.ts'

export interface Hop {
  channel: number
  address: number
}

export interface Route {
  /** Of the controller that is meant; null: the BMC itself. */
  target: Hop | null
  /** Of the one on the way to it; null: there is none. */
  transit: Hop | null
  /** Our address on the buses behind the BMC. */
  localAddress: number
}

export const direct: Route = { target: null, transit: null, localAddress: bmcAddress }

export interface IpmiRequest {
  netFn: number
  command: number
  data: readonly number[]
  lun?: number
}

export interface IpmiAnswer {
  completion: number
  /** After the completion code. */
  data: Buffer
}

/** "Send Message" keeps track of who asked, so that the answer finds back. */
const tracking = 0x40

/** The message that leaves us. @param seq 0 to 63, the same at every hop */
export function encodeRequest(route: Route, request: IpmiRequest, seq: number): Buffer {
  const { target, transit, localAddress } = route
  const { netFn, command, lun = 0 } = request
  const message = (to: number, from: number, sent: { netFn: number; command: number; data: Iterable<number> }) =>
    encodeMessage({ to, toLun: 0, from, fromLun: 0, seq, ...sent, data: Uint8Array.from(sent.data) })
  const passOn = (hop: Hop, inner: Buffer) => ({
    netFn: netFns.app,
    command: commands.app.sendMessage,
    data: [tracking | hop.channel, ...inner],
  })
  const data = Uint8Array.from(request.data)
  if (!target) {
    return encodeMessage({ to: bmcAddress, toLun: lun, from: consoleAddress, fromLun: 0, seq, netFn, command, data })
  }
  const meant = { to: target.address, toLun: lun, from: localAddress, fromLun: 0, seq, netFn, command, data }
  const inner = encodeMessage(meant)
  if (!transit) return message(bmcAddress, consoleAddress, passOn(target, inner))
  const between = message(transit.address, localAddress, passOn(target, inner))
  return message(bmcAddress, consoleAddress, passOn(transit, between))
}

/** The answer in a payload; undefined where it is none to this, or only says that the request was passed on. */
export function readAnswer(route: Route, request: IpmiRequest, seq: number, payload: Buffer): IpmiAnswer | undefined {
  const message = decodeMessage(payload)
  return message && answerIn(route, request, seq, message)
}

function answerIn(route: Route, request: IpmiRequest, seq: number, message: Message): IpmiAnswer | undefined {
  const [code, ...data] = message.data
  if (message.seq !== seq || code === undefined) return undefined
  const isOf = (netFn: number, command: number) => message.netFn === (netFn | 1) && message.command === command
  const passedOn = route.target !== null && isOf(netFns.app, commands.app.sendMessage)
  if (passedOn && (code !== 0 || data.length > 0)) {
    if (code !== 0) return { completion: code, data: Buffer.alloc(0) }
    const inner = decodeMessage(Buffer.from(data))
    return inner && answerIn(route, request, seq, inner)
  }
  if (passedOn || !isOf(request.netFn, request.command)) return undefined
  return { completion: code, data: Buffer.from(data) }
}
