/** What a kind of flow is: a value that the engine runs. */
import type { Node, NodePatch } from '#db/nodes.ts'
import type { FlowContext } from '#drivers/driver.ts'
import type { ProvisionState } from '#protocol/states.ts'

export type Args = Record<string, unknown>

/** A kind of flow: the recorded function, its undo, and what its failure writes on the node. */
export interface FlowDefinition {
  readonly kind: string
  /** It never moves the node along the state table (power changes), and may run beside a flow that waits. */
  readonly stateless?: boolean
  /** Does the work; returns the event that ends it well (`done`, `manage`), or null when no state is involved. */
  run(ctx: FlowContext, args: Args): Promise<string | null>
  /** Puts things back after a fault or an abort; also recorded, so that it survives a crash as well. */
  undo?(ctx: FlowContext, args: Args, failure: Failure): Promise<void>
  /** Fields written together with the failed state. */
  failed?(node: Node, failure: Failure): NodePatch
  /** Fields written together with the good end. */
  succeeded?(node: Node): NodePatch
  /** What is asked for, where its kind does not say: `power off`. For the history, so no secrets. */
  about?(args: Args): string
  /** target_provision_state while it runs, where it differs from the state's own. */
  target?(args: Args): ProvisionState | undefined
  /** The event that follows when it was aborted and its undo went well; without one the node stays in its failed state. */
  afterAbort?: string
}

export interface Failure {
  message: string
  code: string
  aborted: boolean
  /** Putting things back failed, too. Not known before the undo has run. */
  undoFailed?: boolean
}
