/** What cleaning and servicing by a list of steps have in common: the look at the list before anything is touched. */
import type { FlowContext } from '#drivers/driver.ts'
import type { StepsContext } from '#drivers/step.ts'
import { own, planAsAsked, runsWithoutRamdisk } from '../steps/plan.ts'
import type { ListedSteps } from './automated-clean.ts'

/**
 * Refuses a list that cannot be run, as far as that is known before an agent was asked, and tells whether the ramdisk
 * has to boot for it.
 * @throws InvalidInput naming every step that cannot be had like this
 */
export function checkListed(ctx: StepsContext, kind: 'clean' | 'service', listed: ListedSteps): { ramdisk: boolean } {
  const offer = own(ctx, kind)
  const ramdisk = !listed.disable_ramdisk && !runsWithoutRamdisk(offer, listed.steps)
  const complete = !ramdisk || !ctx.interfaces.deploy.usesAgent
  planAsAsked(offer, listed.steps, kind, { complete, ramdisk: !listed.disable_ramdisk })
  return { ramdisk }
}

/** Name of the record of that look; stored. */
export const checkName = 'check steps'

/** Did this flow come to the point where the ramdisk boots? For its undo. */
export function usedRamdisk(ctx: FlowContext): boolean {
  return ctx.flow.recall<{ ramdisk: boolean }>(checkName)?.ramdisk ?? false
}
