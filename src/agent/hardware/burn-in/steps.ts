/** The steps that burn a machine in, as they are listed. Whoever wants them asks for them: all have priority 0. */
import type { Step, StepRun } from '../manager.ts'
import { burnInDisks } from './disk.ts'
import { burnInCpu, burnInGpu, burnInMemory } from './machine.ts'
import { burnInNetwork } from './network.ts'

const offer = { priority: 0, abortable: true }

export const burnInSteps: readonly Step[] = [
  step('burnin_cpu', burnInCpu),
  step('burnin_memory', burnInMemory),
  step('burnin_gpu', burnInGpu),
  step('burnin_network', burnInNetwork),
  // Not while servicing, for it destroys what is on the disks.
  { ...step('burnin_disk', burnInDisks), offered: { clean: offer } },
]

function step(name: string, burnIn: (context: StepRun) => Promise<unknown>): Step {
  return {
    step: name,
    interface: 'deploy',
    offered: { clean: offer, service: offer },
    run: async (_args, context) => await burnIn(context),
  }
}
