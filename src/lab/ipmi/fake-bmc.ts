/** A BMC over hardware without a machine, behind a socket: for tests and for measuring. */
import { FakeHardware } from '../redfish/fake-hardware.ts'
import { IpmiBmc } from './bmc.ts'
import type { BmcOptions } from './options.ts'
import { type IpmiPort, openIpmiPort, type PortOptions } from './server.ts'

export interface FakeBmc extends AsyncDisposable {
  bmc: IpmiBmc
  hardware: FakeHardware
  port: IpmiPort
}

export async function startFakeBmc(
  options: Omit<BmcOptions, 'hardware'>,
  portOptions: PortOptions = {},
): Promise<FakeBmc> {
  const hardware = new FakeHardware()
  const bmc = new IpmiBmc({ ...options, hardware })
  const port = await openIpmiPort(bmc, portOptions)
  return { bmc, hardware, port, [Symbol.asyncDispose]: () => port[Symbol.asyncDispose]() }
}
