/**
 * How long phases of runs took, by model of machine and kind of run: the last runs of each. A statistic: what is lost
 * when two processes write at once is one sample.
 */
import { timestamp } from '#protocol/field.ts'
import type { Db, Trx } from './database.ts'

/** Of one run. */
export interface PhaseSample {
  seconds: number
  /** From its end to the end of the run. */
  leftS: number
  /** Null: nothing was counted. */
  bytes: number | null
}

/** What is known of one phase of a kind of run. */
export interface PhaseTimes {
  /** `run`, with occurrence 0: the whole. */
  phase: string
  /** Of that name in a run; the first is 1. */
  occurrence: number
  /** The newest last. */
  samples: readonly PhaseSample[]
}

/** Samples that are kept: enough for quantiles, and old firmware is forgotten. */
const kept = 30

type Packed = [seconds: number, leftS: number, bytes: number | null]

export async function phaseTimes(db: Db | Trx, model: string, kind: string): Promise<PhaseTimes[]> {
  const rows = await db
    .selectFrom('phase_times')
    .select(['phase', 'occurrence', 'samples'])
    .where('model', '=', model)
    .where('kind', '=', kind)
    .orderBy('phase')
    .orderBy('occurrence')
    .execute()
  return rows.map(({ phase, occurrence, samples }) => ({
    phase,
    occurrence: Number(occurrence),
    samples: readSamples(samples),
  }))
}

/** Of the column `samples`. */
export function readSamples(text: string): PhaseSample[] {
  return (JSON.parse(text) as Packed[]).map(([seconds, leftS, bytes]) => ({ seconds, leftS, bytes })) // written below
}

/** Adds a run's samples. */
export async function addPhaseTimes(
  trx: Trx,
  { model, kind, nowMs }: { model: string; kind: string; nowMs: number },
  run: readonly { phase: string; occurrence: number; sample: PhaseSample }[],
): Promise<void> {
  const known = await phaseTimes(trx, model, kind)
  const updated_at = timestamp(nowMs)
  // In one order, so that two processes wait for each other instead of for ever.
  const ordered = run.toSorted((a, b) => (a.phase < b.phase ? -1 : a.phase > b.phase ? 1 : a.occurrence - b.occurrence))
  for (const { phase, occurrence, sample } of ordered) {
    const before = known.find(one => one.phase === phase && one.occurrence === occurrence)?.samples ?? []
    const all = [...before, sample].slice(-kept).map(({ seconds, leftS, bytes }): Packed => [seconds, leftS, bytes])
    const values = { samples: JSON.stringify(all), updated_at }
    await trx
      .insertInto('phase_times')
      .values({ model, kind, phase, occurrence, ...values })
      .onConflict(on => on.columns(['model', 'kind', 'phase', 'occurrence']).doUpdateSet(values))
      .execute()
  }
}
