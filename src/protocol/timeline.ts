/**
 * What a node's runs took, second by second: the answer of `GET /v1/nodes/{node}/timeline`, which is Ferrite's own. A run
 * is one deployment, cleaning, inspection and so on; each of its seconds belongs to exactly one phase, and what no
 * evidence names is `unattributed`. Of a run that is under way it says how far it is and how long it will take.
 */
import { type Static, Type } from 'typebox'
import { Nullable } from './field.ts'

/** In the order in which a deployment meets them; docs/timeline.md says by what each begins and ends. */
export const phaseNames = [
  'queue',
  'hold',
  'conductor',
  'image',
  'network',
  'bmc',
  'boot',
  'firmware',
  'dhcp',
  'fetch',
  'kernel',
  'agent',
  'inspect',
  'clean',
  'service',
  'write',
  'configure',
  'reboot',
  'undo',
  'unattributed',
] as const
export type PhaseName = (typeof phaseNames)[number]

const PhaseEnum = Type.Enum([...phaseNames])
const Time = Type.String({ minLength: 1 })
const Seconds = Type.Number({ minimum: 0 })
const Count = Type.Integer({ minimum: 0 })

/** A stretch of a run. The next one begins where it ends. */
export const Phase = Type.Object({
  phase: PhaseEnum,
  started_at: Time,
  /** Null: it lasts. */
  finished_at: Nullable(Time),
  seconds: Seconds,
  /** The step that it belongs to, as `interface.name`. */
  step: Nullable(Type.String()),
  /** What was done or waited for, in words. */
  what: Type.String(),
  /** What was moved: files of the boot, the image. Null: nothing that was counted. */
  bytes: Nullable(Count),
  rate_bytes_per_s: Nullable(Type.Number({ minimum: 0 })),
})
export type Phase = Static<typeof Phase>

/** A phase that is expected, by earlier runs of the same model. */
export const ExpectedPhase = Type.Object({
  phase: PhaseEnum,
  /** The median, of bytes at their median rate where both are known. */
  seconds: Seconds,
  /** What nine of ten took at most. */
  seconds_p90: Seconds,
})
export type ExpectedPhase = Static<typeof ExpectedPhase>

/** How far a run under way is. */
export const Now = Type.Object({
  phase: PhaseEnum,
  step: Nullable(Type.String()),
  /** What is done or waited for, in words. */
  what: Type.String(),
  /** Since the phase began. */
  phase_seconds: Seconds,
  bytes: Nullable(Count),
  total_bytes: Nullable(Count),
  rate_bytes_per_s: Nullable(Type.Number({ minimum: 0 })),
  /** Of the phase, 0 to 1: by bytes, else by earlier runs; null: not known. */
  phase_fraction: Nullable(Type.Number({ minimum: 0, maximum: 1 })),
  phase_eta_s: Nullable(Seconds),
  /** Of the run. */
  fraction: Nullable(Type.Number({ minimum: 0, maximum: 1 })),
  eta_s: Nullable(Seconds),
  /** How many earlier runs of the model the estimate rests on; 0: there is none. */
  runs_known: Count,
  /** The phase takes longer than nine of ten did. */
  is_overdue: Type.Boolean(),
  /** Place in the queue; 1 is the next. Null: it does not queue. */
  position: Nullable(Type.Integer({ minimum: 1 })),
  /** What is still to come after this phase, in its order. */
  to_come: Type.Array(ExpectedPhase),
  /** When the figures of bytes were true; null without them. */
  updated_at: Nullable(Time),
})
export type Now = Static<typeof Now>

export const outcomes = ['done', 'failed', 'aborted'] as const

export const Run = Type.Object({
  id: Type.Integer(),
  /** Name of the work: deploy, clean, inspect, undeploy, rescue, unrescue, service, verify, adopt … */
  kind: Type.String(),
  started_at: Time,
  /** Null: it is under way. */
  finished_at: Nullable(Time),
  seconds: Seconds,
  /** Null: it is under way. */
  outcome: Nullable(Type.Enum([...outcomes])),
  error: Nullable(Type.String()),
  error_code: Nullable(Type.String()),
  /** Who asked: the user's ID, or a task of the service's own; null with noauth. */
  requested_by: Nullable(Type.String()),
  requested_project: Nullable(Type.String()),
  request_id: Nullable(Type.String()),
  /** The conductor that has it, or had it last. */
  conductor: Nullable(Type.String()),
  phases: Type.Array(Phase),
  unattributed_s: Seconds,
  /** What runs of this model take in the median; null: none is known. */
  expected_s: Nullable(Seconds),
  /** Null: it has ended. */
  now: Nullable(Now),
})
export type Run = Static<typeof Run>

/** A run under way, for lists of the whole fleet: how long it has worked, and how long runs like it do. */
export const LiveRun = Type.Object({
  id: Type.Integer(),
  node_uuid: Type.String(),
  /** Name of the work: deploy, clean, inspect … */
  kind: Type.String(),
  started_at: Time,
  /** By what it is compared. */
  model: Type.String(),
  /** Without its waits for a place or for an operator. */
  work_s: Seconds,
  /** It waits for a place or for an operator: `work_s` stands still. */
  is_waiting: Type.Boolean(),
  /** Earlier runs of this kind and model that ended well. */
  runs_known: Count,
  /** What they took in the median; null: none is known. */
  expected_s: Nullable(Seconds),
  /** A run that has worked for longer is late: a quarter longer than nine of ten took. Null: fewer than three are known. */
  late_after_s: Nullable(Seconds),
  is_late: Type.Boolean(),
})
export type LiveRun = Static<typeof LiveRun>

export const Timeline = Type.Object({
  node_uuid: Type.String(),
  /** By what runs are compared: maker and product, else resource class and driver. */
  model: Type.String(),
  /** The newest first. */
  runs: Type.Array(Run),
  next: Type.Optional(Type.String()),
})
export type Timeline = Static<typeof Timeline>
