/**
 * Seeded chance: the same seed draws the same numbers, and each machine draws from a stream of its own, so that what
 * happens to one does not depend on when others draw. Not for secrets.
 */

/** Both ends belong to it; the same number twice is a fixed value. */
export type Range = readonly [from: number, to: number]

export class Chance {
  readonly #seed: number
  #state: number

  /** @param seed only its low 32 bits count */
  constructor(seed: number) {
    this.#seed = seed >>> 0
    this.#state = this.#seed
  }

  /** From 0 up to, but never, 1. Source: the mulberry32 generator, public domain. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** True with probability `rate`. It draws for a rate of 0 as well: turning one fault off leaves the others in place. */
  happens(rate: number): boolean {
    return this.next() < rate
  }

  within([from, to]: Range): number {
    return from + this.next() * (to - from)
  }

  /** `digits` hexadecimal digits. */
  hex(digits: number): string {
    return Array.from({ length: digits }, () => Math.floor(this.next() * 16).toString(16)).join('')
  }

  /** A stream of its own, the same for the same seed and label however much was drawn here. */
  fork(label: string): Chance {
    let hash = this.#seed ^ 0x811c9dc5
    for (const char of label) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193)
    return new Chance(hash)
  }
}
