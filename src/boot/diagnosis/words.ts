/** What diagnoses are made of, and the words they share. */
import type { BootRecord, Hop, Trouble } from '#protocol/boot.ts'

export interface Diagnosis {
  /** A name for the cause that programs can count on. */
  cause: string
  /** What is wrong, in a sentence. */
  summary: string
  /** What was seen that says so, the most telling first. */
  evidence: string[]
  /** What to do, the most promising first. */
  actions: string[]
}

type Seen<What extends Trouble['what']> = Extract<Trouble, { what: What }> & { at: string }

/** The last trouble of a kind. */
export function lastTrouble<What extends Trouble['what']>(
  { troubles }: Pick<BootRecord, 'troubles'>,
  what: What,
): Seen<What> | undefined {
  return troubles.findLast((trouble): trouble is Seen<What> => trouble.what === what)
}

export function reached({ hops }: BootRecord, ...wanted: readonly Hop[]): boolean {
  return hops.some(({ hop }) => wanted.includes(hop))
}

/** Whether who asked for an address said that it is firmware, or its loader. */
export function isFirmware(client: unknown): boolean {
  return typeof client === 'string' && /^(PXE|HTTP)Client/.test(client)
}

export function whoOf(macs: readonly string[]): string {
  return `MAC address${macs.length > 1 ? 'es' : ''} ${macs.join(', ')}`
}

/** The hops in their order, each with the time when it was seen last. */
export function toldHops({ hops }: Pick<BootRecord, 'hops'>): string {
  const last = new Map(hops.map(({ hop, at }) => [hop, at]))
  return `seen: ${[...last].map(([hop, at]) => `${hop} ${clockTime(at)}`).join(', ')}`
}

/** `12:34:56` of a time of the API, which is UTC. */
export function clockTime(at: string): string {
  return at.slice(11, 19)
}
