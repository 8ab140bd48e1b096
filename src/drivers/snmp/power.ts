/**
 * Power by switching the outlet of a PDU. An outlet is on or off whatever the machine makes of it, so there is no soft
 * off. What a PDU is asked for is a state.
 *
 * Source: drivers, "snmp" (ironic/drivers/modules/snmp.py restated).
 */

import type { PowerInterface } from '../bmc-interfaces.ts'
import { HardwareFault, type NodeContext } from '../driver.ts'
import { validateDriverInfo } from './driver-info.ts'
import { type Outlet, outletOf } from './outlet.ts'

/** The PDU accepted a command and did not carry it out. */
export class OutletUnchanged extends HardwareFault {
  override readonly code = 'pdu-outlet-unchanged'
}

/** When outlets were switched off last, by node: some supplies need a pause before they start again. */
const offKey = Symbol('when outlets were switched off')
const pollMs = 1000

const power: PowerInterface = {
  supported: ['power on', 'power off', 'rebooting'],

  validate: validateDriverInfo,

  async get(ctx) {
    return (await outletOf(ctx)).state(ctx.signal)
  },

  async set(ctx, target) {
    const outlet = await outletOf(ctx)
    if (target === 'reset') {
      await switchOff(ctx, outlet)
      await reached(ctx, outlet, 'power off')
      await switchOn(ctx, outlet)
      await reached(ctx, outlet, 'power on')
      return
    }
    const wanted = target === 'power on' ? target : 'power off'
    if ((await outlet.state(ctx.signal)) === wanted) return
    await (wanted === 'power on' ? switchOn(ctx, outlet) : switchOff(ctx, outlet))
  },
}

export default power

async function switchOff(ctx: NodeContext, outlet: Outlet): Promise<void> {
  const { power_action_delay: delayS } = ctx.config.snmp
  await outlet.set('power off', ctx.signal)
  switchedOff(ctx).set(ctx.node.uuid, ctx.clock.now())
  if (delayS > 0) await ctx.clock.sleep(delayS * 1000, ctx.signal)
}

async function switchOn(ctx: NodeContext, outlet: Outlet): Promise<void> {
  const { power_action_delay: delayS, reboot_delay: rebootS } = ctx.config.snmp
  const offAt = switchedOff(ctx).get(ctx.node.uuid)
  const restMs = offAt === undefined ? 0 : offAt + rebootS * 1000 - ctx.clock.now()
  const pauseMs = Math.max(delayS * 1000, restMs)
  if (pauseMs > 0) await ctx.clock.sleep(pauseMs, ctx.signal)
  await outlet.set('power on', ctx.signal)
  switchedOff(ctx).delete(ctx.node.uuid)
}

/** Between the halves of a reset; after any other change the flow looks. */
async function reached(ctx: NodeContext, outlet: Outlet, wanted: 'power on' | 'power off'): Promise<void> {
  const { power_timeout: limitS } = ctx.config.snmp
  const endMs = ctx.clock.now() + limitS * 1000
  while ((await outlet.state(ctx.signal)) !== wanted) {
    if (ctx.clock.now() >= endMs) {
      throw new OutletUnchanged(
        `${outlet.name} did not reach "${wanted}" within ${limitS} s ([snmp] power_timeout): it accepted the command`,
      )
    }
    await ctx.clock.sleep(pollMs, ctx.signal)
  }
}

function switchedOff(ctx: NodeContext): Map<string, number> {
  return ctx.shared(offKey, () => new Map<string, number>())
}
