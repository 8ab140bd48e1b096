/**
 * How far the long step that runs on a node now has come: the agent reports it, the conductor folds it into
 * `driver_internal_info.progress` (null while nothing runs), clients draw a bar from it. A last-seen value, written at
 * most once a second; what must be exact (did the step end, and how) is the step's result, never this.
 */
import { type Static, Type } from 'typebox'

/** A count of bytes; JSON carries integers exactly up to 2^53. */
const Bytes = Type.Integer({ minimum: 0 })

export const Progress = Type.Object(
  {
    /** The step as `interface.name`, e.g. `deploy.write_image`. */
    step: Type.String({ minLength: 1 }),
    /** What the step is doing now, in words for an operator, e.g. `writing image`. */
    phase: Type.String({ minLength: 1 }),
    /** Bytes done of this phase. */
    bytes: Bytes,
    /** Bytes of the whole phase; null where it is not known beforehand (a source without a length). */
    total_bytes: Type.Union([Bytes, Type.Null()]),
    /** Recent rate, not the mean since the start; null until it can be told. */
    rate_bytes_per_s: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
    /** Seconds until the end of this phase at the recent rate; null when unknown. */
    eta_s: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
    /** When the figures were true (ISO 8601 with offset). It stands still when the agent has gone silent. */
    updated_at: Type.String({ minLength: 1 }),
    /** Only while the work waits for its turn: its place in the queue, 1 is the next. */
    position: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
)
export type Progress = Static<typeof Progress>
