/**
 * Self-signed certificates for servers that have no certificate authority: the agent in the ramdisk, the lab's BMC.
 *
 * A small writer of DER (X.690) and just enough of X.509 v3 (RFC 5280): an EC key, subject equal to issuer, one
 * critical SubjectAltName. Node can check certificates but cannot make them, and the ramdisk has no openssl program.
 * It never signs anything for anybody else and never writes a file.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { InvalidInput } from './fault.ts'

export type Curve = 'p256' | 'p384' | 'p521'

export interface SelfSignedRequest {
  /** Subject and issuer; cut to 64 characters, the limit of the standard. */
  commonName: string
  /** Addresses and names the certificate is good for; at least one of both together. */
  ipAddresses?: readonly string[]
  dnsNames?: readonly string[]
  notBefore: Date
  notAfter: Date
  /** Default `p384`. */
  curve?: Curve
}

export interface SelfSigned {
  /** One certificate, PEM. */
  certPem: string
  /** PKCS#8, not encrypted, PEM. */
  keyPem: string
}

/**
 * Makes a key and a certificate for it, signed by itself with ECDSA and SHA-512. There are no basic constraints, so that
 * clients take it as the server's own certificate and as the root to trust at once.
 * @throws InvalidInput when nothing names the server, or an address is not one
 * Source: RFC 5280 (profile), RFC 5480 (EC keys), RFC 5758 (ecdsa-with-SHA512)
 */
export function selfSigned(request: SelfSignedRequest): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: CURVES[request.curve ?? 'p384'] })
  const name = sequence(set(sequence(oid(OID_COMMON_NAME), utf8(request.commonName.slice(0, 64)))))
  const algorithm = sequence(oid(OID_ECDSA_WITH_SHA512))
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))), // version 3
    integer(serialNumber()),
    algorithm,
    name,
    sequence(time(request.notBefore), time(request.notAfter)),
    name,
    subjectPublicKeyInfo(publicKey),
    explicit(3, sequence(subjectAltName(request))),
  )
  const signature = sign('sha512', body, privateKey)
  return {
    certPem: pem('CERTIFICATE', sequence(body, algorithm, bitString(signature))),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

const CURVES = { p256: 'prime256v1', p384: 'secp384r1', p521: 'secp521r1' } satisfies Record<Curve, string>
const OID_COMMON_NAME = '2.5.4.3'
const OID_SUBJECT_ALT_NAME = '2.5.29.17'
const OID_ECDSA_WITH_SHA512 = '1.2.840.10045.4.3.4'

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
}

/** 16 random bytes, made positive and never zero, as the standard wants. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40 // 16 bytes were asked for, so the first exists
  return bytes
}

function subjectPublicKeyInfo(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' })
}

function subjectAltName({ ipAddresses = [], dnsNames = [] }: SelfSignedRequest): Buffer {
  if (ipAddresses.length + dnsNames.length === 0) {
    throw new InvalidInput('Cannot make a certificate: it names neither an address nor a host; expected at least one')
  }
  const names = [
    ...ipAddresses.map(address => tagged(0x87, addressBytes(address))),
    ...dnsNames.map(name => tagged(0x82, Buffer.from(name, 'ascii'))),
  ]
  const critical = tagged(TAG.boolean, Buffer.from([0xff]))
  return sequence(oid(OID_SUBJECT_ALT_NAME), critical, tagged(TAG.octetString, sequence(...names)))
}

/** 4 or 16 bytes of an address as text; a scope (`%eth0`) is dropped, for it means nothing to the other side. */
function addressBytes(address: string): Buffer {
  const [plain = ''] = address.split('%')
  if (isIPv4(plain)) return Buffer.from(plain.split('.').map(Number))
  if (isIPv6(plain)) return ipv6Bytes(plain)
  throw new InvalidInput(`Cannot make a certificate: "${address}" is not an IP address`)
}

function ipv6Bytes(address: string): Buffer {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address)
  const text = dotted ? `${dotted[1]}${dottedGroups(dotted[2] ?? '')}` : address
  const [head = '', tail] = text.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  const bytes = Buffer.alloc(16)
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  return bytes
}

function dottedGroups(dotted: string): string {
  const hex = Buffer.from(dotted.split('.').map(Number)).toString('hex')
  return `${hex.slice(0, 4)}:${hex.slice(4)}`
}

/** Years from 2050 on need the long form, earlier ones must have the short one. */
function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/[-:T]/g, '').slice(0, 14) + 'Z'
  return at.getUTCFullYear() < 2050
    ? tagged(TAG.utcTime, Buffer.from(digits.slice(2), 'ascii'))
    : tagged(TAG.generalizedTime, Buffer.from(digits, 'ascii'))
}

const sequence = (...parts: Buffer[]) => tagged(TAG.sequence, Buffer.concat(parts))
const set = (...parts: Buffer[]) => tagged(TAG.set, Buffer.concat(parts))
const explicit = (number: number, content: Buffer) => tagged(0xa0 | number, content)
const integer = (bytes: Buffer) => tagged(TAG.integer, bytes)
const utf8 = (text: string) => tagged(TAG.utf8, Buffer.from(text, 'utf8'))
const bitString = (bytes: Buffer) => tagged(TAG.bitString, Buffer.concat([Buffer.from([0]), bytes]))

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tagged(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

/** A number in groups of seven bits, all but the last marked by the top bit. */
function base128(value: number): number[] {
  const groups = [value & 0x7f]
  for (let left = value >> 7; left > 0; left >>= 7) groups.unshift(0x80 | (left & 0x7f))
  return groups
}

function tagged(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), length(content.length), content])
}

function length(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size])
  const bytes = Buffer.from(size.toString(16).padStart(size > 0xffff ? 6 : size > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes])
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
