/** A simulated BMC behind a real socket, and a node's context that reaches it; for the tests of this folder. */
import { IpmiBmc } from '#lab/ipmi/bmc.ts'
import type { BmcOptions } from '#lab/ipmi/options.ts'
import { type IpmiPort, openIpmiPort, type PortOptions } from '#lab/ipmi/server.ts'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import type { Interfaces } from '../driver.ts'
import { type TestContext, testContext } from '../test-context.ts'
import management from './management.ts'
import power from './power.ts'

export interface IpmiWorld extends AsyncDisposable {
  bmc: IpmiBmc
  hardware: FakeHardware
  port: IpmiPort
  ctx: TestContext
}

export const user = { name: 'admin', password: 'twenty-bytes-secret!', privilege: 'ADMINISTRATOR' } as const

export async function ipmiWorld(
  given: {
    bmc?: Partial<BmcOptions>
    port?: PortOptions
    info?: Record<string, unknown>
    ipmi?: Record<string, unknown>
  } = {},
): Promise<IpmiWorld> {
  const hardware = new FakeHardware()
  const bmc = new IpmiBmc({ hardware, users: [user], ...given.bmc })
  const port = await openIpmiPort(bmc, given.port)
  const ctx = await ipmiContext({ ipmi_port: port.port, ...given.info }, given.ipmi)
  return {
    bmc,
    hardware,
    port,
    ctx,
    async [Symbol.asyncDispose]() {
      await ctx[Symbol.asyncDispose]()
      await port[Symbol.asyncDispose]()
    },
  }
}

/** A context with the driver's own interfaces. */
export async function ipmiContext(
  info: Record<string, unknown>,
  ipmi: Record<string, unknown> = {},
): Promise<TestContext> {
  const interfaces: Partial<Interfaces> = { power, management }
  return testContext({
    node: {
      driver_info: {
        ipmi_address: '127.0.0.1',
        ipmi_username: user.name,
        ipmi_password: user.password,
        ...info,
      },
    },
    config: { ipmi },
    interfaces,
  })
}

export function change(ctx: TestContext, info: Record<string, unknown>): void {
  ctx.node = { ...ctx.node, driver_info: { ...ctx.node.driver_info, ...info } }
}
