/**
 * How long a node may be in a state before somebody should look. States of work have a time that machines take at the
 * most, by the service's own timeouts as they are delivered; at rest, time means nothing.
 */
import { type ProvisionState, provision } from '#protocol/states.ts'
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

/** Undefined for states in which a node rests. */
export function expectedIn(state: ProvisionState): number | undefined {
  const { kind } = provision[state]
  return kind === 'transitional' || kind === 'wait' ? (expectedMs[state] ?? usualMs) : undefined
}

/** How long a node has been in its state; undefined where that is not known. */
export function inStateMs({ provision_updated_at }: Pick<FleetNode, 'provision_updated_at'>, nowMs: number) {
  return provision_updated_at === null ? undefined : Math.max(0, nowMs - Date.parse(provision_updated_at))
}

export function isOverdue(node: Pick<FleetNode, 'provision_state' | 'provision_updated_at'>, nowMs: number): boolean {
  const expected = expectedIn(node.provision_state)
  return expected !== undefined && (inStateMs(node, nowMs) ?? 0) > expected
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
