/**
 * What there is of a fake machine: a few values in memory, and the time its operations take. Power survives a restart
 * in the node's row; the rest is forgotten, as by a BMC that lost its power.
 */
import { InvalidInput } from '#lib/fault.ts'
import type { BootDevice, BootMode, PowerState } from '#protocol/states.ts'
import type { NodeContext } from '../driver.ts'

export interface FakeMachine {
  /** What was asked last; undefined until something was, then the node's row counts. */
  power?: PowerState
  bootDevice?: { boot_device: BootDevice; persistent: boolean }
  bootMode?: BootMode
}

const KEY = Symbol('fake machines')

export function machineOf(ctx: NodeContext): FakeMachine {
  const machines = ctx.shared(KEY, () => new Map<string, FakeMachine>())
  const machine = machines.get(ctx.node.uuid) ?? {}
  machines.set(ctx.node.uuid, machine)
  return machine
}

export type FakeOperation = 'power' | 'boot' | 'deploy' | 'management' | 'inspect' | 'rescue'

/**
 * Takes the time that `[fake] <operation>_delay` says: "2", or "1,5" for one between, the low ones likelier.
 * Source: ironic/drivers/modules/fake.py, ironic/conf/fake.py (behaviour).
 */
export async function takeTime(ctx: NodeContext, operation: FakeOperation, random = Math.random): Promise<void> {
  const text = ctx.config.fake[`${operation}_delay`]
  const [from = 0, to = from] = text.split(',').map(Number)
  if (!(from >= 0 && to >= from)) {
    throw new InvalidInput(`Cannot use [fake] ${operation}_delay ${JSON.stringify(text)}: expected SECONDS or FROM,TO`)
  }
  // The triangular distribution whose peak is at its low end.
  const seconds = from + (to - from) * (1 - Math.sqrt(1 - random()))
  if (seconds > 0) await ctx.clock.sleep(seconds * 1000, ctx.signal)
}
