/**
 * What a verb would do to a node: the answer of `POST /v1/nodes/{node}/plan`, which is Ferrite's own. Nothing of it has
 * happened, and what is not known beforehand is told as not known.
 */
import { type Static, type TSchema, Type } from 'typebox'

const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const Text = Type.String()
const MaybeText = Nullable(Text)
const Seconds = Type.Number({ minimum: 0 })

/** A reason why the verb would be refused now. */
export const Refusal = Type.Object({
  /** The code of the error that the verb would get. */
  code: Text,
  message: Text,
})
export type Refusal = Static<typeof Refusal>

export const PlannedStepView = Type.Object({
  interface: Text,
  step: Text,
  /** Null: only the agent will say. */
  priority: Nullable(Type.Number()),
  /** Who does it: this service, the agent in its ramdisk, the service by itself (power, waiting), or contained nodes. */
  side: Type.Enum(['conductor', 'agent', 'reserved', 'children']),
  /** Who wants it: the driver or agent by its priority, the request, or a deploy template. */
  wanted_by: Type.Enum(['priority', 'request', 'template', 'runbook']),
  /** Names of its arguments; their values may be secrets. */
  args: Type.Array(Text),
  abortable: Type.Boolean(),
  /** `now`: what drivers say; `earlier run`: an agent offered it then; `unknown`: nobody is known to have it. */
  known_from: Type.Enum(['now', 'earlier run', 'unknown']),
  /** What it does to the machine's power, in order; null: not known beforehand. */
  power: Nullable(Type.Array(Text)),
})
export type PlannedStepView = Static<typeof PlannedStepView>

/** A change of power, with the part of the work that makes it. */
export const PowerChangeView = Type.Object({ to: Type.Enum(['power on', 'power off', 'reset']), why: Text })
export type PowerChangeView = Static<typeof PowerChangeView>

/** A disk as the last inspection found it, and what becomes of it. */
export const PlannedDisk = Type.Object({
  name: MaybeText,
  serial: MaybeText,
  wwn: MaybeText,
  model: MaybeText,
  vendor: MaybeText,
  by_path: MaybeText,
  size_bytes: Nullable(Type.Integer()),
  rotational: Nullable(Type.Boolean()),
  /** `written`: it gets the image; `erased`: a step of the plan erases it; `kept`. */
  fate: Type.Enum(['written', 'erased', 'kept']),
  /** Why, for people. */
  why: Text,
})
export type PlannedDisk = Static<typeof PlannedDisk>

export const PlannedImage = Type.Object({
  source: Text,
  format: MaybeText,
  size_bytes: Nullable(Type.Integer()),
  /** `sha256:…`; null: none is known. */
  checksum: MaybeText,
  /** `agent`: the machine fetches it from its source; `service`: it is fetched here first. */
  fetched_by: Type.Enum(['agent', 'service']),
  /** It lies in this service's store already. */
  in_cache: Type.Boolean(),
})
export type PlannedImage = Static<typeof PlannedImage>

export const Plan = Type.Object({
  node_uuid: Text,
  node_name: MaybeText,
  verb: Text,
  /** Name of the work that would start; null: the node only moves, or what waits on it ends. */
  flow: MaybeText,
  from_state: Text,
  /** Where the verb leads at once, and where it ends if all goes well; null: it is not possible. */
  to_state: MaybeText,
  ends_in: MaybeText,
  /** All reasons why it would be refused now; empty: it would start. */
  refusals: Type.Array(Refusal),
  /** Asks the interfaces that the work needs. */
  validation: Type.Record(Text, Type.Object({ result: Nullable(Type.Boolean()), reason: Type.Optional(Text) })),
  steps: Type.Array(PlannedStepView),
  /** No agent has to tell more. */
  steps_complete: Type.Boolean(),
  power: Type.Array(PowerChangeView),
  /** How often the machine boots: powered on or reset. */
  boots: Type.Integer({ minimum: 0 }),
  /** Every step says what it does to the power. */
  power_complete: Type.Boolean(),
  /** Null: none was found by an inspection, or the work touches none. */
  disks: Nullable(Type.Array(PlannedDisk)),
  /** What counts in choosing the disk: hints, and where they are from; null: the work writes none. */
  root_device: Nullable(
    Type.Object({
      hints: Type.Record(Text, Type.Unknown()),
      from: Type.Enum(['instance_info', 'properties', 'default']),
    }),
  ),
  image: Nullable(PlannedImage),
  duration: Nullable(
    Type.Object({
      /** The median, and what nine of ten took at most. */
      seconds: Seconds,
      seconds_p90: Seconds,
      /** On how many earlier runs of this model it rests. */
      runs: Type.Integer({ minimum: 1 }),
      model: Text,
    }),
  ),
  /** What is to be known besides, for people. */
  notes: Type.Array(Text),
})
export type Plan = Static<typeof Plan>
