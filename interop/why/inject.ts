/** The lab's faults, on a machine of the bench: those of its BMC, and of the network that it is on. */
import { type FaultName, injectFault } from '#lab/faults.ts'
import { setBlocked } from '#lab/network.ts'
import type { NetMachine } from './machine.ts'

export async function inject({ faults }: NetMachine, kind: FaultName, value?: string): Promise<void> {
  const nothing = () => Promise.reject(new Error(`${kind} is no fault of the bench`))
  const machine = { setCables: nothing, setDiskError: nothing, kill: nothing }
  await injectFault({ machine, faults, setReachable: nothing, setBlocked, injected: new Map() }, kind, value)
}
