/** What the timeline tells of each run that has ended well, once it is attributed. */

import { measure } from '#lib/measure.ts'
import type { PhaseName } from '#protocol/timeline.ts'

/** The whole time of a run that belongs to one phase. */
export const phasesSpent = measure<{ flow: string; phase: PhaseName; durationMs: number }>('ferrite:phase:spent')
