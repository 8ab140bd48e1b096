/**
 * Serial over LAN: the packets that carry characters between a remote console and a machine's serial port, and what
 * begins and ends that. Only the layout; when something is sent again is decided by the two ends.
 *
 * Source: IPMI v2.0 rev 1.1, 15.9 "SOL packets", 24.1 "Activate Payload", 24.2 "Deactivate Payload".
 */
import { payloadTypes } from './packet.ts'

export interface SolPacket {
  /** 1 to 15; 0: it carries nothing that wants an answer. */
  seq: number
  /** The packet that this one answers; 0: none. */
  ackSeq: number
  /** How many characters of that one were taken. */
  accepted: number
  /** Status of the BMC, or operations that a console asks for. */
  flags: number
  characters: Buffer
}

/** The one that every BMC has. */
export const solInstance = 1

export const consoleFlags = { nack: 0x40, break: 0x10 } as const
export const bmcFlags = { nack: 0x40, unavailable: 0x20, deactivated: 0x10, overrun: 0x08, break: 0x04 } as const

const headBytes = 4

export function encodeSol({ seq, ackSeq, accepted, flags, characters }: SolPacket): Buffer {
  return Buffer.concat([Buffer.from([seq, ackSeq, accepted, flags]), characters])
}

/** Undefined where it is none. */
export function decodeSol(bytes: Buffer): SolPacket | undefined {
  if (bytes.length < headBytes) return undefined
  const [seq = 0, ackSeq = 0, accepted = 0, flags = 0] = bytes
  return { seq: seq & 0x0f, ackSeq: ackSeq & 0x0f, accepted, flags, characters: bytes.subarray(headBytes) }
}

/** The number of the packet after that one. */
export const nextSolSeq = (seq: number) => (seq % 15) + 1

/** Bits of the first auxiliary byte of an activation: what the packets are to be protected by, alerts meanwhile. */
const protection = { encrypted: 0x80, authenticated: 0x40, alertsDeferred: 0x04 } as const

export function encodeActivation(suite: { encrypts: boolean; authenticates: boolean }): number[] {
  const { encrypted, authenticated, alertsDeferred } = protection
  const first = (suite.encrypts ? encrypted : 0) | (suite.authenticates ? authenticated : 0) | alertsDeferred
  return [payloadTypes.sol, solInstance, first, 0, 0, 0]
}

export interface Activated {
  /** The most that one packet to the BMC may have, with its head. */
  inboundBytes: number
  /** Where the packets go; the usual one stands for the port of the session. */
  port: number
}

/** @param data after the completion code; undefined where it is too short */
export function decodeActivated(data: Buffer): Activated | undefined {
  if (data.length < 10) return undefined
  return { inboundBytes: data.readUInt16LE(4), port: data.readUInt16LE(8) }
}

export function encodeActivated({ inboundBytes, port }: Activated): number[] {
  const data = Buffer.alloc(12)
  data.writeUInt16LE(inboundBytes, 4)
  data.writeUInt16LE(inboundBytes, 6)
  data.writeUInt16LE(port, 8)
  data.writeUInt16LE(0xffff, 10)
  return [...data]
}

export const deactivation: readonly number[] = [payloadTypes.sol, solInstance, 0, 0, 0, 0]

/** Completion codes of their own. */
export const activationRefusals: Readonly<Record<number, string>> = {
  128: 'another console holds it (0x80)',
  129: 'Serial over LAN is switched off in the BMC (0x81)',
  130: 'the BMC has as many consoles as it can hold (0x82)',
  131: 'the BMC cannot encrypt it (0x83); another ipmi_cipher_suite may help',
  132: 'the BMC wants it encrypted (0x84); another ipmi_cipher_suite may help',
}
export const heldByAnother = 0x80
