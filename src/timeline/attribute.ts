/**
 * The attributed clock: gives each second of a run to exactly one phase, by what was recorded and seen of it. Pure.
 *
 * A flow's record is a row of steps that follow one another. A wait for a machine that boots is divided by the hops of
 * its boot. Between two records the conductor plans and writes, which takes moments: what takes longer belongs to
 * nobody, unless the run broke off there; then the error says at what. Nothing is guessed.
 */
import type { RunRow, SeenRow } from '#db/timeline-rows.ts'
import type { PhaseName } from '#protocol/timeline.ts'
import { type BootMark, bootMarks, type Fetch, fetchesIn, type KernelTimes } from './boot.ts'
import { isBootWait, type PlanStep, phaseOfError, phaseOfRecord, phaseOfStep, planMark } from './phases.ts'

/** A part of a run. The next one begins where it ends. */
export interface Stretch {
  phase: PhaseName
  fromMs: number
  toMs: number
  /** `interface.name` of the plan's step; null: outside of any. */
  step: string | null
  what: string
  bytes: number | null
}

/** What is known of a run. */
export interface Evidence {
  run: Pick<RunRow, 'kind' | 'state' | 'error_code' | 'started_at' | 'ended_at' | 'progress'>
  /** In the order of their beginning. */
  records: readonly { name: string; started_at: string; ended_at: string | null }[]
  seen: readonly SeenRow[]
  kernels: readonly KernelTimes[]
}

/** A pause between two records that is longer was no planning. */
const planningMs = 5000
/** What is shorter joins its neighbour: nobody wants to read it. */
const shortestMs = 100

/** The stretches of a run, from its start to its end or to `nowMs`. */
export function attribute(evidence: Evidence, nowMs: number): Stretch[] {
  const { run, records } = evidence
  const startMs = Date.parse(run.started_at)
  const endMs = Math.max(startMs, run.ended_at === null ? nowMs : Date.parse(run.ended_at))
  const hops = evidence.seen.filter(({ kind }) => kind === 'boot hop')
  const marks = bootMarks(hops, evidence.kernels)
  const found: Stretch[] = []
  let atMs = startMs
  let step: PlanStep | undefined
  let isOver = false
  const add = (phase: PhaseName, toMs: number, what: string) => {
    const untilMs = Math.min(endMs, toMs)
    if (untilMs <= atMs) return
    found.push({ phase, fromMs: atMs, toMs: untilMs, step: step?.name ?? null, what, bytes: null })
    atMs = untilMs
  }
  const pause = (toMs: number, breaksOff: boolean) => {
    const lasted = Math.min(endMs, toMs) - atMs
    if (breaksOff && run.error_code !== null && run.error_code !== 'aborted' && !isOver) {
      const phase = phaseOfError(run.error_code) ?? (step && phaseOfStep(step)) ?? 'conductor'
      add(phase, toMs, `ended by an error: ${run.error_code}`)
      isOver = true
    } else if (lasted > planningMs) add('unattributed', toMs, 'nothing was recorded')
    else add('conductor', toMs, 'plans, writes down')
  }
  for (const { name, started_at, ended_at } of records) {
    pause(Date.parse(started_at), name.startsWith('undo/'))
    const toMs = ended_at === null ? endMs : Date.parse(ended_at)
    const mark = planMark(name)
    if (mark?.is === 'begin') step = mark.step
    if (isBootWait(name))
      for (const part of bootParts(marks, { fromMs: atMs, toMs, lasts: ended_at === null }, run.kind))
        add(part.phase, part.toMs, part.what)
    add(phaseOfRecord(name, step), toMs, name)
    if (mark?.is === 'end') step = undefined
  }
  if (run.ended_at !== null) pause(endMs, run.state !== 'done')
  // What is at work is recorded when it ends.
  else
    add(run.progress?.phase.startsWith('image: ') ? 'image' : step ? phaseOfStep(step) : 'conductor', endMs, 'at work')
  return withBytes(joined(found), { fetches: fetchesIn(hops), seen: evidence.seen })
}

