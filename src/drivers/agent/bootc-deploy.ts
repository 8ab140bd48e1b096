/**
 * The `bootc` deploy interface: the agent fetches a bootable container from its registry, and the bootc inside of it
 * installs it to the whole disk. Everything else is as for other deployments by an agent; the conductor fetches nothing.
 *
 * Source: deploy interfaces, "bootc" (ironic/drivers/modules/agent.py, BootcAgentDeploy, restated).
 */
import { readFile } from 'node:fs/promises'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { DeployInterface, NodeContext, Step } from '../driver.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { agentLife } from './agent-deploy.ts'
import { validateCapabilities } from './capabilities.ts'
import { deployStep, handOverSteps, prepareInstanceBootStep } from './deploy-steps.ts'
import { validateRootDevice } from './root-device.ts'
import { runAgentStep } from './steps.ts'

async function validate(ctx: NodeContext): Promise<void> {
  await ctx.interfaces.boot.validate(ctx)
  validateCapabilities(ctx)
  validateRootDevice(ctx)
  registryOf(ctx)
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
      const secret = await pullSecret(now)
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
} satisfies DeployInterface

const reference = /^oci:\/\/([a-z0-9][\w.-]*(?::\d+)?)\/[a-z0-9][\w./-]*(?::\w[\w.-]*)?(?:@sha256:[0-9a-f]{64})?$/i

/** Host and port of the container's registry. @throws InvalidInput */
function registryOf({ node }: Pick<NodeContext, 'node'>): string {
  const source = node.instance_info.image_source
  const [, host] = reference.exec(String(source ?? '')) ?? []
  if (host !== undefined) return host
  throw new InvalidInput(
    `Cannot deploy node ${node.uuid} with bootc: instance_info/image_source is ${JSON.stringify(source ?? null)}; ` +
      'expected oci://HOST/PATH of a bootable container, with a tag or a digest if need be',
  )
}

const AuthenticationFile = Compile(
  Type.Object({ auths: Type.Record(Type.String(), Type.Object({ auth: Type.Optional(Type.String()) })) }),
)

/**
 * What the registry wants to hear, as container tools keep it under `auth`: the node's own, else that of the
 * configuration; null for a registry that asks nothing.
 */
async function pullSecret(ctx: NodeContext): Promise<string | null> {
  const { node, config } = ctx
  const own = [node.instance_info.image_pull_secret, node.driver_info.image_pull_secret].find(
    value => typeof value === 'string' && value !== '',
  )
  // A name and a password, as people write them; there is no colon in what tools keep.
  if (own !== undefined) return String(own).includes(':') ? Buffer.from(String(own)).toString('base64') : String(own)
  const { authentication_config: path } = config.oci
  if (path === null) return null
  const host = registryOf(ctx)
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (!AuthenticationFile.Check(content)) throw new Error('it lacks auths with an auth for each registry')
    return content.auths[host]?.auth ?? null
  } catch (error) {
    throw new InvalidInput(`Cannot read [oci] authentication_config ${path}: ${messageOf(error)}`)
  }
}
