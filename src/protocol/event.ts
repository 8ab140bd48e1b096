/**
 * What happens, as callers follow it: an event of the log, or a sight of what the log does not keep. Types are coarse,
 * for filters; kinds say exactly what it is.
 */
import { type Static, Type } from 'typebox'
import { Nullable } from './field.ts'

/** Kinds of the log by type; of any other kind the type is `other`. */
const kinds = {
  state: ['requested', 'provision state', 'aborted', 'ended', 'action', 'unlocked'],
  step: ['step started', 'step finished', 'playbook task', 'playbook ended', 'image written', 'inspection rules'],
  power: ['power asked', 'power', 'power seen', 'power failure', 'power recovered'],
  boot: ['boot hop', 'boot trouble', 'boot again', 'boot diagnosis', 'boot service', 'stranger'],
} as const

/** `progress` and `log` are no events of the log: a stream tells them to who asks for them by type. */
export const eventTypes = ['state', 'step', 'power', 'boot', 'other', 'progress', 'log'] as const
export type EventType = (typeof eventTypes)[number]

const typeOfKind = new Map<string, EventType>(
  Object.entries(kinds).flatMap(([type, all]) => all.map((kind): [string, EventType] => [kind, type as EventType])), // keys of kinds
)

/** Which kinds of the log have these types; where `other` is one of them, all but those that have none of them. */
export function kindsOfTypes(types: readonly EventType[]): { only: readonly string[] } | { allBut: readonly string[] } {
  const entries = Object.entries(kinds)
  const named = entries.filter(([type]) => types.some(one => one === type)).flatMap(([, all]) => all)
  if (!types.includes('other')) return { only: named }
  return { allBut: entries.flatMap(([, all]) => all).filter(kind => !named.includes(kind)) }
}

export function eventType(kind: string): EventType {
  return typeOfKind.get(kind) ?? 'other'
}

export const LoggedEvent = Type.Object({
  /** Grows with time; null of what is not kept: progress and lines of logs. */
  id: Nullable(Type.Integer()),
  at: Type.String(),
  node_uuid: Nullable(Type.String()),
  type: Type.Enum([...eventTypes]),
  kind: Type.String(),
  data: Type.Record(Type.String(), Type.Unknown()),
})
export type LoggedEvent = Static<typeof LoggedEvent>
