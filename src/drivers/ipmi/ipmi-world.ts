/** A node's context that reaches a BMC for tests, with the driver's own interfaces. */
import type { Interfaces } from '../driver.ts'
import { type TestContext, testContext } from '../test-context.ts'
import management from './management.ts'
import power from './power.ts'

export const user = { name: 'admin', password: 'twenty-bytes-secret!', privilege: 'ADMINISTRATOR' } as const

/** Adds a context to a BMC that was started; both end together. */
export async function worldOf<B extends { port: { port: number } } & AsyncDisposable>(
  started: B,
  given: { info?: Record<string, unknown>; ipmi?: Record<string, unknown> },
): Promise<B & { ctx: TestContext }> {
  const ctx = await ipmiContext({ ipmi_port: started.port.port, ...given.info }, given.ipmi)
  return {
    ...started,
    ctx,
    async [Symbol.asyncDispose]() {
      await ctx[Symbol.asyncDispose]()
      await started[Symbol.asyncDispose]()
    },
  }
}

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
