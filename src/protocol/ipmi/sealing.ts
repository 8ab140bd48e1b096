/**
 * What protects the packets of an open session, the same on both of its ends: signature, encryption, and the window of
 * sequence numbers that keeps old packets from counting twice. Sealing and opening are pure but for that window and
 * the random start of each encryption.
 *
 * Source: IPMI v2.0 rev 1.1, 6.12.12 to 6.12.14 "Session sequence numbers", 13.28.4 "Integrity algorithms", 13.29
 * "AES-CBC-128"; 22.17.1 "AuthCode algorithms" (IPMI 1.5).
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomFillSync, timingSafeEqual } from 'node:crypto'
import type { CipherSuite } from './cipher-suites.ts'
import { authTypes, encodeSession15, encodeSession20, type Packet, withRmcp } from './packet.ts'
import type { SessionKeys } from './rakp.ts'

const blockBytes = 16
/** Ends the part that is signed. */
const nextHeader = 0x07

/** An open session as one end sees it. */
export interface Seal {
  /** A datagram with this payload, with a sequence number of its own: one that is sent again is sealed again. */
  seal(payloadType: number, payload: Buffer): Buffer
  /** The payload of a packet of this session; undefined for one of another, a forged or a repeated one. */
  open(packet: Packet): { payloadType: number; payload: Buffer } | undefined
}

/** @param ids the session's ID at this end, and at the other one, which all packets to it carry */
export function seal20(suite: CipherSuite, keys: SessionKeys, ids: { own: number; other: number }): Seal {
  const received = new SequenceWindow()
  const isEncrypted = suite.confidentiality.id !== 0
  const isAuthenticated = suite.integrity.id !== 0
  let seq = 0
  return {
    seal(payloadType, payload) {
      seq = seq === 0xffffffff ? 1 : seq + 1
      const text = isEncrypted ? encrypt(keys.confidentiality, payload) : payload
      const header = { payloadType, isEncrypted, isAuthenticated, sessionId: ids.other, seq, payload: text }
      const session = encodeSession20(header)
      if (!isAuthenticated) return withRmcp(session)
      const pad = -(session.length + 2) & 3
      const signed = Buffer.concat([session, Buffer.alloc(pad, 0xff), Buffer.from([pad, nextHeader])])
      return withRmcp(Buffer.concat([signed, signature(suite, keys, signed)]))
    },

    open(packet) {
      if (packet.kind !== '2.0' || packet.sessionId !== ids.own) return undefined
      // What is not protected as agreed did not come from the other end.
      if (packet.isAuthenticated !== isAuthenticated || packet.isEncrypted !== isEncrypted) return undefined
      if (isAuthenticated) {
        const { bytes } = suite.integrity
        const end = packet.signed.length - bytes
        if (end < packet.payload.length + 14) return undefined
        const expected = signature(suite, keys, packet.signed.subarray(0, end))
        if (!timingSafeEqual(expected, packet.signed.subarray(end))) return undefined
      }
      if (!received.take(packet.seq)) return undefined
      const payload = isEncrypted ? decrypt(keys.confidentiality, packet.payload) : packet.payload
      return payload && { payloadType: packet.payloadType, payload }
    },
  }
}

/**
 * A session of IPMI 1.5.
 * @param session.password 16 bytes, filled up with zeros
 * @param session.firstSeq the number of the first packet from this end
 * @param session.isSigned false where the BMC signs no packets once a session is open
 */
export function seal15(session: {
  authType: number
  id: number
  password: Buffer
  firstSeq: number
  isSigned: boolean
}): Seal {
  const { authType, id, password, isSigned } = session
  const received = new SequenceWindow()
  let seq = session.firstSeq
  return {
    seal(_payloadType, payload) {
      const packet = { authType, sessionId: id, seq, payload }
      seq = seq === 0xffffffff ? 1 : seq + 1
      return encodeSession15({ ...packet, authCode: authCode15({ ...packet, password }) })
    },

    open(packet) {
      if (packet.kind !== '1.5' || packet.sessionId !== id) return undefined
      if (isSigned || packet.authCode !== null) {
        if (packet.authType !== authType) return undefined
        const expected = authCode15({ ...packet, password })
        if (expected && !(packet.authCode && timingSafeEqual(expected, packet.authCode))) return undefined
      }
      if (!received.take(packet.seq)) return undefined
      return { payloadType: 0, payload: packet.payload }
    },
  }
}

/** The proof in a packet of IPMI 1.5; null with authentication type none. */
export function authCode15(packet: {
  authType: number
  sessionId: number
  seq: number
  payload: Buffer
  password: Buffer
}): Buffer | null {
  const { authType, sessionId, seq, payload, password } = packet
  if (authType === authTypes.password) return password
  if (authType !== authTypes.md5) return null
  const numbers = Buffer.alloc(8)
  numbers.writeUInt32LE(sessionId, 0)
  numbers.writeUInt32LE(seq, 4)
  return createHash('md5')
    .update(password)
    .update(numbers.subarray(0, 4))
    .update(payload)
    .update(numbers.subarray(4))
    .update(password)
    .digest()
}

/** Which of the latest packets were there already: a packet counts once, and not when 16 or more came after it. */
export class SequenceWindow {
  #highest = 0
  /** Bit n: the packet `#highest - n` was there. */
  #seen = 0

  /** Tells whether the packet counts. */
  take(seq: number): boolean {
    // 0 is for packets outside sessions.
    if (seq === 0) return false
    const ahead = this.#highest === 0 ? 1 : (seq - this.#highest) | 0
    if (ahead > 0) {
      this.#seen = ahead > 31 ? 1 : (this.#seen << ahead) | 1
      this.#highest = seq
      return true
    }
    if (ahead <= -16 || (this.#seen & (1 << -ahead)) !== 0) return false
    this.#seen |= 1 << -ahead
    return true
  }
}

function signature({ integrity }: CipherSuite, keys: SessionKeys, signed: Buffer): Buffer {
  const { hash, bytes } = integrity
  if (hash === null) return Buffer.alloc(0)
  return createHmac(hash, keys.integrity).update(signed).digest().subarray(0, bytes)
}

/** The start, then the payload filled up with 1, 2, 3 … and their count. */
function encrypt(key: Buffer, payload: Buffer): Buffer {
  const start = randomFillSync(Buffer.allocUnsafe(blockBytes))
  const pad = -(payload.length + 1) & (blockBytes - 1)
  const fill = Buffer.from([...Array.from({ length: pad }, (_, index) => index + 1), pad])
  const cipher = createCipheriv('aes-128-cbc', key, start).setAutoPadding(false)
  return Buffer.concat([start, cipher.update(payload), cipher.update(fill), cipher.final()])
}

function decrypt(key: Buffer, bytes: Buffer): Buffer | undefined {
  if (bytes.length < 2 * blockBytes || bytes.length % blockBytes !== 0) return undefined
  const cipher = createDecipheriv('aes-128-cbc', key, bytes.subarray(0, blockBytes)).setAutoPadding(false)
  const text = Buffer.concat([cipher.update(bytes.subarray(blockBytes)), cipher.final()])
  const pad = text.at(-1) ?? 0
  return pad < blockBytes && pad < text.length ? text.subarray(0, text.length - 1 - pad) : undefined
}
