/**
 * The core steps of every deployment that an agent does, with Ironic's names and priorities, so that deploy templates and
 * operators' steps fit in between. What is written to the disk, and by whom, is the business of the interface that puts
 * its own steps among these.
 *
 * Source: deploy interfaces, "direct", "custom-agent" and "End of deployment" (ironic/drivers/modules/agent_base.py
 * restated).
 */
import { isTrue } from '#lib/truth.ts'
import { prepareInstanceBoot } from '../instance.ts'
import { noPower, plannedCycle, plannedOff, plannedStart } from '../planned-power.ts'
import { isSwitchable, powerCycle, powerTo, startMachine } from '../power.ts'
import type { Step } from '../step.ts'
import { fastTrackAtPrepare } from './agent-deploy.ts'
import { collectLogs } from './collect-logs.ts'
import { expectsFastTrack, onFastTrack } from './fast-track.ts'
import { powerOffInBand, tell } from './power-off.ts'
import { awaitAgent, bootRamdisk, prepareRamdisk } from './ramdisk.ts'

/** Boots the ramdisk; the steps after it have an agent. */
export const deployStep: Step = {
  interface: 'deploy',
  step: 'deploy',
  priority: 100,
  kinds: ['deploy'],
  plannedPower: ctx => (expectsFastTrack(ctx) ? [] : plannedStart(ctx)),
  async run(ctx) {
    if (await onFastTrack(ctx, 'fast track at deploy')) return
    // The agent that was there when the machine was prepared is gone: then nothing is prepared for a boot.
    if (ctx.flow.recall(fastTrackAtPrepare) !== 'no') await prepareRamdisk(ctx, 'deploy')
    const since = await bootRamdisk(ctx, 'deploy')
    await awaitAgent(ctx, 'deploy', since, ctx.config.conductor.deploy_callback_timeout)
  },
}

/** The next boots start what is on the disk. */
export const prepareInstanceBootStep: Step = {
  interface: 'deploy',
  step: 'prepare_instance_boot',
  priority: 60,
  kinds: ['deploy'],
  plannedPower: noPower,
  async run(ctx) {
    await ctx.flow.once('prepare instance boot', async () => {
      const now = await ctx.fresh()
      await now.interfaces.boot.cleanUpRamdisk(now)
      await prepareInstanceBoot(now)
    })
  },
}

/** Nothing of the ramdisk runs any more, and the disk has all that was written. */
export const tearDownAgentStep: Step = {
  interface: 'deploy',
  step: 'tear_down_agent',
  priority: 40,
  kinds: ['deploy'],
  plannedPower: ctx => (isSwitchable(ctx) ? plannedOff(ctx) : plannedCycle(ctx)),
  async run(ctx) {
    await collectLogs(ctx, { of: 'deployment', failed: false })
    if (!isSwitchable(ctx)) {
      await ctx.flow.once('flush the disks', async () => tell(await ctx.fresh(), 'standby.sync'))
      await powerCycle(ctx, 'restart into the instance')
      return
    }
    if (ctx.node.disable_power_off) {
      await ctx.flow.once('lock the agent down', async () => tell(await ctx.fresh(), 'system.lockdown'))
      return
    }
    if (isTrue(ctx.node.driver_info.deploy_forces_oob_reboot)) {
      await ctx.flow.once('flush the disks', async () => tell(await ctx.fresh(), 'standby.sync'))
    } else {
      await powerOffInBand(ctx)
    }
    // Off already, or off by force now: either way the BMC has the last word.
    await powerTo(ctx, 'power off after the write', 'power off')
  },
}

export const switchToTenantNetworkStep: Step = {
  interface: 'deploy',
  step: 'switch_to_tenant_network',
  priority: 30,
  kinds: ['deploy'],
  plannedPower: noPower,
  async run(ctx) {
    await ctx.flow.once('switch to tenant network', async () => {
      const now = await ctx.fresh()
      await now.interfaces.network.detach(now, 'deploy')
      await now.interfaces.network.attach(now, 'tenant')
    })
  },
}

export const bootInstanceStep: Step = {
  interface: 'deploy',
  step: 'boot_instance',
  priority: 20,
  kinds: ['deploy'],
  plannedPower: ctx => (isSwitchable(ctx) ? plannedStart(ctx) : []),
  async run(ctx) {
    // What only restarts has done so when its agent ended.
    if (isSwitchable(ctx)) await startMachine(ctx, 'boot the instance')
  },
}

/** The steps after the machine's boot has become that of its instance. */
export const handOverSteps: readonly Step[] = [tearDownAgentStep, switchToTenantNetworkStep, bootInstanceStep]
