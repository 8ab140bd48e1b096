/**
 * The `anaconda` deploy interface: the machine boots Red Hat's installer, which follows a kickstart made for the node and
 * calls when it begins, ends or fails. No agent runs while it does; cleaning and servicing need ours all the same.
 *
 * Source: deploy interfaces, "anaconda" (ironic/drivers/modules/pxe.py, PXEAnacondaDeploy, restated). Beyond Ironic: a
 * machine is given the time to switch itself off after its installer has called for the last time.
 */
import { randomBytes } from 'node:crypto'
import { findAgent, forgetAgent, pregenerateToken } from '#db/agents.ts'
import { Fault } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import { agentLife } from '../agent/agent-deploy.ts'
import { explained } from '../agent/await-boot.ts'
import { validateCapabilities } from '../agent/capabilities.ts'
import { type DeployInterface, type FlowContext, type NodeContext, Unsupported } from '../driver.ts'
import { prepareInstanceBoot } from '../instance.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { plannedOff, plannedStart } from '../planned-power.ts'
import { awaitOffByItself, powerTo, startMachine } from '../power.ts'
import type { Step } from '../step.ts'
import { configDriveSections } from './config-drive.ts'
import { checkInstallerFiles, examineSource, installerFiles, publishSource, releaseSource } from './installer.ts'
import { checkKickstart, checkTemplate, kickstart } from './kickstart.ts'

/** The installer stopped at an error, or was not heard of in time. */
export class InstallationFailed extends Fault {
  readonly status = 500
  readonly code = 'installation-failed'
}

async function validate(ctx: NodeContext): Promise<void> {
  const { node, interfaces } = ctx
  if (!interfaces.boot.prepareInstaller) {
    throw new Unsupported(
      `Cannot install node ${node.uuid} by kickstart: its boot interface ${node.boot_interface} starts no installer; ` +
        'expected ipxe',
    )
  }
  await interfaces.boot.validate(ctx)
  validateCapabilities(ctx)
  const source = await examineSource(ctx)
  const files = installerFiles(ctx, source)
  await checkInstallerFiles(ctx, files)
  await checkTemplate(ctx, files.template, source)
}

async function prepare(ctx: FlowContext): Promise<void> {
  const { flow } = ctx
  if (!ctx.node.disable_power_off) await powerTo(ctx, 'power off for the installer', 'power off')
  await flow.once('connect the installer', async () => {
    const now = await ctx.fresh()
    await now.interfaces.network.validate(now)
    await now.interfaces.network.detach(now, 'tenant')
    await now.interfaces.network.attach(now, 'deploy')
  })
  await flow.once('prepare the installer', async () => prepareInstaller(await ctx.fresh()))
}

/** Everything that the machine is going to ask for, with a new token for its calls. */
async function prepareInstaller(now: FlowContext): Promise<void> {
  const { node, config, interfaces, db, signal } = now
  const source = await publishSource(now)
  const { template, ...files } = installerFiles(now, source)
  const token = randomBytes(32).toString('base64url')
  await forgetAgent(db, node.uuid, { keepPregenerated: false })
  await pregenerateToken(db, node.uuid, token)
  const text = await kickstart(now, template, {
    liveimg_url: source.url,
    agent_token: token,
    heartbeat_url: `${config.ferrite.api_url}/v1/heartbeat/${node.uuid}`,
    config_drive: await configDriveSections(node.instance_info.configdrive, config, signal),
    ...(source.sha256 === null || source.isPath ? {} : { liveimg_checksum: source.sha256 }),
    ...(source.isPath ? { is_source_a_path: 'true' } : {}),
    ...(config.anaconda.insecure_heartbeat ? { insecure_heartbeat: 'true' } : {}),
  })
  await checkKickstart(now, text, "the node's template")
  const installer = { ...files, repository: source.isPath ? source.url : null, kickstart: text }
  await patiently(now, bmcPatienceMs, async () => interfaces.boot.prepareInstaller?.(now, installer))
}

