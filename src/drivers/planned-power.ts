/**
 * What parts of a flow will do to a machine's power, told beforehand, for plans: the same rules as power.ts and
 * agent/ramdisk.ts follow when they do it. Pure but for the node's row.
 */
import type { NodeContext } from './driver.ts'
import { isSwitchable } from './power.ts'
import type { PowerChange } from './step.ts'

type Planned = readonly PowerChange[]
type About = Pick<NodeContext, 'node' | 'interfaces'>

export const noPower = (): Planned => []

/** Of what switches off only a machine that may be off. */
export function plannedOff({ node, interfaces }: About): Planned {
  return node.disable_power_off || !isSwitchable({ interfaces }) ? [] : ['power off']
}

/** As powerCycle() does it. */
export function plannedCycle({ node, interfaces }: About): Planned {
  return node.disable_power_off || !isSwitchable({ interfaces }) ? ['reset'] : ['power off', 'power on']
}

/** As startMachine() and bootRamdisk() do it. */
export function plannedStart(ctx: About): Planned {
  return ctx.node.disable_power_off ? plannedCycle(ctx) : ['power on']
}
