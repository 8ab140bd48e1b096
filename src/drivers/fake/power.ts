/** Power of a machine that is not there: what was asked is so. */
import type { PowerInterface } from '../bmc-interfaces.ts'
import { machineOf, takeTime } from './machine.ts'

const power: PowerInterface = {
  supported: ['power on', 'power off', 'rebooting', 'soft power off', 'soft rebooting'],

  validate: async () => {},

  async get(ctx) {
    return machineOf(ctx).power ?? ctx.node.power_state ?? 'power off'
  },

  async set(ctx, target) {
    await takeTime(ctx, 'power')
    machineOf(ctx).power = target === 'power off' || target === 'soft power off' ? 'power off' : 'power on'
  },
}

export default power
