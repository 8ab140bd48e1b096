/** The changes of power of a piece of work, in order: those of its parts, and between them those of its steps. */
import type { NodeContext } from '#drivers/driver.ts'
import type { DeployPart, PowerChange } from '#drivers/step.ts'
import type { PowerChangeView } from '#protocol/plan.ts'
import type { ChosenSteps } from './steps.ts'

export interface PlannedPower {
  changes: PowerChangeView[]
  /** Everything in the plan says what it does to the power. */
  complete: boolean
}

export async function powerOf(ctx: NodeContext, flow: string | null, chosen: ChosenSteps): Promise<PlannedPower> {
  const told: (readonly [changes: readonly PowerChange[] | null, why: string])[] = []
  const { deploy, inspect, rescue } = ctx.interfaces
  const part = (name: DeployPart, why: string) => told.push([deploy.plannedPower?.(ctx, name) ?? null, why])
  const steps = () => {
    for (const { power, interface: type, step } of chosen.steps) told.push([power, `step ${type}.${step}`])
  }
  switch (flow) {
    case 'deploy':
      part('deploy', 'before the first step')
      steps()
      break
    case 'undeploy':
      part('tear down', 'the instance goes')
      cleaning()
      break
    case 'clean':
      cleaning()
      break
    case 'service':
      if (chosen.ramdisk) part('service', 'the ramdisk boots in place of the instance')
      steps()
      if (chosen.ramdisk) part('after service', 'the instance comes back')
      break
    case 'inspect':
      told.push([(await inspect.plannedPower?.(ctx)) ?? (usesRamdisk(ctx) ? null : []), 'inspection'])
      break
    case 'rescue':
      told.push([rescue.plannedPower?.(ctx, 'rescue') ?? null, 'the rescue ramdisk boots'])
      break
    case 'unrescue':
      told.push([rescue.plannedPower?.(ctx, 'unrescue') ?? null, 'the instance comes back'])
      break
    default:
      steps()
  }
  return {
    changes: collapsed(told.flatMap(([changes, why]) => (changes ?? []).map(to => ({ to, why })))),
    complete: told.every(([changes]) => changes !== null),
  }

  function cleaning(): void {
    if (chosen.ramdisk) part('cleaning', 'the ramdisk boots')
    steps()
    if (chosen.ramdisk) part('after cleaning', 'the ramdisk is not needed any more')
  }
}

/** An inspection by the BMC alone leaves the power as it is. */
function usesRamdisk({ interfaces }: NodeContext): boolean {
  return interfaces.inspect.process !== undefined
}

/** What is asked to be what it is already is no change. */
function collapsed(changes: readonly PowerChangeView[]): PowerChangeView[] {
  return changes.filter(({ to }, index) => to === 'reset' || changes[index - 1]?.to !== to)
}
