/**
 * IPMI messages: one request or one response between two addresses on one bus, with its two checksums. How a message
 * travels (over a LAN, within another message) is not known here.
 *
 * Source: IPMI v2.0 rev 1.1, 13.8 "IPMI LAN Message Format"; IPMB v1.0, 2.11.
 */

/** The layout is the same both ways: a response swaps the two sides and sets the lowest bit of the function. */
export interface Message {
  to: number
  toLun: number
  /** Network function: even in requests, odd in responses. */
  netFn: number
  from: number
  fromLun: number
  /** 0 to 63; a response repeats it. */
  seq: number
  command: number
  /** Of a response: the completion code, then what was asked for. */
  data: Uint8Array
}

/** The BMC on every bus. */
export const bmcAddress = 0x20
/** The first software ID of a remote console. */
export const consoleAddress = 0x81

export function encodeMessage(message: Message): Buffer {
  const { to, toLun, netFn, from, fromLun, seq, command, data } = message
  const head = [to, (netFn << 2) | toLun]
  const body = [from, (seq << 2) | fromLun, command, ...data]
  return Buffer.from([...head, checksum(head), ...body, checksum(body)])
}

/** Undefined where it is none: too short, or a checksum that does not fit. */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  if (bytes.length < 7) return undefined
  const body = bytes.subarray(3)
  if (sum(bytes.subarray(0, 3)) !== 0 || sum(body) !== 0) return undefined
  const [to = 0, function_ = 0, , from = 0, sequence = 0, command = 0] = bytes
  return {
    to,
    toLun: function_ & 3,
    netFn: function_ >> 2,
    from,
    fromLun: sequence & 3,
    seq: sequence >> 2,
    command,
    data: bytes.subarray(6, -1),
  }
}

/** @param data completion code first */
export function responseTo(request: Message, data: Uint8Array): Message {
  const { to, toLun, from, fromLun, netFn } = request
  return { ...request, to: from, toLun: fromLun, from: to, fromLun: toLun, netFn: netFn | 1, data }
}

/** What brings the sum to zero. */
function checksum(bytes: Iterable<number>): number {
  return -sum(bytes) & 0xff
}

function sum(bytes: Iterable<number>): number {
  let total = 0
  for (const byte of bytes) total += byte
  return total & 0xff
}
