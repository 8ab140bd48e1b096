/**
 * A run as a row of milestones, which runs of one kind have in common: its phases, each with its number among those of
 * its name. Waiting for a place or for an operator is no part of it, and neither is the conductor's own work, which
 * stands between all others. Pure.
 */
import type { PhaseName } from '#protocol/timeline.ts'
import type { Stretch } from './attribute.ts'

export interface Milestone {
  phase: PhaseName
  /** Of that name in the run; the first is 1. */
  occurrence: number
  /** What it took, or has taken so far. */
  seconds: number
  /** From its end to the last second of the run so far. */
  leftS: number
  bytes: number | null
  /** It is the last thing that is known of the run, so it may go on. */
  isLast: boolean
}

/** These depend on others than the machine. */
const waits: readonly PhaseName[] = ['queue', 'hold']
const between: readonly PhaseName[] = [...waits, 'conductor', 'unattributed', 'undo']

/** @returns the seconds of the run without its waits for others, and its milestones */
export function milestonesOf(stretches: readonly Stretch[]): { workS: number; milestones: Milestone[] } {
  const milestones: Milestone[] = []
  const ends: number[] = []
  let workS = 0
  for (const [index, { phase, fromMs, toMs, bytes }] of stretches.entries()) {
    const seconds = (toMs - fromMs) / 1000
    if (waits.includes(phase)) continue
    workS += seconds
    if (between.includes(phase)) continue
    const isLast = index === stretches.length - 1
    const last = milestones.at(-1)
    if (last?.phase === phase) {
      last.seconds += seconds
      last.isLast = isLast
      if (bytes !== null) last.bytes = (last.bytes ?? 0) + bytes
      ends[milestones.length - 1] = workS
      continue
    }
    const occurrence = 1 + milestones.filter(one => one.phase === phase).length
    milestones.push({ phase, occurrence, seconds, leftS: 0, bytes, isLast })
    ends.push(workS)
  }
  for (const [index, milestone] of milestones.entries()) milestone.leftS = workS - (ends[index] ?? workS)
  return { workS, milestones }
}
