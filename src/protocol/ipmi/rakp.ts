/**
 * The opening of an RMCP+ session: the layout of its six messages, and what console and BMC compute to prove to each
 * other that both know the password (RAKP). Nothing is sent here, and no answer is judged.
 *
 * Source: IPMI v2.0 rev 1.1, 13.17 to 13.24 "RMCP+ Open Session" and "RAKP Message", 13.28 "Authentication, integrity
 * and confidentiality algorithm numbers", 13.31 "RMCP+ authenticated key-exchange protocol", 13.32 "Additional keying
 * material".
 */
import { createHmac } from 'node:crypto'
import type { CipherSuite } from './cipher-suites.ts'

export interface Algorithms {
  authentication: number
  integrity: number
  confidentiality: number
}

export interface OpenRequest {
  tag: number
  /** Privilege that the session is to have at most; 0: the highest that the algorithms allow. */
  privilege: number
  consoleId: number
  algorithms: Algorithms
}

/** Of a response that refuses, only tag, status and the console's ID are there. */
export interface OpenResponse {
  tag: number
  status: number
  privilege: number
  consoleId: number
  bmcId: number
  algorithms: Algorithms
}

export interface Rakp1 {
  tag: number
  bmcId: number
  consoleRandom: Buffer
  /** Privilege, and 0x10 where the user is looked up by name alone. */
  role: number
  user: Buffer
}

export interface Rakp2 {
  tag: number
  status: number
  consoleId: number
  bmcRandom: Buffer
  bmcGuid: Buffer
  code: Buffer
}

export interface Rakp3 {
  tag: number
  status: number
  bmcId: number
  code: Buffer
}

export interface Rakp4 {
  tag: number
  status: number
  consoleId: number
  code: Buffer
}

/** What both sides know once RAKP message 2 is there. */
export interface Exchange {
  suite: CipherSuite
  consoleId: number
  bmcId: number
  consoleRandom: Buffer
  bmcRandom: Buffer
  bmcGuid: Buffer
  role: number
  user: Buffer
  /** 20 bytes, filled up with zeros. */
  password: Buffer
  /** The key of the BMC itself; null: it has none, and the password takes its place. */
  bmcKey: Buffer | null
}

/** Everything a session is signed and encrypted with; empty where the suite does without. */
export interface SessionKeys {
  /** K1 */
  integrity: Buffer
  /** The first 16 bytes of K2. */
  confidentiality: Buffer
}

/** Keys and passwords are compared and computed with at this length. */
export const keyBytes = 20

export function encodeOpenRequest({ tag, privilege, consoleId, algorithms }: OpenRequest): Buffer {
  const head = Buffer.from([tag, privilege, 0, 0, 0, 0, 0, 0])
  head.writeUInt32LE(consoleId, 4)
  return Buffer.concat([head, encodeAlgorithms(algorithms)])
}

export function decodeOpenRequest(bytes: Buffer): OpenRequest | undefined {
  const algorithms = decodeAlgorithms(bytes.subarray(8))
  if (!algorithms) return undefined
  return { tag: bytes[0] ?? 0, privilege: (bytes[1] ?? 0) & 0x0f, consoleId: bytes.readUInt32LE(4), algorithms }
}

