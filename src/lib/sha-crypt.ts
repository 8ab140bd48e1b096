/**
 * Password hashes as crypt(3) makes them with SHA-256 and SHA-512: `$5$salt$hash`, `$6$salt$hash`. What it computes with
 * never leaves it; it gives the event loop back every few hundred rounds.
 *
 * Source: "Unix crypt using SHA-256 and SHA-512", version 0.6, the specification that the GNU C library follows.
 */
import { createHash, randomInt } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'

export type ShaCrypt = 'sha256' | 'sha512'

/** `$5$`: the order in which bytes of the digest are written, three at a time. */
const order256 = [
  [0, 10, 20],
  [21, 1, 11],
  [12, 22, 2],
  [3, 13, 23],
  [24, 4, 14],
  [15, 25, 5],
  [6, 16, 26],
  [27, 7, 17],
  [18, 28, 8],
  [9, 19, 29],
  [null, 31, 30],
]
const order512 = [
  ...Array.from({ length: 21 }, (_, index) => {
    const [a, b, c] = [index, index + 21, index + 42]
    return index % 3 === 0 ? [a, b, c] : index % 3 === 1 ? [b, c, a] : [c, a, b]
  }),
  [null, null, 63],
]
const kinds = { sha256: { id: '5', bytes: 32, order: order256 }, sha512: { id: '6', bytes: 64, order: order512 } }

const letters = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const roundsAtOnce = 200
const defaultRounds = 5000

/** The hash of a password. Without `salt`, of one that nobody knows beforehand. */
export async function shaCrypt(
  password: string,
  algorithm: ShaCrypt,
  salt = Array.from({ length: 16 }, () => letters[randomInt(64)]).join(''),
  rounds = defaultRounds,
): Promise<string> {
  const { id, bytes, order } = kinds[algorithm]
  const key = Buffer.from(password)
  const grain = Buffer.from(salt).subarray(0, 16)
  const digest = (...parts: Buffer[]) => createHash(algorithm).update(Buffer.concat(parts)).digest()
  /** `block` as often as it takes to fill `size` bytes. */
  const filled = (block: Buffer, size: number) =>
    Buffer.concat(Array.from({ length: Math.ceil(size / bytes) }, () => block)).subarray(0, size)

  const alternate = digest(key, grain, key)
  const mixed = [key, grain, filled(alternate, key.length)]
  for (let left = key.length; left > 0; left >>= 1) mixed.push(left & 1 ? alternate : key)
  let sum = digest(...mixed)
  const p = filled(digest(...Array.from({ length: key.length }, () => key)), key.length)
  const s = filled(digest(...Array.from({ length: 16 + (sum[0] ?? 0) }, () => grain)), grain.length)

  for (let round = 0; round < rounds; round++) {
    const parts = [round % 2 ? p : sum]
    if (round % 3) parts.push(s)
    if (round % 7) parts.push(p)
    parts.push(round % 2 ? sum : p)
    sum = digest(...parts)
    if (round % roundsAtOnce === roundsAtOnce - 1) await turn()
  }
  const told = rounds === defaultRounds ? '' : `rounds=${rounds}$`
  return `$${id}$${told}${grain.toString()}$${order.map(three => encoded(three, sum)).join('')}`
}

/** Up to three bytes as letters, six bits each, the low ones first. */
function encoded(three: readonly (number | null)[], sum: Buffer): string {
  const present = three.filter(index => index !== null)
  let bits = present.reduce((value, index) => (value << 8) | (sum[index] ?? 0), 0)
  let out = ''
  for (let left = Math.ceil((present.length * 8) / 6); left > 0; left--) {
    out += letters[bits & 63]
    bits >>>= 6
  }
  return out
}
