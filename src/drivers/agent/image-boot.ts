/**
 * What makes a machine start from the image that an agent wrote: the boot mode that the disk is laid out for, and the
 * boot loader or boot entry that the agent puts in place afterwards. What that takes is the agent's knowledge.
 *
 * Source: deploy interfaces, "direct", boot loader (ironic/drivers/modules/agent.py, agent_base.py restated).
 */
import { deployBootMode } from '#boot/boot-mode.ts'
import { locateImage } from '#images/locate.ts'
import { imageReference } from '#images/source.ts'
import { isSoftwareRaid } from '#protocol/software-raid.ts'
import type { FlowContext } from '../driver.ts'
import { AgentRefused, agentClient } from './client.ts'
import { AgentCommandFailed, askAgent, runAgentCommand } from './steps.ts'

/** Notes on the node how its disk will start; the agent reads it there. Before the image is written. */
export async function noteBootMode(ctx: FlowContext): Promise<void> {
  await ctx.flow.once('boot mode of the disk', async () => {
    const now = await ctx.fresh()
    const deploy_boot_mode = await deployBootMode(now)
    await ctx.flow.write({ driver_internal_info: { ...now.node.driver_internal_info, deploy_boot_mode } })
  })
}

/** After the image was written: notes its root file system, and has the agent make the disk bootable where that is due. */
export async function makeBootable(ctx: FlowContext): Promise<void> {
  const written = await ctx.flow.once('partition uuids', async () => {
    const answer = await askAgent(ctx, asked =>
      agentClient(asked).execute('standby.get_partition_uuids', {}, { wait: true }),
    )
    const now = await ctx.fresh()
    const found = readUuids(answer.command_result)
    const root_uuid_or_disk_id = found.root
    await ctx.flow.write({ driver_internal_info: { ...now.node.driver_internal_info, root_uuid_or_disk_id } })
    return found
  })
  const { node } = await ctx.fresh()
  const mode = node.driver_internal_info.deploy_boot_mode === 'bios' ? 'bios' : 'uefi'
  const onArray = [node.raid_config, node.target_raid_config].some(isSoftwareRaid)
  // Firmware without UEFI starts whatever the first sector of a whole-disk image holds, unless that is in an array.
  if (!written.isPartitionImage && mode === 'bios' && !onArray) return
  if (written.isPartitionImage && written.root === null) {
    throw new AgentCommandFailed(
      'Cannot make the disk bootable: the agent wrote a partition image and told no root UUID; expected one',
    )
  }
  await install(ctx, {
    root_uuid: (onArray ? await rootUuidOf(ctx) : null) ?? written.root,
    efi_system_part_uuid: written.isPartitionImage && mode === 'uefi' ? written.efi : null,
    prep_boot_part_uuid: written.prep,
    target_boot_mode: mode,
  })
}

/** The root file system of an image that is a whole disk, which its owner knows. Recorded. */
async function rootUuidOf(ctx: FlowContext): Promise<string | null> {
  return await ctx.flow.once('root file system of the image', async () => {
    const now = await ctx.fresh()
    const { image_source, image_rootfs_uuid: given } = now.node.instance_info
    if (isText(given)) return given
    const reference = imageReference(image_source, 'instance_info image_source')
    if (reference.kind !== 'glance') return null
    const { rootfs_uuid: told } = (await locateImage(now, reference, 'local')).properties
    return isText(told) ? told : null
  })
}

async function install(ctx: FlowContext, params: Record<string, unknown>): Promise<void> {
  const asked = { command: 'image.install_bootloader', label: 'the installation of the boot loader' }
  try {
    await runAgentCommand(ctx, 'install boot loader', asked, async () => params)
  } catch (error) {
    if (!(error instanceof AgentRefused)) throw error
    // Agents of old know no such parameter.
    const { target_boot_mode: _, ...older } = params
    await runAgentCommand(ctx, 'install boot loader, older agent', asked, async () => older)
  }
}

/** What the agent says of the disk it wrote; recorded. */
interface WrittenDisk {
  /** UUID of the root file system; of a whole-disk image its disk identifier. */
  root: string | null
  efi: string | null
  prep: string | null
  isPartitionImage: boolean
}

/** Only partition images have more to tell than a root. */
function readUuids(result: unknown): WrittenDisk {
  const uuids = typeof result === 'object' && result !== null ? (result as Record<string, unknown>) : {} // values are checked
  const text = (name: string) => {
    const value = uuids[name]
    return isText(value) ? value : null
  }
  return {
    root: text('root uuid'),
    efi: text('efi system partition uuid'),
    prep: text('PReP Boot partition uuid'),
    isPartitionImage: 'efi system partition uuid' in uuids || 'partitions' in uuids,
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
