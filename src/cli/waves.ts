/**
 * Work on many nodes in waves: a few first, then so many at a time, each wave only after the one before has ended well.
 * What a failure leaves undone is named. Knows nothing of what the work is.
 */
import { Fault } from '#lib/fault.ts'
import type { Options } from './command.ts'
import { describe, SomeFailed } from './report.ts'

export const waveOptions = {
  canary: {
    takes: 'number',
    metavar: 'count',
    least: 1,
    about: 'do so many first; the others only if all of them arrive',
  },
  wave: { takes: 'number', metavar: 'count', least: 1, about: 'then so many at a time; stop when one does not arrive' },
} satisfies Options

export interface Waves {
  readonly canary: number | undefined
  readonly wave: number | undefined
}

/** The items in the waves in which they are worked on; one wave where neither was asked for. */
export function wavesOf<T>(items: readonly T[], { canary, wave }: Waves): T[][] {
  const first = canary === undefined ? [] : items.slice(0, canary)
  const rest = items.slice(first.length)
  const size = wave ?? Math.max(rest.length, 1)
  const waves = first.length > 0 ? [first] : []
  for (let at = 0; at < rest.length; at += size) waves.push(rest.slice(at, at + size))
  return waves
}

/**
 * Does one wave after the other.
 * @param names how the items of a wave are called in messages
 * @throws SomeFailed with what failed, and with what was therefore not begun
 */
export async function inWaves<T>(
  waves: readonly (readonly T[])[],
  act: (wave: readonly T[], number: number) => Promise<void>,
  names: (item: T) => string,
): Promise<void> {
  for (const [at, wave] of waves.entries()) {
    try {
      await act(wave, at + 1)
    } catch (error) {
      const left = waves
        .slice(at + 1)
        .flat()
        .map(names)
      if (!(error instanceof Fault) || error.code === 'interrupted' || left.length === 0) throw error
      throw new SomeFailed(
        `${describe(error)}\nStopped after wave ${at + 1} of ${waves.length}; not begun: ${left.join(', ')}`,
      )
    }
  }
}