/** The whole installation is one step: nothing on the machine could be asked for another. */
const deploy: Step = {
  interface: 'deploy',
  step: 'deploy',
  priority: 100,
  kinds: ['deploy'],
  plannedPower: ctx => [...plannedStart(ctx), ...plannedOff(ctx), ...plannedStart(ctx)],
  async run(ctx) {
    const { flow } = ctx
    const { disable_power_off: staysOn } = ctx.node
    const since = await flow.once('boot the installer: at', async () => timestamp(ctx.clock.now()))
    await startMachine(ctx, 'boot the installer')
    await installed(ctx, since)
    // Before the machine starts anew: it must not find the installer again.
    await flow.once('remove the installer', async () => removeInstaller(await ctx.fresh()))
    if (!staysOn) {
      await offByItself(ctx)
      await powerTo(ctx, 'power off after the installation', 'power off')
    }
    await flow.once('prepare the instance', async () => {
      const now = await ctx.fresh()
      await forgetAgent(now.db, flow.nodeUuid, { keepPregenerated: false })
      await prepareInstanceBoot(now)
      await now.interfaces.network.detach(now, 'deploy')
      await now.interfaces.network.attach(now, 'tenant')
    })
    await startMachine(ctx, 'boot the instance')
  },
}

async function removeInstaller(now: FlowContext): Promise<void> {
  await now.interfaces.boot.cleanUpRamdisk(now)
  await releaseSource(now)
}

/** Waits for the end of the installation. Its first call gives it as much time again. */
async function installed(ctx: FlowContext, since: string): Promise<void> {
  const timeoutS = ctx.config.conductor.deploy_callback_timeout
  const begun = await heardOf(ctx, 'the installer begins', ['start', 'end'], async () => {
    return `The installer did not call within ${timeoutS} s of power-on. ${await explained(ctx, since)}`
  })
  if (begun === 'end') return
  await heardOf(ctx, 'the installer ends', ['end'], async () => {
    return (
      `The installer began and did not end within ${timeoutS} s; its console tells where it stands. ` +
      'A longer installation needs a larger [conductor] deploy_callback_timeout'
    )
  })
}

/** Waits until the installer tells one of these. @throws InstallationFailed with its own words, or when time is over */
async function heardOf(
  ctx: FlowContext,
  name: string,
  wanted: readonly string[],
  explain: () => Promise<string>,
): Promise<string> {
  const { flow, config } = ctx
  const wait = {
    on: ['heartbeat'],
    everyMs: 15_000,
    timeoutMs: config.conductor.deploy_callback_timeout * 1000,
    release: true,
    onTimeout: async () => new InstallationFailed(await explain()),
  }
  return flow.until(name, wait, async () => {
    const agent = await findAgent(ctx.db, flow.nodeUuid)
    if (!agent?.status) return undefined
    if (wanted.includes(agent.status)) return agent.status
    if (agent.status === 'start') return undefined
    throw new InstallationFailed(`The installer failed: ${agent.status_message ?? 'it gave no reason'}`)
  })
}

/** The kickstart ends before the installer does: file systems are still to be unmounted. */
async function offByItself(ctx: FlowContext): Promise<void> {
  const { flow, clock, config } = ctx
  const { post_deploy_get_power_state_retries: retries, post_deploy_get_power_state_retry_interval: intervalS } =
    config.agent
  const endMs = await flow.once('off by itself until', async () => clock.now() + (1 + retries) * intervalS * 1000)
  await awaitOffByItself(ctx, 'off by itself', endMs)
}

export default {
  ...agentLife,
  deploysByAgent: false,
  steps: [deploy],
  validate,
  plannedPower: (ctx, part) => (part === 'deploy' ? plannedOff(ctx) : agentLife.plannedPower(ctx, part)),
  prepare,
} satisfies DeployInterface
