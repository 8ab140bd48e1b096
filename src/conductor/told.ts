/**
 * What the log of events keeps so that a node's history can tell an action: who asked, how the node stood, what it took.
 * Pure; whoever does the work appends the event.
 */
import type { Node, NodePatch } from '#db/nodes.ts'
import type { Caller } from './conductor.ts'

/** Of whoever asked. */
export function asked({ user, project }: Caller): Pick<Caller, 'user' | 'project'> {
  return { user, project }
}

export type Standing = Pick<Node, 'provision_state' | 'target_provision_state'>

/** How the node stands. */
export function standing({ provision_state, target_provision_state }: Node): Standing {
  return { provision_state, target_provision_state }
}

/** A move along the state table, with how long the node was in the state that it left. */
export function moveTold(node: Node, moved: NodePatch, nowMs: number): Record<string, unknown> {
  const { provision_state: to, target_provision_state: target = null } = moved
  const { provision_state: from, provision_updated_at: since } = node
  return { from, to, target, ...(since === null ? {} : { duration_seconds: wholeSeconds(nowMs - Date.parse(since)) }) }
}

/** What was taken for done within a request: it needs no flow. */
export function actionTold(action: {
  told: string
  caller: Caller
  node: Node
  tookMs: number
  error?: string | undefined
}) {
  const { told, caller, node, tookMs, error } = action
  const failure = error === undefined ? {} : { error }
  return { told, ...asked(caller), ...standing(node), duration_seconds: wholeSeconds(tookMs), ...failure }
}

/** Of a step that began when the node stood so. */
export function stepTold({ atMs, ...stood }: { atMs: number } & Standing, nowMs: number) {
  return { ...stood, duration_seconds: wholeSeconds(nowMs - atMs) }
}

function wholeSeconds(ms: number): number {
  return Math.max(0, Math.round(ms / 1000))
}
