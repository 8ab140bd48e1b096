/**
 * Rendezvous hashing: every key has its own order of the members and takes the first, so that a member that leaves moves
 * only its own keys, and one that comes takes its share evenly from all.
 */

/** The member that `key` belongs to, the same in every process; undefined without members. */
export function nearest(key: string, members: readonly string[]): string | undefined {
  let best: string | undefined
  let bestWeight = -1
  for (const member of members) {
    const weight = members.length === 1 ? 0 : hash(`${member} ${key}`)
    if (weight > bestWeight) [best, bestWeight] = [member, weight]
  }
  return best
}

/** FNV-1a, 32 bits, then mixed so that texts which differ in one place only have nothing in common. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
