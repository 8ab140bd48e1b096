/**
 * The `ansible` deploy interface: playbooks put the image on the machine, clean it and switch it off, over SSH into the
 * ramdisk; of the agent there nothing is asked but its heartbeats. Not enabled unless [DEFAULT]
 * enabled_deploy_interfaces names it.
 *
 * Source: deploy interfaces, "ansible" (ironic/drivers/modules/ansible/deploy.py restated).
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { validateImage } from '#images/instance.ts'
import { releaseInstanceImage } from '#images/published.ts'
import { InvalidInput } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { isTrue } from '#lib/truth.ts'
import { agentLife, prepareAgentBoot } from '../agent/agent-deploy.ts'
import { validateCapabilities } from '../agent/capabilities.ts'
import { bootInstanceStep, deployStep, switchToTenantNetworkStep } from '../agent/deploy-steps.ts'
import { makeImageReady } from '../agent/direct.ts'
import type { DeployInterface, FlowContext, NodeContext } from '../driver.ts'
import { prepareInstanceBoot } from '../instance.ts'
import { noPower, plannedOff } from '../planned-power.ts'
import { awaitOffByItself, powerTo } from '../power.ts'
import type { Step, StepKind, StepsContext } from '../step.ts'
import { argumentsOf, type CleanStep, readCleanSteps } from './clean-steps.ts'
import { ansibleSettings, checkAnsible } from './driver-info.ts'
import { PlaybookFailed } from './playbook.ts'
import { runNodePlaybook } from './run.ts'
import { checkWholeDisk, imageVariables, rootDeviceHints } from './variables.ts'

async function validate(ctx: NodeContext): Promise<void> {
  await ctx.interfaces.boot.validate(ctx)
  validateCapabilities(ctx)
  await checkAnsible(ctx)
  rootDeviceHints(ctx.node)
  if (ansibleSettings(ctx).isOwn) checkWholeDisk(ctx)
  await validateImage(ctx)
}

const writeImage: Step = {
  interface: 'deploy',
  step: 'write_image',
  priority: 80,
  kinds: ['deploy'],
  plannedPower: noPower,
  async run(ctx) {
    await ctx.flow.once('deploy by playbook', async () => {
      const now = await ctx.fresh()
      const variables = async (folder: string) => {
        const drive = join(folder, 'configdrive')
        const { configdrive } = now.node.instance_info
        if (typeof configdrive === 'string') await writeFile(drive, configdrive, { mode: 0o600 })
        return imageVariables(now, drive)
      }
      await runNodePlaybook(now, { step: 'deploy.write_image', playbook: 'deploy', variables })
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
  plannedPower: plannedOff,
  async run(ctx) {
    if (ctx.node.disable_power_off) return
    if (!isTrue(ctx.node.driver_info.deploy_forces_oob_reboot)) await shutDown(ctx)
    // Off already, or off by force now: either way the BMC has the last word.
    await powerTo(ctx, 'power off after the write', 'power off')
  },
}

/** The playbook switches the machine off; one that stays on is left to the BMC. */
async function shutDown(ctx: FlowContext): Promise<void> {
  const { flow, config, clock } = ctx
  await flow.once('shut down by playbook', async () => {
    const now = await ctx.fresh()
    // A run before this one may have got as far as this.
    if ((await now.interfaces.power.get(now)) === 'power off') return
    try {
      await runNodePlaybook(now, { step: 'deploy.tear_down_agent', playbook: 'shutdown' })
    } catch (error) {
      // The system is written: a machine that does not go off by itself is no reason to give it up.
      if (!(error instanceof PlaybookFailed)) throw error
      now.log.warn({}, `the BMC has to switch the machine off: ${error.message}`)
    }
  })
  const { post_deploy_get_power_state_retries: retries, post_deploy_get_power_state_retry_interval: intervalS } =
    config.ansible
  const endMs = await flow.once('shut down until', async () => clock.now() + (1 + retries) * intervalS * 1000)
  await awaitOffByItself(ctx, 'shut down', endMs)
}

/** The clean steps that the node's file declares. */
function stepsOf(ctx: StepsContext, kind: StepKind): Step[] {
  if (kind !== 'clean') return []
  return readCleanSteps(ansibleSettings(ctx).cleanStepsFile).map(stepOf)
}

function stepOf(declared: CleanStep): Step {
  const { name, priority = 0, abortable = false, args = {} } = declared
  const argsinfo = Object.entries(args).map(([key, { description = '', required = false, value }]) => {
    return [key, { description, required: required && value === undefined }] as const
  })
  return {
    interface: 'deploy',
    step: name,
    priority,
    abortable,
    kinds: ['clean'],
    argsinfo: Object.fromEntries(argsinfo),
    async run(ctx, given) {
      const { tags, ...step } = argumentsOf(declared, given)
      await ctx.flow.once(`clean by playbook: ${ctx.stepId ?? name}`, async () => {
        const variables = async () => ({ step })
        const chosen = Array.isArray(tags) ? tags.map(String) : tags === undefined ? [] : [String(tags)]
        const run = { step: `deploy.${name}`, playbook: 'clean', variables, tags: chosen } as const
        await runNodePlaybook(await ctx.fresh(), run)
      })
    },
  }
}

/** A ramdisk of ours lets in whoever has this key. @throws InvalidInput for a key that cannot be read */
async function ramdiskParameters(ctx: NodeContext): Promise<Record<string, string>> {
  const { keyFile } = ansibleSettings(ctx)
  if (keyFile === null) return {}
  try {
    const { stdout } = await run('ssh-keygen', ['-y', '-P', '', '-f', keyFile])
    const [type = '', key = ''] = stdout.trim().split(/\s+/)
    return { 'ferrite-ssh-key': `${type},${key}` }
  } catch (error) {
    throw new InvalidInput(
      `Cannot use the private key ${keyFile} (ansible_key_file): ssh-keygen does not read it; ` +
        'expected a private key without a passphrase, readable by this service alone',
      { cause: error },
    )
  }
}

export default {
  ...agentLife,
  // Its steps are all known before a machine boots.
  usesAgent: false,
  steps: [deployStep, writeImage, tearDownAgent, switchToTenantNetworkStep, bootInstanceStep],
  stepsOf,
  validate,
  async prepare(ctx) {
    await makeImageReady(ctx, { plain: true })
    await prepareAgentBoot(ctx)
  },
  ramdiskParameters,
  // Whoever says how a playbook is to run wants one.
  supportsDeploy: async ({ node }) => Object.keys(node.driver_info).some(name => name.startsWith('ansible_')),
} satisfies DeployInterface
