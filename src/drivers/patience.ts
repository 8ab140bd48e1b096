/**
 * Patience with what is outside: a question that failed in a way that may pass is asked again for a while, within one
 * step of a flow. It knows neither BMCs nor agents: the fault says of itself whether it may pass.
 */
import { Fault } from '#lib/fault.ts'
import type { NodeContext } from './driver.ts'

/** How long an outage of a BMC is waited out, beyond what its own client waits. */
export const bmcPatienceMs = 10_000
const pauseMs = 1000

/** Does this fault say that the same request may succeed a little later? */
export function mayPass(error: unknown): boolean {
  return error instanceof Fault && 'mayPass' in error && error.mayPass === true
}

/** @throws the last fault when `limitMs` are over, and at once one that will not pass */
export async function patiently<T>(
  ctx: Pick<NodeContext, 'clock' | 'signal'>,
  limitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const endMs = ctx.clock.now() + limitMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!mayPass(error) || ctx.clock.now() + pauseMs > endMs) throw error
      await ctx.clock.sleep(pauseMs, ctx.signal)
    }
  }
}
