/**
 * Power over IPMI. Asks for a state and is content when the machine is there already.
 *
 * Source: drivers, "IPMI" (ironic/drivers/modules/ipmitool.py restated).
 */
import { completion } from '#protocol/ipmi/commands.ts'
import type { PowerInterface } from '../bmc-interfaces.ts'
import type { NodeContext } from '../driver.ts'
import { chassisStatus, controlChassis } from './chassis.ts'
import { clientOf } from './clients.ts'
import { forcesBootDevice, validateDriverInfo } from './driver-info.ts'
import { IpmiRefused } from './faults.ts'
import { restoreBootDevice } from './management.ts'

const power: PowerInterface = {
  supported: ['power on', 'power off', 'rebooting', 'soft power off', 'soft rebooting'],

  validate: validateDriverInfo,

  async get(ctx) {
    const { isOn } = await chassisStatus(clientOf(ctx), ctx.signal)
    return isOn ? 'power on' : 'power off'
  },

  async set(ctx, target) {
    const { isOn } = await chassisStatus(clientOf(ctx), ctx.signal)
    if (target !== 'reset' && isOn === (target === 'power on')) return
    // What is off cannot be reset; it is only switched on.
    const control = target === 'reset' && !isOn ? 'power on' : target
    const starts = control === 'power on' || control === 'reset'
    if (starts && forcesBootDevice(ctx)) await restoreBootDevice(ctx)
    try {
      await controlChassis(clientOf(ctx), controls[control], ctx.signal)
    } catch (error) {
      // Firmware refuses what holds already, or came to hold meanwhile.
      if (!(error instanceof IpmiRefused) || !refusedAsDone.includes(error.completion)) throw error
      if (target === 'reset' || !(await isThere(ctx, target))) throw error
    }
  },
}

export default power

const controls = { 'power on': 'on', 'power off': 'off', 'soft power off': 'softOff', reset: 'reset' } as const
const refusedAsDone: readonly number[] = [completion.notNow, completion.invalidData]

async function isThere(ctx: NodeContext, target: 'power on' | 'power off' | 'soft power off'): Promise<boolean> {
  const { isOn } = await chassisStatus(clientOf(ctx), ctx.signal)
  return isOn === (target === 'power on')
}
