/** The lab's faults of BMCs, on a machine of the bench. */
import { type FaultName, injectFault } from '#lab/faults.ts'
import type { NetMachine } from './machine.ts'

export async function injectBmc({ faults }: NetMachine, kind: FaultName, value?: string): Promise<void> {
  const nothing = () => Promise.reject(new Error(`${kind} is no fault of a BMC`))
  const machine = { setCables: nothing, setDiskError: nothing, kill: nothing }
  await injectFault({ machine, faults, setReachable: nothing }, kind, value)
}