export function encodeOpenResponse({ tag, status, privilege, consoleId, bmcId, algorithms }: OpenResponse): Buffer {
  const head = Buffer.from([tag, status, privilege, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  head.writeUInt32LE(consoleId, 4)
  head.writeUInt32LE(bmcId, 8)
  return status === 0 ? Buffer.concat([head, encodeAlgorithms(algorithms)]) : head.subarray(0, 8)
}

export function decodeOpenResponse(bytes: Buffer): OpenResponse | undefined {
  if (bytes.length < 8) return undefined
  const [tag = 0, status = 0, privilege = 0] = bytes
  const consoleId = bytes.readUInt32LE(4)
  const none = { authentication: 0, integrity: 0, confidentiality: 0 }
  if (status !== 0) return { tag, status, privilege: 0, consoleId, bmcId: 0, algorithms: none }
  const algorithms = decodeAlgorithms(bytes.subarray(12))
  if (!algorithms) return undefined
  return { tag, status, privilege: privilege & 0x0f, consoleId, bmcId: bytes.readUInt32LE(8), algorithms }
}

export function encodeRakp1({ tag, bmcId, consoleRandom, role, user }: Rakp1): Buffer {
  return Buffer.concat([headOf(tag, 0, bmcId), consoleRandom, Buffer.from([role, 0, 0, user.length]), user])
}

export function decodeRakp1(bytes: Buffer): Rakp1 | undefined {
  const length = bytes[27]
  if (length === undefined || length > 16 || bytes.length < 28 + length) return undefined
  return {
    tag: bytes[0] ?? 0,
    bmcId: bytes.readUInt32LE(4),
    consoleRandom: bytes.subarray(8, 24),
    role: bytes[24] ?? 0,
    user: bytes.subarray(28, 28 + length),
  }
}

export function encodeRakp2({ tag, status, consoleId, bmcRandom, bmcGuid, code }: Rakp2): Buffer {
  const head = headOf(tag, status, consoleId)
  return status === 0 ? Buffer.concat([head, bmcRandom, bmcGuid, code]) : head
}

export function decodeRakp2(bytes: Buffer): Rakp2 | undefined {
  if (bytes.length < 8) return undefined
  const status = bytes[1] ?? 0
  if (status === 0 && bytes.length < 40) return undefined
  return {
    tag: bytes[0] ?? 0,
    status,
    consoleId: bytes.readUInt32LE(4),
    bmcRandom: bytes.subarray(8, 24),
    bmcGuid: bytes.subarray(24, 40),
    code: bytes.subarray(40),
  }
}

export function encodeRakp3({ tag, status, bmcId, code }: Rakp3): Buffer {
  return Buffer.concat([headOf(tag, status, bmcId), code])
}

export function decodeRakp3(bytes: Buffer): Rakp3 | undefined {
  if (bytes.length < 8) return undefined
  return { tag: bytes[0] ?? 0, status: bytes[1] ?? 0, bmcId: bytes.readUInt32LE(4), code: bytes.subarray(8) }
}

export function encodeRakp4({ tag, status, consoleId, code }: Rakp4): Buffer {
  return Buffer.concat([headOf(tag, status, consoleId), code])
}

export function decodeRakp4(bytes: Buffer): Rakp4 | undefined {
  if (bytes.length < 8) return undefined
  return { tag: bytes[0] ?? 0, status: bytes[1] ?? 0, consoleId: bytes.readUInt32LE(4), code: bytes.subarray(8) }
}

/** With which the BMC proves that it knows the password: the code of RAKP message 2. */
export function bmcCode(exchange: Exchange): Buffer {
  const { consoleId, bmcId, consoleRandom, bmcRandom, bmcGuid, password } = exchange
  const text = [uint32(consoleId), uint32(bmcId), consoleRandom, bmcRandom, bmcGuid, who(exchange)]
  return hmac(exchange, password, text)
}

/** With which the console proves it: the code of RAKP message 3. */
export function consoleCode(exchange: Exchange): Buffer {
  const { consoleId, bmcRandom, password } = exchange
  return hmac(exchange, password, [bmcRandom, uint32(consoleId), who(exchange)])
}

/** With which the BMC shows that it came to the same session key: the code of RAKP message 4. */
export function checkCode(exchange: Exchange): Buffer {
  const { consoleRandom, bmcId, bmcGuid, suite } = exchange
  const code = hmac(exchange, sessionKey(exchange), [consoleRandom, uint32(bmcId), bmcGuid])
  return code.subarray(0, suite.authentication.checkBytes)
}

export function sessionKeys(exchange: Exchange): SessionKeys {
  const key = sessionKey(exchange)
  return {
    integrity: hmac(exchange, key, [Buffer.alloc(keyBytes, 1)]),
    confidentiality: hmac(exchange, key, [Buffer.alloc(keyBytes, 2)]).subarray(0, 16),
  }
}

/** A password or key at the length that it is computed with. */
export function padded(key: Buffer, bytes: number = keyBytes): Buffer {
  const all = Buffer.alloc(bytes)
  key.copy(all)
  return all
}

function sessionKey(exchange: Exchange): Buffer {
  const { bmcKey, password, consoleRandom, bmcRandom } = exchange
  return hmac(exchange, bmcKey ?? password, [consoleRandom, bmcRandom, who(exchange)])
}

/** Role and name, as they end most of what is computed. */
function who({ role, user }: Exchange): Buffer {
  return Buffer.concat([Buffer.from([role, user.length]), user])
}

function hmac({ suite }: Exchange, key: Buffer, text: readonly Buffer[]): Buffer {
  const { hash } = suite.authentication
  if (hash === null) return Buffer.alloc(0)
  const made = createHmac(hash, key)
  for (const part of text) made.update(part)
  return made.digest()
}

function headOf(tag: number, status: number, id: number): Buffer {
  const head = Buffer.from([tag, status, 0, 0, 0, 0, 0, 0])
  head.writeUInt32LE(id, 4)
  return head
}

/** Three payloads of 8 bytes: what it is, its length, the algorithm. */
function encodeAlgorithms({ authentication, integrity, confidentiality }: Algorithms): Buffer {
  const kinds = [authentication, integrity, confidentiality]
  return Buffer.from(kinds.flatMap((algorithm, kind) => [kind, 0, 0, 8, algorithm, 0, 0, 0]))
}

function decodeAlgorithms(bytes: Buffer): Algorithms | undefined {
  if (bytes.length < 24) return undefined
  const at = (index: number) => (bytes[index] ?? 0) & 0x3f
  return { authentication: at(4), integrity: at(12), confidentiality: at(20) }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
