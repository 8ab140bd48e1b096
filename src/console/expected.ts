/**
 * How long work on a node may take before somebody should look: what earlier runs of its model took, as the service tells
 * it. Where too few are known, what its state of work may take at the most, by the service's own timeouts as they are
 * delivered. At rest, time means nothing.
 */
import { type ProvisionState, provision } from '#protocol/states.ts'
import type { LiveRun } from '#protocol/timeline.ts'
import type { FleetNode } from './fleet.ts'

const minuteMs = 60_000

/** [conductor] deploy_callback_timeout and its like are 30 minutes; what asks a BMC alone is done in a few. */
const expectedMs: Partial<Record<ProvisionState, number>> = {
  verifying: 2 * minuteMs,
  adopting: 5 * minuteMs,
  unrescuing: 10 * minuteMs,
  deleting: 15 * minuteMs,
}
const usualMs = 30 * minuteMs

/** A run under way as it was when the service was asked. */
export interface SeenRun {
  readonly run: LiveRun
  readonly readAtMs: number
}

/** The run of each node that is worked on, by its UUID. */
export type RunsByNode = ReadonlyMap<string, SeenRun>

/** How long the work on a node has taken, and how long it may. */
export interface Allowance {
  /** `history`: what earlier runs took, of the whole run; `default`: what is usual, of its state alone. */
  readonly by: 'history' | 'default'
  readonly spentMs: number
  readonly allowedMs: number
  /** Undefined where the service told of none. */
  readonly run: LiveRun | undefined
}

/** Undefined for nodes that rest, or wait for a place or for an operator: nothing of theirs is late. */
export function allowanceOf(node: Timed, seen: SeenRun | undefined, nowMs: number): Allowance | undefined {
  const usualMs = expectedIn(node.provision_state)
  if (usualMs === undefined || seen?.run.is_waiting) return undefined
  if (seen && seen.run.late_after_s !== null) {
    const spentMs = seen.run.work_s * 1000 + Math.max(0, nowMs - seen.readAtMs)
    return { by: 'history', spentMs, allowedMs: seen.run.late_after_s * 1000, run: seen.run }
  }
  const spentMs = inStateMs(node, nowMs)
  return spentMs === undefined ? undefined : { by: 'default', spentMs, allowedMs: usualMs, run: seen?.run }
}

export function isOverdue(node: Timed, seen: SeenRun | undefined, nowMs: number): boolean {
  const found = allowanceOf(node, seen, nowMs)
  return found !== undefined && found.spentMs > found.allowedMs
}

type Timed = Pick<FleetNode, 'provision_state' | 'provision_updated_at'>

/** Undefined for states in which a node rests. */
function expectedIn(state: ProvisionState): number | undefined {
  const { kind } = provision[state]
  return kind === 'transitional' || kind === 'wait' ? (expectedMs[state] ?? usualMs) : undefined
}

/** How long a node has been in its state; undefined where that is not known. */
export function inStateMs({ provision_updated_at }: Pick<FleetNode, 'provision_updated_at'>, nowMs: number) {
  return provision_updated_at === null ? undefined : Math.max(0, nowMs - Date.parse(provision_updated_at))
}

export function hasFailed({ provision_state }: Pick<FleetNode, 'provision_state'>): boolean {
  return provision[provision_state].kind === 'failed' || provision_state === 'error'
}

export function isBusy({ provision_state }: Pick<FleetNode, 'provision_state'>): boolean {
  const { kind } = provision[provision_state]
  return kind === 'transitional' || kind === 'wait'
}

/** Columns of time in a state: each holds what is younger than its end and no younger than the one before. */
export const ages = [
  { id: '1m', label: 'under 1 min', endMs: minuteMs },
  { id: '10m', label: '1–10 min', endMs: 10 * minuteMs },
  { id: '1h', label: '10–60 min', endMs: 60 * minuteMs },
  { id: '1d', label: '1–24 h', endMs: 24 * 60 * minuteMs },
  { id: 'more', label: 'over a day', endMs: Number.POSITIVE_INFINITY },
] as const
export type Age = (typeof ages)[number]['id']

/** Undefined where it is not known: a node that has never moved. */
export function ageOf(node: Pick<FleetNode, 'provision_updated_at'>, nowMs: number): Age | undefined {
  const ms = inStateMs(node, nowMs)
  return ms === undefined ? undefined : (ages.find(age => ms < age.endMs)?.id ?? 'more')
}
