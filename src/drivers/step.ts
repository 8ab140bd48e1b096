/**
 * What a step of a flow is: a value beside the function that it runs, offered by an interface of a driver or by the agent,
 * and chosen by name and priority.
 */
import type { InterfaceType } from '#protocol/interfaces.ts'
import type { FlowContext, NodeContext } from './driver.ts'

/** What tells which steps a node has, without a look at anything outside. */
export type StepsContext = Pick<NodeContext, 'node' | 'config' | 'interfaces'>

export type StepKind = 'clean' | 'deploy' | 'service' | 'verify'

/** A step as the API and the agent describe it. */
export interface StepSpec {
  interface: InterfaceType
  step: string
  priority: number
  abortable?: boolean
  requires_ramdisk?: boolean
  argsinfo?: Record<string, { description: string; required?: boolean }> | null
}

/** How a step ended that did not fail: done, or not begun because the agent's hardware managers are others now. */
export type StepEnd = 'done' | 'versions changed'

/** What happens to a machine's power, as it is told when it was done. */
export type PowerChange = 'power on' | 'power off' | 'reset'

/** Parts of flows that a deploy interface does around the steps. */
export type DeployPart = 'deploy' | 'cleaning' | 'after cleaning' | 'service' | 'after service' | 'tear down'

/** A step that an interface of the conductor's side offers: a value beside the function it runs. */
export interface Step extends StepSpec {
  kinds: readonly StepKind[]
  /** What it will do to the power, in order, for plans. Absent: nobody knows beforehand. */
  plannedPower?(ctx: NodeContext): readonly PowerChange[]
  // biome-ignore lint/suspicious/noConfusingVoidType: most steps have nothing to tell but that they ended
  run(ctx: FlowContext, args: Record<string, unknown>): Promise<StepEnd | void>
}
