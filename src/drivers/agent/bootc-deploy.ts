/**
 * The `bootc` deploy interface: the agent fetches a bootable container from its registry, and the bootc inside of it
 * installs it to the whole disk. Everything else is as for other deployments by an agent; the conductor fetches nothing.
 *
 * Source: deploy interfaces, "bootc" (ironic/drivers/modules/agent.py, BootcAgentDeploy, restated).
 */
import { isContainer, pullSecret } from '#images/locate.ts'
import { type OciReference, ociReference } from '#images/oci.ts'
import { readAuthenticationConfig } from '#images/oci-registry.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { DeployInterface, NodeContext } from '../driver.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import type { Step } from '../step.ts'
import { agentLife } from './agent-deploy.ts'
import { validateCapabilities } from './capabilities.ts'
import { deployStep, handOverSteps, prepareInstanceBootStep } from './deploy-steps.ts'
import { validateRootDevice } from './root-device.ts'
import { runAgentStep } from './steps.ts'

async function validate(ctx: NodeContext): Promise<void> {
  await ctx.interfaces.boot.validate(ctx)
  validateCapabilities(ctx)
  validateRootDevice(ctx)
  containerOf(ctx)
  const { bootc_authorized_keys: keys } = ctx.node.instance_info
  if (keys !== undefined && keys !== null && typeof keys !== 'string') {
    throw new InvalidInput(
      `Cannot deploy node ${ctx.node.uuid}: instance_info/bootc_authorized_keys is a ${typeof keys}; ` +
        'expected a text, one public key per line',
    )
  }
}

const installContainer: Step = {
  interface: 'deploy',
  step: 'execute_bootc_install',
  priority: 80,
  kinds: ['deploy'],
  async run(ctx) {
    const { versionsChanged } = await runAgentStep(ctx, 'deploy', 'install container', installContainer, async now => {
      const secret = await authOf(now)
      return {
        image_source: now.node.instance_info.image_source,
        configdrive: now.node.instance_info.configdrive ?? null,
        oci_pull_secret: secret === null ? null : Buffer.from(secret).toString('base64'),
      }
    })
    return versionsChanged ? 'versions changed' : 'done'
  },
}

/** For BMCs that must be told even after the boot loader has put itself into the firmware's list. */
const setBootToDisk: Step = {
  interface: 'deploy',
  step: 'set_boot_to_disk',
  priority: 60,
  kinds: ['deploy'],
  async run(ctx) {
    await ctx.flow.once('set boot to disk', async () => {
      const now = await ctx.fresh()
      const { management } = now.interfaces
      await patiently(now, bmcPatienceMs, () => management.setBootDevice(now, 'disk', { persistent: true }))
    })
  },
}

export default {
  ...agentLife,
  steps: [deployStep, installContainer, prepareInstanceBootStep, setBootToDisk, ...handOverSteps],
  validate,
  supportsDeploy,
} satisfies DeployInterface

/** @throws InvalidInput for what names no container of a registry */
function containerOf({ node }: Pick<NodeContext, 'node'>): OciReference {
  const source = node.instance_info.image_source
  if (typeof source === 'string' && /^oci:/i.test(source)) return ociReference(source)
  throw new InvalidInput(
    `Cannot deploy node ${node.uuid} with bootc: instance_info/image_source is ${JSON.stringify(source ?? null)}; ` +
      'expected oci://HOST/PATH of a bootable container, with a tag or a digest if need be',
  )
}

/** What the registry wants to hear, as container tools keep it under `auth`; null for one that asks nothing. */
async function authOf(ctx: NodeContext): Promise<string | null> {
  const { node, config } = ctx
  const own = pullSecret(node, config)
  // A name and a password, as people write them, or what tools keep, as it stands.
  if (own) return own.user === '' ? own.password : Buffer.from(`${own.user}:${own.password}`).toString('base64')
  const { authentication_config: path } = config.oci
  return path === null ? null : ((await readAuthenticationConfig(path))[containerOf(ctx).host] ?? null)
}

/** Asked when nobody has said how the node is to be deployed. */
async function supportsDeploy(ctx: NodeContext): Promise<boolean> {
  const { image_source: source } = ctx.node.instance_info
  if (typeof source !== 'string' || !/^oci:/i.test(source)) return false
  try {
    return await isContainer(ctx, ociReference(source))
  } catch (error) {
    // The interface that is chosen instead will meet the same, and say it to somebody who listens.
    ctx.log.warn({}, `whether ${source} is a bootable container is not known: ${messageOf(error)}`)
    return false
  }
}
