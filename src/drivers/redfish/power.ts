/**
 * Power over Redfish. Asks for a state and is content when the machine is there already; never presses a button, since
 * a press is a change and not a state.
 *
 * Source: DMTF DSP0268, ComputerSystem.Reset; ironic/drivers/modules/redfish/power.py, sushy system.py (behaviour).
 */
import { messageOf } from '#lib/fault.ts'
import type { PowerState } from '#protocol/states.ts'
import type { PowerInterface } from '../bmc-interfaces.ts'
import { type NodeContext, Unsupported } from '../driver.ts'
import { validateDriverInfo } from './driver-info.ts'
import { BmcRefused, BmcUnreachable } from './faults.ts'
import { type Located, readSystem, resetAction } from './system.ts'

type Target = Parameters<PowerInterface['set']>[1]

/** Reset types that bring a machine to the state, the preferred one first. */
const RESET_TYPES: Readonly<Record<Target, readonly string[]>> = {
  'power on': ['On', 'ForceOn'],
  'power off': ['ForceOff'],
  'soft power off': ['GracefulShutdown'],
  reset: ['ForceRestart', 'PowerCycle'],
}

/** A machine on its way counts as there: it needs no second push. */
const STATES: Readonly<Record<string, PowerState>> = {
  On: 'power on',
  PoweringOn: 'power on',
  Paused: 'power on',
  Off: 'power off',
  PoweringOff: 'power off',
}

/**
 * A machine on its way is not there for who waits: what is done to a machine that is still losing its power comes too
 * early. (Ironic reads both words as their goal.)
 */
const SETTLED: Readonly<Record<string, PowerState>> = { ...STATES, PoweringOn: 'power off', PoweringOff: 'power on' }

const power: PowerInterface = {
  supported: ['power on', 'power off', 'rebooting', 'soft power off', 'soft rebooting'],

  validate: validateDriverInfo,

  async get(ctx) {
    const { system } = await readSystem(ctx)
    return SETTLED[system.PowerState ?? ''] ?? null
  },

  async set(ctx, target) {
    const { power_on_conflict_retry_attempts: attempts, power_on_conflict_retry_interval: intervalS } =
      ctx.config.redfish
    for (let attempt = 0; ; attempt += 1) {
      const before = await readSystem(ctx, { fresh: true })
      if (isThere(before, target)) return
      try {
        return await reset(ctx, before, target)
      } catch (error) {
        // A connection cut off in mid-request, too: whether it was carried out shows in the state.
        const isBusy = error instanceof BmcRefused && error.httpStatus === 409
        const isCut = error instanceof BmcUnreachable
        if (!isCut && !(error instanceof BmcRefused && [400, 409].includes(error.httpStatus))) throw error
        if (target !== 'reset' && isThere(await readSystem(ctx, { fresh: true }), target)) return
        if ((!isBusy && !isCut) || attempt >= attempts) throw error
        ctx.log.info({ attempt, error: messageOf(error) }, 'the BMC could not take the power request yet')
      }
      await ctx.clock.sleep(intervalS * 1000, ctx.signal)
    }
  },
}

export default power

async function reset(ctx: NodeContext, located: Located, target: Target): Promise<void> {
  const { target: path, allowed } = await resetAction(located, ctx.signal)
  // A machine that was to be reset but is off is only switched on: firmware refuses to restart what does not run.
  const wanted = RESET_TYPES[target === 'reset' && stateOf(located) === 'power off' ? 'power on' : target]
  const type = allowed === null ? wanted[0] : wanted.find(name => allowed.includes(name))
  if (type === undefined) {
    throw new Unsupported(
      `Cannot ${describe(target)} ${located.path} at ${located.client.origin}: the BMC offers reset types ` +
        `${allowed?.join(', ') || 'none'}; expected ${wanted.join(' or ')}`,
    )
  }
  await located.client.post(path, { ResetType: type }, ctx.signal)
}

function describe(target: Target): string {
  return target === 'reset' ? 'reset' : `bring to "${target}"`
}

function stateOf({ system }: Located): PowerState | null {
  return STATES[system.PowerState ?? ''] ?? null
}

function isThere(located: Located, target: Target): boolean {
  if (target === 'reset') return false
  return stateOf(located) === (target === 'power on' ? 'power on' : 'power off')
}
