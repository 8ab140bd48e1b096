/**
 * How long a run under way will take, by what earlier runs of the same model took. Pure. What is left is the rest of the
 * present phase and what came after it in those runs; of a phase whose bytes are counted, the bytes that are left count
 * more than its seconds.
 */
import type { PhaseSample, PhaseTimes } from '#db/phase-times.ts'
import type { ExpectedPhase, PhaseName } from '#protocol/timeline.ts'
import type { Stretch } from './attribute.ts'
import { type Milestone, milestonesOf } from './milestones.ts'

export interface Estimate {
  /** Null: nobody knows. */
  etaS: number | null
  phaseEtaS: number | null
  phaseFraction: number | null
  fraction: number | null
  runsKnown: number
  isOverdue: boolean
  toCome: ExpectedPhase[]
}

/** What the agent, or the image store, tells of the phase. */
export interface Counted {
  bytes: number
  totalBytes: number
  rateBytesPerS: number | null
}

/** What runs of this kind took as a whole, in the median; null: none is known. */
export function expectedSeconds(times: readonly PhaseTimes[]): number | null {
  const whole = times.find(({ phase }) => phase === 'run')
  return whole ? median(whole.samples.map(({ seconds }) => seconds)) : null
}

/** Runs of a model that must be known before one is called late. */
const fewest = 3
/** The slowest of ten is not late yet. */
const leeway = 1.25

/** How long a run may take before it is late: a quarter longer than nine of ten took; null: too few are known. */
export function lateAfterSeconds(times: readonly PhaseTimes[]): number | null {
  const whole = times.find(({ phase }) => phase === 'run')
  return whole && whole.samples.length >= fewest ? leeway * quantile(secondsOf(whole.samples), 0.9) : null
}

export function estimate(
  stretches: readonly Stretch[],
  times: readonly PhaseTimes[],
  counted: Counted | null,
): Estimate {
  const { workS, milestones } = milestonesOf(stretches)
  const last = milestones.at(-1)
  const present = last?.isLast ? last : undefined
  const known = (one: Milestone | undefined) =>
    one && times.find(({ phase, occurrence }) => phase === one.phase && occurrence === one.occurrence)
  const history = known(last)
  const whole = times.find(({ phase }) => phase === 'run')
  const share = counted && counted.totalBytes > 0 ? Math.min(1, counted.bytes / counted.totalBytes) : null
  const phaseEtaS = present ? restOf(present, history?.samples ?? [], counted) : null
  const isWaiting = ['queue', 'hold', 'undo'].includes(stretches.at(-1)?.phase ?? '')
  const etaS = isWaiting ? null : leftOf({ workS, last, present, history, whole, phaseEtaS })
  return {
    etaS,
    phaseEtaS: isWaiting ? null : phaseEtaS,
    phaseFraction: share ?? (present && history && phaseEtaS !== null ? shareOf(present.seconds, phaseEtaS) : null),
    fraction: etaS === null ? null : shareOf(workS, etaS),
    runsKnown: whole?.samples.length ?? 0,
    isOverdue:
      present !== undefined && history !== undefined && present.seconds > quantile(secondsOf(history.samples), 0.9),
    toCome: toCome(times, history),
  }
}

/** Seconds that the present phase will go on. */
function restOf(present: Milestone, samples: readonly PhaseSample[], counted: Counted | null): number | null {
  const rates = samples.flatMap(({ bytes, seconds }) =>
    bytes !== null && bytes > 0 && seconds > 0 ? [bytes / seconds] : [],
  )
  if (counted && counted.totalBytes > 0) {
    const left = Math.max(0, counted.totalBytes - counted.bytes)
    const share = counted.bytes / counted.totalBytes
    const usual = rates.length > 0 ? median(rates) : null
    const recent = counted.rateBytesPerS !== null && counted.rateBytesPerS > 0 ? counted.rateBytesPerS : null
    // In the beginning the history knows more, in the end what is seen.
    const rate = usual !== null && recent !== null ? (1 - share) * usual + share * recent : (usual ?? recent)
    if (rate !== null) return left / rate
  }
  if (samples.length === 0) return null
  const longer = samples.filter(({ seconds }) => seconds > present.seconds)
  return longer.length === 0 ? 0 : median(longer.map(({ seconds }) => seconds - present.seconds))
}

/** Seconds to the end of the run. */
function leftOf(run: {
  workS: number
  last: Milestone | undefined
  present: Milestone | undefined
  history: PhaseTimes | undefined
  whole: PhaseTimes | undefined
  phaseEtaS: number | null
}): number | null {
  const { workS, last, present, history, whole, phaseEtaS } = run
  if (!whole) return null
  // A course that no run took before: the whole is all there is to go by.
  if (!last || !history) return Math.max(0, median(secondsOf(whole.samples)) - workS, phaseEtaS ?? 0)
  const afterS = median(history.samples.map(({ leftS }) => leftS))
  return present ? (phaseEtaS ?? 0) + afterS : Math.max(0, afterS - last.leftS)
}

/** What came after this phase in earlier runs, in its order. */
function toCome(times: readonly PhaseTimes[], present: PhaseTimes | undefined): ExpectedPhase[] {
  const leftS = (one: PhaseTimes) => median(one.samples.map(sample => sample.leftS))
  const from = present ? leftS(present) : Number.POSITIVE_INFINITY
  return times
    .filter(one => one.phase !== 'run' && one !== present && leftS(one) < from)
    .toSorted((a, b) => leftS(b) - leftS(a))
    .map(({ phase, samples }) => ({
      phase: phase as PhaseName, // as milestones name them
      seconds: rounded(median(secondsOf(samples))),
      seconds_p90: rounded(quantile(secondsOf(samples), 0.9)),
    }))
}

const secondsOf = (samples: readonly PhaseSample[]) => samples.map(({ seconds }) => seconds)
const shareOf = (done: number, left: number) => (done + left === 0 ? 0 : done / (done + left))

function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Between neighbours in proportion; 0 of none. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)] ?? 0
  const above = sorted[Math.ceil(at)] ?? below
  return below + (above - below) * (at - Math.floor(at))
}

/** To a thousandth. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
