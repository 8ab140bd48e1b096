/** Faults that are found out when a machine of the bench is to be deployed, before it asks for its image. */
import type { Bench, Enrolment } from './bench.ts'
import type { BenchFault, Told } from './fault-case.ts'
import type { NetMachine } from './machine.ts'

/** No machine gets so far that it would ask for it. */
export const anyImage = {
  image_source: 'http://10.77.0.1:8090/boot.ipxe',
  image_checksum: '0'.repeat(64),
  image_disk_format: 'raw',
}

/** @param breaks before the machine is deployed */
export function undeployable(
  fault: Told,
  breaks: (machine: NetMachine, bench: Bench) => Promise<void> | void,
  enrolment: Enrolment = {},
): BenchFault {
  return {
    ...fault,
    on: 'bench',
    async explained(bench) {
      const machine = await bench.available(enrolment)
      await bench.set(machine, '/instance_info', anyImage)
      await breaks(machine, bench)
      return bench.failure(machine, 'active')
    },
  }
}
