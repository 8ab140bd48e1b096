/**
 * The `direct` deploy interface: the agent writes the image from a URL straight to the disk. Step names and priorities
 * are Ironic's, so deploy templates and operators' steps fit in between.
 *
 * Source: deploy interfaces, "direct" (ironic/drivers/modules/agent.py and agent_base.py restated).
 */
import { agentsOf, forgetAgent } from '#db/agents.ts'
import { imageInfo, releaseInstanceImage, validateImage } from '#images/instance.ts'
import type { StoreProgress } from '#images/store.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import { timestamp } from '#protocol/field.ts'
import type { Progress } from '#protocol/progress.ts'
import type { DeployInterface, FlowContext, NodeContext, Step } from '../driver.ts'
import { leaveInstance, prepareInstanceBoot, returnToInstance, takeOverBoot } from '../instance.ts'
import { powerCycle, powerTo } from '../power.ts'
import { AgentBusy, AgentUnreachable, agentClient } from './client.ts'
import { onFastTrack } from './fast-track.ts'
import { awaitAgent, bootRamdisk, prepareRamdisk, removeRamdisk } from './ramdisk.ts'
import { askAgent, failed, runAgentStep } from './steps.ts'

const bootModes = ['bios', 'uefi']
const flags = ['true', 'false']

async function validate(ctx: NodeContext): Promise<void> {
  await ctx.interfaces.boot.validate(ctx)
  validateCapabilities(ctx)
  await validateImage(ctx)
}

/** Boots the ramdisk; the steps after it have an agent. */
const deploy: Step = {
  interface: 'deploy',
  step: 'deploy',
  priority: 100,
  kinds: ['deploy'],
  async run(ctx) {
    if (await onFastTrack(ctx, 'fast track at deploy')) return
    // The agent that was there when the machine was prepared is gone: then nothing is prepared for a boot.
    if (ctx.flow.recall(fastTrackAtPrepare) !== 'no') await prepareRamdisk(ctx, 'deploy')
    const since = await bootRamdisk(ctx, 'deploy')
    await awaitAgent(ctx, 'deploy', since, ctx.config.conductor.deploy_callback_timeout)
  },
}

const writeImage: Step = {
  interface: 'deploy',
  step: 'write_image',
  priority: 80,
  kinds: ['deploy'],
  async run(ctx) {
    const { versionsChanged } = await runAgentStep(ctx, 'deploy', 'write image', writeImage, async now => ({
      image_info: await imageInfo(now),
      configdrive: now.node.instance_info.configdrive ?? null,
    }))
    return versionsChanged ? 'versions changed' : 'done'
  },
}

const prepareInstanceBootStep: Step = {
  interface: 'deploy',
  step: 'prepare_instance_boot',
  priority: 60,
  kinds: ['deploy'],
  async run(ctx) {
    await ctx.flow.once('root uuid', async () => {
      const answer = await askAgent(ctx, asked =>
        agentClient(asked).execute('standby.get_partition_uuids', {}, { wait: true }),
      )
      const now = await ctx.fresh()
      const uuids = answer.command_result as Record<string, unknown> | null // an object of the protocol, or nothing
      const root_uuid_or_disk_id = uuids?.['root uuid'] ?? null
      await ctx.flow.write({ driver_internal_info: { ...now.node.driver_internal_info, root_uuid_or_disk_id } })
    })
    await ctx.flow.once('prepare instance boot', async () => {
      const now = await ctx.fresh()
      await now.interfaces.boot.cleanUpRamdisk(now)
      await prepareInstanceBoot(now)
      await releaseInstanceImage(now)
    })
  },
}

