/**
 * The life around a deployment that an agent does: booting the ramdisk for it, for cleaning and for servicing, and taking
 * everything away again. Deploy interfaces take it as it is, and differ in their steps and in what they check and make
 * ready (direct.ts is the example to follow). Nothing here knows what is written to a disk.
 *
 * Source: deploy interfaces, "direct" (ironic/drivers/modules/agent_base.py restated).
 */
import { forgetAgent } from '#db/agents.ts'
import { releaseInstanceImage } from '#images/published.ts'
import type { DeployInterface, FlowContext, NodeContext } from '../driver.ts'
import { leaveInstance, returnToInstance, takeOverBoot } from '../instance.ts'
import { plannedOff, plannedStart } from '../planned-power.ts'
import { isSwitchable, powerTo } from '../power.ts'
import type { DeployPart, PowerChange } from '../step.ts'
import { expectsFastTrack, movedOnFastTrack, onFastTrack, wantsFastTrack } from './fast-track.ts'
import { awaitAgent, bootRamdisk, prepareRamdisk, removeRamdisk } from './ramdisk.ts'

/** All of a deploy interface but its steps, its validation and what it makes ready. */
export const agentLife = {
  usesAgent: true,
  prepare: prepareAgentBoot,
  cleanUp,
  tearDown,
  prepareCleaning,
  tearDownCleaning,
  prepareService,
  tearDownService,
  adopt: ctx => ctx.flow.once('take over the boot', () => takeOverBoot(ctx)),
  plannedPower,
} satisfies Omit<DeployInterface, 'steps' | 'validate'>

/** Before the first step: the machine is off and its next boot starts the ramdisk, or that runs already (fast track). */
export async function prepareAgentBoot(ctx: FlowContext): Promise<void> {
  await ctx.flow.once('leave the tenant network', async () => {
    const now = await ctx.fresh()
    // A rebuilt machine is still where its instance was.
    await now.interfaces.network.detach(now, 'tenant')
  })
  if (!(await movedOnFastTrack(ctx, fastTrackAtPrepare, 'deploy'))) await prepareRamdisk(ctx, 'deploy')
}

/** What was found of a running ramdisk before the first step; stored. */
export const fastTrackAtPrepare = 'fast track at prepare'

function plannedPower(ctx: NodeContext, part: DeployPart): readonly PowerChange[] {
  switch (part) {
    case 'deploy':
      return expectsFastTrack(ctx) ? [] : plannedOff(ctx)
    case 'cleaning':
      return expectsFastTrack(ctx) ? [] : [...plannedOff(ctx), ...plannedStart(ctx)]
    case 'after cleaning':
      return wantsFastTrack(ctx) ? [] : plannedOff(ctx)
    case 'service':
      return [...plannedOff(ctx), ...plannedStart(ctx)]
    case 'after service':
      return [...plannedOff(ctx), ...plannedStart(ctx)]
    case 'tear down':
      return plannedOff(ctx)
  }
}

async function cleanUp(ctx: FlowContext): Promise<void> {
  const off = ctx.config.deploy.power_off_after_deploy_failure && !ctx.node.disable_power_off && isSwitchable(ctx)
  try {
    if (off) await powerTo(ctx, 'power off', 'power off')
  } finally {
    // Also when the BMC cannot be reached: nothing may be left for the machine to boot.
    await ctx.flow.once('remove boot files', async () => {
      const now = await ctx.fresh()
      await now.interfaces.boot.cleanUpRamdisk(now)
      await now.interfaces.boot.cleanUpInstance(now)
      await now.interfaces.network.detach(now, 'deploy')
      await releaseInstanceImage(now)
    })
  }
}

async function tearDown(ctx: FlowContext): Promise<void> {
  if (!ctx.node.disable_power_off) await powerTo(ctx, 'power off the instance', 'power off')
  await ctx.flow.once('remove instance', async () => {
    const now = await ctx.fresh()
    await forgetAgent(ctx.db, ctx.flow.nodeUuid, { keepPregenerated: false })
    await now.interfaces.boot.cleanUpRamdisk(now)
    await now.interfaces.boot.cleanUpInstance(now)
    await now.interfaces.network.detach(now, 'tenant')
    await releaseInstanceImage(now)
  })
}

async function prepareCleaning(ctx: FlowContext): Promise<void> {
  if (await movedOnFastTrack(ctx, 'fast track at cleaning', 'clean')) return
  await prepareRamdisk(ctx, 'clean')
  const since = await bootRamdisk(ctx, 'clean')
  await awaitAgent(ctx, 'clean', since, ctx.config.conductor.clean_callback_timeout)
}

async function tearDownCleaning(ctx: FlowContext, options: { powerOff: boolean; fastTrack?: boolean }): Promise<void> {
  // The next flow may go on with this ramdisk.
  const stays = options.fastTrack === true && (await onFastTrack(ctx, 'fast track after cleaning'))
  await removeRamdisk(ctx, 'clean', { powerOff: options.powerOff && !stays, stays })
}

async function prepareService(ctx: FlowContext): Promise<void> {
  await leaveInstance(ctx, 'service')
  await prepareRamdisk(ctx, 'service')
  const since = await bootRamdisk(ctx, 'service')
  await awaitAgent(ctx, 'service', since, ctx.config.conductor.service_callback_timeout)
}

async function tearDownService(ctx: FlowContext, options: { instance: boolean; powerOff: boolean }): Promise<void> {
  await removeRamdisk(ctx, 'service', { powerOff: options.powerOff || options.instance })
  if (options.instance) await returnToInstance(ctx)
}
