/**
 * The `ramdisk` deploy interface: the instance is a kernel and a ramdisk, an ISO, or volumes of a storage that the machine
 * boots anew each time; nothing is written to a disk and no agent is asked. What it boots from stays in place as long as the instance
 * does. Cleaning and servicing need the agent's ramdisk all the same.
 *
 * Source: deploy interfaces, "ramdisk" (ironic/drivers/modules/ramdisk.py, deploy_utils.py restated).
 */
import { givenParameters } from '#boot/kernel-parameters.ts'
import { checkBootFile } from '#boot/ramdisk-files.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import type { InstanceBoot } from '../boot-interfaces.ts'
import { type DeployInterface, type NodeContext, Unsupported } from '../driver.ts'
import { prepareInstanceBoot } from '../instance.ts'
import { plannedOff, plannedStart } from '../planned-power.ts'
import { powerTo, startMachine } from '../power.ts'
import type { Step } from '../step.ts'
import { agentLife } from './agent-deploy.ts'
import { validateCapabilities } from './capabilities.ts'
import { askImageForFiles, locations, notedFiles, noteFilesOfImage } from './files-of-image.ts'

async function validate(ctx: NodeContext): Promise<void> {
  const { node, interfaces } = ctx
  if (!interfaces.boot.capabilities?.includes('ramdisk_boot')) {
    throw new Unsupported(
      `Cannot deploy node ${node.uuid} as a ramdisk: its boot interface ${node.boot_interface} starts instances from ` +
        'their disk only; expected one with the capability ramdisk_boot, such as ipxe',
    )
  }
  await interfaces.boot.validate(ctx)
  validateCapabilities(ctx)
  await interfaces.storage.validate(ctx)
  const volumes = (await interfaces.storage.bootVolumes?.(ctx)) ?? []
  if (volumes.length > 0) return
  const named = (await askImageForFiles(ctx))?.files ?? null
  const boot = bootOf(ctx, { ...node.instance_info, ...(named && locations(named)) })
  const files = boot.kind === 'iso' ? { boot_iso: boot.iso } : { kernel: boot.kernel, ramdisk: boot.ramdisk }
  const given = Object.entries(files).map(([field, location]) => ({ location, from: `instance_info/${field}` }))
  for (const file of named ? Object.values(named) : given) {
    if (boot.kind === 'iso' && interfaces.boot.passesOn?.(ctx, file.location)) continue
    await checkBootFile(ctx, file)
  }
}

function instanceBoot(ctx: NodeContext): InstanceBoot {
  return bootOf(ctx, { ...ctx.node.instance_info, ...notedFiles(ctx.node) })
}

/** @throws InvalidInput naming what is missing, or too much */
function bootOf({ node, config }: NodeContext, info: Readonly<Record<string, unknown>>): InstanceBoot {
  const text = (field: string) => {
    const value = info[field]
    return typeof value === 'string' && value !== '' ? value : null
  }
  const cannot = `Cannot boot the instance of node ${node.uuid}`
  const [iso, kernel, ramdisk] = [text('boot_iso'), text('kernel'), text('ramdisk')]
  if (node.instance_info.boot_iso && text('image_source') !== null) {
    throw new InvalidInput(`${cannot}: instance_info has both image_source and boot_iso; expected one of them`)
  }
  if (iso !== null) return { kind: 'iso', iso }
  if (kernel !== null && ramdisk !== null) {
    const unchecked = config.conductor.disable_kernel_parameter_parsing
    const name = 'instance_info/ramdisk_kernel_arguments'
    return {
      kind: 'ramdisk',
      kernel,
      ramdisk,
      parameters: givenParameters(info.ramdisk_kernel_arguments, name, { unchecked }),
    }
  }
  const missing =
    kernel === null && ramdisk === null
      ? 'no kernel, ramdisk or boot_iso'
      : `no ${kernel === null ? 'kernel' : 'ramdisk'}`
  throw new InvalidInput(
    `${cannot}: instance_info has ${missing}; expected kernel and ramdisk, or boot_iso, as http, https or file URLs or ` +
      'images of Glance, or image_source of Glance with the properties kernel_id and ramdisk_id, or boot_iso_id',
  )
}

/** All there is to do: the machine starts its instance, and that is that. */
const deploy: Step = {
  interface: 'deploy',
  step: 'deploy',
  priority: 100,
  kinds: ['deploy'],
  plannedPower: ctx => [...plannedOff(ctx), ...plannedStart(ctx)],
  async run(ctx) {
    const { flow } = ctx
    if (!ctx.node.disable_power_off) await powerTo(ctx, 'power off for the instance', 'power off')
    await flow.once('prepare the instance', async () => {
      const now = await ctx.fresh()
      warnOfConfigDrive(now)
      // What it boots from must be within its reach from the first moment on.
      await now.interfaces.network.attach(now, 'tenant')
      // What an earlier instance booted from, if it was another kind of thing.
      await now.interfaces.boot.cleanUpInstance(now)
      await prepareInstanceBoot(now)
    })
    await startMachine(ctx, 'boot the instance')
  },
}

/** As Ironic has it: no error, for the same request may go to machines with a medium for it. */
function warnOfConfigDrive({ node, interfaces, log }: NodeContext): void {
  const { configdrive } = node.instance_info
  if (!configdrive || interfaces.boot.capabilities?.includes('ramdisk_boot_configdrive')) return
  log.warn({}, `the config drive is ignored: boot interface ${node.boot_interface} has no medium for it`)
}

export default {
  ...agentLife,
  deploysByAgent: false,
  steps: [deploy],
  validate,
  plannedPower: (ctx, part) => (part === 'deploy' ? [] : agentLife.plannedPower(ctx, part)),
  async prepare(ctx) {
    await ctx.flow.once('check the network', async () => {
      const now = await ctx.fresh()
      await now.interfaces.network.validate(now)
    })
    await ctx.flow.once('files of the image', async () => noteFilesOfImage(await ctx.fresh()))
  },
  async adopt(ctx) {
    await ctx.flow.once('files of the image', async () => {
      const now = await ctx.fresh()
      // A running instance boots what it was deployed with, also while Glance is away.
      if (notedFiles(now.node) === null) await noteFilesOfImage(now)
    })
    await agentLife.adopt(ctx)
  },
  instanceBoot,
  supportsDeploy,
} satisfies DeployInterface

/** A kernel and a ramdisk alone may as well belong to a partition image: somebody must say that they are to be booted. */
async function supportsDeploy(ctx: NodeContext): Promise<boolean> {
  const { instance_info: info } = ctx.node
  if (info.boot_iso || (info.kernel && info.ramdisk)) return isTrue(info.ironic_ramdisk_deploy) === true
  try {
    const asked = await askImageForFiles(ctx)
    return asked?.isForRamdisk === true && asked.files !== null
  } catch (error) {
    // The interface that is chosen instead will meet the same, and say it to somebody who listens.
    ctx.log.warn({}, `whether ${info.image_source} is to be booted as a ramdisk is not known: ${messageOf(error)}`)
    return false
  }
}
