/**
 * The `direct` deploy interface: the agent writes the image from a URL straight to the disk. Step names and priorities
 * are Ironic's, so deploy templates and operators' steps fit in between.
 *
 * Source: deploy interfaces, "direct" (ironic/drivers/modules/agent.py and agent_base.py restated).
 */
import { imageInfo, validateImage } from '#images/instance.ts'
import { releaseInstanceImage } from '#images/published.ts'
import type { StoreProgress } from '#images/store.ts'
import { timestamp } from '#protocol/field.ts'
import type { Progress } from '#protocol/progress.ts'
import type { DeployInterface, FlowContext, NodeContext } from '../driver.ts'
import { noPower } from '../planned-power.ts'
import type { Step } from '../step.ts'
import { agentLife, prepareAgentBoot } from './agent-deploy.ts'
import { validateCapabilities } from './capabilities.ts'
import { deployStep, handOverSteps, prepareInstanceBootStep } from './deploy-steps.ts'
import { makeBootable, noteBootMode } from './image-boot.ts'
import { validateRootDevice } from './root-device.ts'
import { runAgentStep } from './steps.ts'

async function validate(ctx: NodeContext): Promise<void> {
  await ctx.interfaces.boot.validate(ctx)
  validateCapabilities(ctx)
  validateRootDevice(ctx)
  await validateImage(ctx)
}

const writeImage: Step = {
  interface: 'deploy',
  step: 'write_image',
  priority: 80,
  kinds: ['deploy'],
  plannedPower: noPower,
  async run(ctx) {
    await noteBootMode(ctx)
    const { versionsChanged, traffic } = await runAgentStep(ctx, 'deploy', 'write image', writeImage, async now => ({
      image_info: await imageInfo(now),
      configdrive: now.node.instance_info.configdrive ?? null,
    }))
    if (traffic) {
      await ctx.flow.once('note what writing took', async () => {
        const { driver_internal_info } = (await ctx.fresh()).node
        await ctx.flow.write({ driver_internal_info: { ...driver_internal_info, image_traffic: traffic } })
        await ctx.flow.event('image written', traffic)
      })
    }
    return versionsChanged ? 'versions changed' : 'done'
  },
}

/** As for all agents; the disk is made bootable before, and the image is not needed any more after it. */
const prepareImageBoot: Step = {
  ...prepareInstanceBootStep,
  async run(ctx, args) {
    await makeBootable(ctx)
    await prepareInstanceBootStep.run(ctx, args)
    await ctx.flow.once('release the image', async () => releaseInstanceImage(await ctx.fresh()))
  },
}

async function prepare(ctx: FlowContext): Promise<void> {
  await makeImageReady(ctx)
  await prepareAgentBoot(ctx)
}

/** @param options as for imageInfo */
export async function makeImageReady(ctx: FlowContext, options: { plain?: boolean } = {}): Promise<void> {
  // Where this conductor serves the image it is made ready now: a booted agent should not have to wait for it, and a
  // broken image should be found before the machine is touched.
  await ctx.flow.once('make the image ready', async () => {
    const onProgress = (told: StoreProgress) =>
      void ctx.flow.progress(progressOf(told, ctx.clock.now())).catch(() => {})
    await imageInfo(await ctx.fresh(), { onProgress, ...options })
    await ctx.flow.progress(null)
  })
}

/** What the store does, as the progress of the step that will need the image. */
function progressOf(told: StoreProgress, nowMs: number): Progress {
  return {
    step: 'deploy.write_image',
    phase: told.phase === 'queued' ? `image: queued, ${told.position} before it` : `image: ${told.phase}`,
    bytes: told.bytes,
    total_bytes: told.total_bytes,
    rate_bytes_per_s: null,
    eta_s: null,
    updated_at: timestamp(nowMs),
  }
}

export default {
  ...agentLife,
  steps: [deployStep, writeImage, prepareImageBoot, ...handOverSteps],
  validate,
  prepare,
  supportsDeploy: async () => true,
} satisfies DeployInterface