/** The parts of a wait for a boot. */
function* bootParts(
  marks: readonly BootMark[],
  { fromMs, toMs, lasts }: { fromMs: number; toMs: number; lasts: boolean },
  kind: string,
): Generator<{ phase: PhaseName; toMs: number; what: string }> {
  const inside = marks.filter(({ atMs }) => atMs > fromMs && atMs < toMs)
  // A BMC may have fetched its medium before the machine was on.
  const before = marks.findLast(({ atMs, ofMedium }) => atMs <= fromMs && fromMs - atMs < recentMs && !ofMedium)
  // While nothing is heard yet it is the firmware's turn.
  const seesHops = inside.some(({ phase }) => phase === 'dhcp' || phase === 'fetch') || (lasts && inside.length === 0)
  let now: Pick<BootMark, 'phase' | 'what'> =
    before && before.phase !== 'agent'
      ? before
      : seesHops
        ? { phase: 'firmware', what: 'from power-on to the first request' }
        : { phase: 'boot', what: 'from power-on; nothing is heard of firmware and loader' }
  for (const mark of inside) {
    // A log that came late, or a hop of what runs already, takes nothing back.
    if ((order[mark.phase] ?? 0) < (order[now.phase] ?? 0)) continue
    yield { ...told(now, kind), toMs: mark.atMs }
    now = mark
  }
  yield { ...told(now, kind), toMs }
}

/** How far a boot is. A loader may ask for an address again after it was fetched. */
const order: Readonly<Record<string, number>> = { boot: 0, firmware: 0, dhcp: 1, fetch: 1, kernel: 2, agent: 3 }
/** A hop just before the wait for the agent began: the machine was quicker than its BMC. */
const recentMs = 10_000

/** Of an inspection the ramdisk collects what it posts before it does anything else. */
function told({ phase, what }: Pick<BootMark, 'phase' | 'what'>, kind: string) {
  if (phase === 'agent' && kind === 'inspect')
    return { phase: 'inspect' as const, what: 'the ramdisk collects what it finds' }
  return { phase, what }
}

/** Neighbours of one phase and step are one stretch, and moments belong to the one before them. */
function joined(found: readonly Stretch[]): Stretch[] {
  const out: Stretch[] = []
  let longestMs = 0
  for (const next of found) {
    const last = out.at(-1)
    const lasts = next.toMs - next.fromMs
    const fits = last && last.phase === next.phase && last.step === next.step
    if (last && (fits || lasts < shortestMs)) {
      last.toMs = next.toMs
      if (fits && lasts > longestMs) {
        longestMs = lasts
        last.what = next.what
      }
    } else if (last && out.length === 1 && last.toMs - last.fromMs < shortestMs) {
      out[0] = { ...next, fromMs: last.fromMs }
      longestMs = lasts
    } else {
      out.push({ ...next })
      longestMs = lasts
    }
  }
  return out
}

/** Counts what was moved: files that were fetched in a stretch, the image that was written. */
function withBytes(
  stretches: readonly Stretch[],
  { fetches, seen }: { fetches: readonly Fetch[]; seen: readonly SeenRow[] },
): Stretch[] {
  const written = seen.filter(({ kind }) => kind === 'image written')
  return stretches.map(stretch => {
    const { phase, fromMs, toMs } = stretch
    const isIn = (atMs: number) => atMs > fromMs && atMs <= toMs
    if (phase === 'fetch') {
      const bytes = fetches.filter(({ atMs }) => isIn(atMs)).reduce((sum, one) => sum + one.bytes, 0)
      return bytes === 0 ? stretch : { ...stretch, bytes }
    }
    if (phase !== 'write') return stretch
    const bytes = written.findLast(({ at }) => isIn(Date.parse(at)))?.data.image_bytes
    return typeof bytes === 'number' ? { ...stretch, bytes } : stretch
  })
}
