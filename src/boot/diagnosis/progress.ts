/** How far firmware has come, as some BMCs see it, where nothing else is heard of the machine. */
import type { Diagnosis } from './words.ts'

/** Source: DMTF DSP0268, ComputerSystem.BootProgressTypes; those that say no more than that it works are left out. */
const stages: Readonly<Record<string, Pick<Diagnosis, 'cause' | 'actions'> & { says: string }>> = {
  PrimaryProcessorInitializationStarted: stuck('its processor'),
  BusInitializationStarted: stuck('its buses'),
  MemoryInitializationStarted: stuck('its memory'),
  SecondaryProcessorInitializationStarted: stuck('its other processors'),
  PCIResourceConfigStarted: stuck('its PCI devices'),
  SetupEntered: {
    cause: 'firmware-setup',
    says: 'somebody has entered the setup of its firmware',
    actions: ['leave the setup, or restart the machine; see its console for a question that the firmware asks'],
  },
}

function stuck(part: string): (typeof stages)[string] {
  return {
    cause: 'firmware-stuck',
    says: `its firmware got no further than ${part}`,
    actions: [`look at the BMC's event log for ${part}: parts that broke, or that were changed last`],
  }
}

/** @param nothing the sentence that says what was not seen @param progress as the BMC calls it */
export function ofProgress(nothing: string, progress: string | null | undefined): Diagnosis | undefined {
  const stage = stages[progress ?? '']
  if (!stage) return undefined
  const { cause, says, actions } = stage
  return { cause, summary: `${nothing}: ${says}`, evidence: [`the BMC tells "${progress}"`], actions }
}