const tearDownAgent: Step = {
  interface: 'deploy',
  step: 'tear_down_agent',
  priority: 40,
  kinds: ['deploy'],
  async run(ctx) {
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

const switchToTenantNetwork: Step = {
  interface: 'deploy',
  step: 'switch_to_tenant_network',
  priority: 30,
  kinds: ['deploy'],
  async run(ctx) {
    await ctx.flow.once('switch to tenant network', async () => {
      const now = await ctx.fresh()
      await now.interfaces.network.detach(now, 'deploy')
      await now.interfaces.network.attach(now, 'tenant')
    })
  },
}

const bootInstance: Step = {
  interface: 'deploy',
  step: 'boot_instance',
  priority: 20,
  kinds: ['deploy'],
  async run(ctx) {
    if (ctx.node.disable_power_off) await powerCycle(ctx, 'boot the instance')
    else await powerTo(ctx, 'boot the instance', 'power on')
  },
}

async function prepare(ctx: FlowContext): Promise<void> {
  // Where this conductor serves the image it is made ready now: a booted agent should not have to wait for it, and a
  // broken image should be found before the machine is touched.
  await ctx.flow.once('make the image ready', async () => {
    const onProgress = (told: StoreProgress) =>
      void ctx.flow.progress(progressOf(told, ctx.clock.now())).catch(() => {})
    await imageInfo(await ctx.fresh(), { onProgress })
    await ctx.flow.progress(null)
  })
  const running = await onFastTrack(ctx, fastTrackAtPrepare)
  await ctx.flow.once('leave the tenant network', async () => {
    const now = await ctx.fresh()
    // A rebuilt machine is still where its instance was.
    await now.interfaces.network.detach(now, 'tenant')
    if (running) await now.interfaces.network.attach(now, 'deploy')
  })
  if (!running) await prepareRamdisk(ctx, 'deploy')
}

/** What was found of a running ramdisk before the first step; stored. */
const fastTrackAtPrepare = 'fast track at prepare'

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

async function cleanUp(ctx: FlowContext): Promise<void> {
  const off = ctx.config.deploy.power_off_after_deploy_failure && !ctx.node.disable_power_off
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
  if (await onFastTrack(ctx, 'fast track at cleaning')) {
    await ctx.flow.once('move to the clean network', async () => {
      const now = await ctx.fresh()
      await now.interfaces.network.attach(now, 'clean')
    })
    return
  }
  await prepareRamdisk(ctx, 'clean')
  const since = await bootRamdisk(ctx, 'clean')
  await awaitAgent(ctx, 'clean', since, ctx.config.conductor.clean_callback_timeout)
}

async function tearDownCleaning(ctx: FlowContext, options: { powerOff: boolean; fastTrack?: boolean }): Promise<void> {
  // The next flow may go on with this ramdisk.
  const stays = options.fastTrack === true && (await onFastTrack(ctx, 'fast track after cleaning'))
  await removeRamdisk(ctx, 'clean', { powerOff: options.powerOff && !stays })
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

export default {
  usesAgent: true,
  steps: [deploy, writeImage, prepareInstanceBootStep, tearDownAgent, switchToTenantNetwork, bootInstance],
  validate,
  prepare,
  cleanUp,
  tearDown,
  prepareCleaning,
  tearDownCleaning,
  prepareService,
  tearDownService,
  adopt: ctx => ctx.flow.once('take over the boot', () => takeOverBoot(ctx)),
} satisfies DeployInterface

/** The agent switches the machine off by itself; a BMC that does not see it in time is told to. */
async function powerOffInBand(ctx: FlowContext): Promise<void> {
  const { flow, config, clock } = ctx
  const askedMs = await flow.once('agent: power off', async () => {
    await tell(await ctx.fresh(), 'standby.power_off')
    return clock.now()
  })
  const everyMs = 1000
  const retries = config.agent.post_deploy_get_power_state_retries
  const patienceMs = (1 + retries) * config.agent.post_deploy_get_power_state_retry_interval * 1000
  const wait = { everyMs, timeoutMs: 0, onTimeout: () => new InvalidInput('unreachable: this wait has no limit') }
  await flow.until('agent: powered off', wait, async () => {
    const now = await ctx.fresh()
    if ((await now.interfaces.power.get(now)) === 'power off') return 'off'
    return clock.now() - askedMs > patienceMs ? 'still on' : undefined
  })
}

/**
 * Tells the agent something whose failure the BMC makes good: after a repeated pass it may be gone already, or be busy
 * with what the first one told it. @throws AgentCommandFailed when it could not flush its disks
 */
async function tell(ctx: FlowContext, command: string): Promise<void> {
  const agent = (await agentsOf(ctx.db, [ctx.flow.nodeUuid])).get(ctx.flow.nodeUuid)
  if (!agent?.url) return
  const sync = command === 'standby.sync'
  try {
    const answer = await agentClient(ctx).execute(command, {}, { wait: sync })
    // Power will be cut: what is not on the disk by now is lost.
    if (sync && answer.command_status !== 'SUCCEEDED') throw failed(answer, command)
  } catch (error) {
    if (!(error instanceof AgentUnreachable || (error instanceof AgentBusy && !sync))) throw error
    ctx.log.warn({ node: ctx.node.uuid, command }, `the agent could not be told: ${messageOf(error)}`)
  }
}

function validateCapabilities(ctx: NodeContext): void {
  const { node } = ctx
  const found = { ...capabilitiesOf(node.properties.capabilities), ...capabilitiesOf(node.instance_info.capabilities) }
  const allowed: Record<string, string[]> = { boot_mode: bootModes, secure_boot: flags, disk_label: ['msdos', 'gpt'] }
  for (const [name, values] of Object.entries(allowed)) {
    const value = found[name]
    if (value === undefined || values.includes(value.toLowerCase())) continue
    throw new InvalidInput(`Capability ${name} of node ${node.uuid} is "${value}"; expected ${values.join(' or ')}`)
  }
}

/** Capabilities are an object, or text like `boot_mode:uefi,secure_boot:true`. */
function capabilitiesOf(value: unknown): Record<string, string> {
  if (typeof value === 'string') {
    return Object.fromEntries(
      value
        .split(',')
        .filter(Boolean)
        .map(pair => {
          const at = pair.indexOf(':')
          return at < 0 ? [pair.trim(), ''] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
        }),
    )
  }
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, String(inner)]))
}
