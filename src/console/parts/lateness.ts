/** Whether work takes too long, in words: how long it has taken, how long it may, and who says so. */
import type { Allowance } from '../expected.ts'
import { duration } from './time.ts'

/** "deploy for 12 min; expected 6 min at most, by 14 earlier runs of Dell Inc. PowerEdge R650". */
export function latenessText(allowance: Allowance): string {
  const { by, spentMs, allowedMs, run } = allowance
  const what = by === 'history' && run ? `${run.kind} for ` : 'in its state for '
  return `${what}${duration(spentMs)}; expected ${duration(allowedMs)} at most, ${sourceText(allowance)}`
}

/** Who says how long it may take. */
export function sourceText({ by, run }: Allowance): string {
  if (!run) return 'by default'
  const { runs_known: known, model } = run
  if (by === 'history') return `by ${known} earlier runs of ${model}`
  return `by default: ${known === 0 ? 'no earlier run' : known === 1 ? 'one earlier run' : `only ${known} earlier runs`} of ${model} known`
}
