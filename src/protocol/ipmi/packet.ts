/**
 * Datagrams of IPMI over a LAN: the RMCP header, then a presence ping of ASF, a session header of IPMI 1.5, or one of
 * RMCP+ (IPMI 2.0). Only the layout: what a payload means, and whether its signature is right, is checked by sealing.ts.
 *
 * Source: IPMI v2.0 rev 1.1, 13.1.3 "RMCP", 13.2 "ASF", 13.6 "IPMI session header"; DSP0136 (ASF 2.0), 3.2.
 */

export type Packet =
  | { kind: 'ping'; tag: number }
  | { kind: 'pong'; tag: number; speaksIpmi: boolean }
  | { kind: '1.5'; authType: number; seq: number; sessionId: number; authCode: Buffer | null; payload: Buffer }
  | {
      kind: '2.0'
      payloadType: number
      isEncrypted: boolean
      isAuthenticated: boolean
      sessionId: number
      seq: number
      payload: Buffer
      /** From the session header to the end: what a signature at its end covers, and that signature. */
      signed: Buffer
    }

/** One with a session header; ID 0 stands for none. */
export type SessionPacket = Exclude<Packet, { kind: 'ping' | 'pong' }>

export const payloadTypes = {
  message: 0x00,
  sol: 0x01,
  openRequest: 0x10,
  openResponse: 0x11,
  rakp1: 0x12,
  rakp2: 0x13,
  rakp3: 0x14,
  rakp4: 0x15,
} as const

/** How sessions of IPMI 1.5 prove who sends: nothing, MD5 of packet and password, the password itself. */
export const authTypes = { none: 0, md5: 2, password: 4 } as const

export const ipmiPort = 623
const version = 0x06
/** No acknowledgement is wanted. */
const noAck = 0xff
const classes = { asf: 0x06, ipmi: 0x07 } as const
/** Authentication type of the session header that stands for RMCP+. */
const rmcpPlus = 0x06
const asfIana = 4542
const asf = { pong: 0x40, ping: 0x80 } as const

const rmcp = (messageClass: number) => Buffer.from([version, 0, noAck, messageClass])

export function encodePing(tag: number): Buffer {
  return Buffer.concat([rmcp(classes.asf), asfHeader(asf.ping, tag, 0)])
}

export function encodePong(tag: number): Buffer {
  const body = Buffer.alloc(16)
  body.writeUInt32BE(asfIana, 0)
  // Supported entities: IPMI, ASF 1.0.
  body[8] = 0x81
  return Buffer.concat([rmcp(classes.asf), asfHeader(asf.pong, tag, body.length), body])
}

/** @param authCode 16 bytes, null with authentication type none */
export function encodeSession15(packet: {
  authType: number
  seq: number
  sessionId: number
  authCode: Buffer | null
  payload: Buffer
}): Buffer {
  const header = Buffer.alloc(9)
  header[0] = packet.authType
  header.writeUInt32LE(packet.seq, 1)
  header.writeUInt32LE(packet.sessionId, 5)
  const code = packet.authCode ?? Buffer.alloc(0)
  return Buffer.concat([rmcp(classes.ipmi), header, code, Buffer.from([packet.payload.length]), packet.payload])
}

/** The session header of RMCP+ and the payload, without RMCP header and signature: what a signature covers first. */
export function encodeSession20(packet: {
  payloadType: number
  isEncrypted: boolean
  isAuthenticated: boolean
  sessionId: number
  seq: number
  payload: Buffer
}): Buffer {
  const header = Buffer.alloc(12)
  header[0] = rmcpPlus
  header[1] = packet.payloadType | (packet.isEncrypted ? 0x80 : 0) | (packet.isAuthenticated ? 0x40 : 0)
  header.writeUInt32LE(packet.sessionId, 2)
  header.writeUInt32LE(packet.seq, 6)
  header.writeUInt16LE(packet.payload.length, 10)
  return Buffer.concat([header, packet.payload])
}

/** Puts the RMCP header before what `encodeSession20` made. */
export function withRmcp(session: Buffer): Buffer {
  return Buffer.concat([rmcp(classes.ipmi), session])
}

/** A datagram of IPMI 1.5 outside any session. */
export function plain15(payload: Buffer): Buffer {
  return encodeSession15({ authType: authTypes.none, seq: 0, sessionId: 0, authCode: null, payload })
}

/** A datagram of IPMI 2.0 outside any session. */
export function plain20(payloadType: number, payload: Buffer): Buffer {
  const plain = { isEncrypted: false, isAuthenticated: false, sessionId: 0, seq: 0 }
  return withRmcp(encodeSession20({ ...plain, payloadType, payload }))
}

/** Undefined for what is not ours to read: another class or version, an OEM payload, lengths that do not fit. */
export function decodePacket(bytes: Buffer): Packet | undefined {
  if (bytes.length < 14 || bytes[0] !== version) return undefined
  const rest = bytes.subarray(4)
  if (bytes[3] === classes.asf) return decodeAsf(rest)
  if (bytes[3] !== classes.ipmi) return undefined
  return rest[0] === rmcpPlus ? decodeSession20(rest) : decodeSession15(rest)
}

function decodeAsf(bytes: Buffer): Packet | undefined {
  if (bytes.length < 8 || bytes.readUInt32BE(0) !== asfIana) return undefined
  const [type, tag = 0] = bytes.subarray(4)
  if (type === asf.ping) return { kind: 'ping', tag }
  if (type === asf.pong && bytes.length >= 17) return { kind: 'pong', tag, speaksIpmi: ((bytes[16] ?? 0) & 0x80) !== 0 }
  return undefined
}

function decodeSession15(bytes: Buffer): Packet | undefined {
  const authType = (bytes[0] ?? 0) & 0x0f
  const at = authType === authTypes.none ? 9 : 25
  const length = bytes[at]
  if (length === undefined || bytes.length < at + 1 + length) return undefined
  return {
    kind: '1.5',
    authType,
    seq: bytes.readUInt32LE(1),
    sessionId: bytes.readUInt32LE(5),
    authCode: at === 9 ? null : bytes.subarray(9, 25),
    payload: bytes.subarray(at + 1, at + 1 + length),
  }
}

function decodeSession20(bytes: Buffer): Packet | undefined {
  const type = bytes[1] ?? 0
  // An OEM payload names its maker in further fields; nobody here speaks one.
  if (bytes.length < 12 || (type & 0x3f) === 2) return undefined
  const length = bytes.readUInt16LE(10)
  if (bytes.length < 12 + length) return undefined
  return {
    kind: '2.0',
    payloadType: type & 0x3f,
    isEncrypted: (type & 0x80) !== 0,
    isAuthenticated: (type & 0x40) !== 0,
    sessionId: bytes.readUInt32LE(2),
    seq: bytes.readUInt32LE(6),
    payload: bytes.subarray(12, 12 + length),
    signed: bytes,
  }
}

function asfHeader(type: number, tag: number, length: number): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32BE(asfIana, 0)
  header[4] = type
  header[5] = tag
  header[7] = length
  return header
}
