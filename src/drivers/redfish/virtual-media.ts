/**
 * The boot interface `redfish-virtual-media`: an ISO with the ramdisk, made for the node, is shown to the machine as a CD
 * by its BMC. Neither DHCP nor TFTP is needed. An instance boots from its disk, or, where its deploy interface says so,
 * from an ISO that stays in place, with its config drive on a second medium.
 *
 * Source: boot facts, "Virtual media and HTTPS boot" (ironic/drivers/modules/redfish/boot.py restated).
 */

import { checkSecureBoot, putSecureBoot, requestedBootMode, syncBootMode } from '#boot/boot-mode.ts'
import { checkMediaPlace, isFetchedByBmc } from '#boot/media-places.ts'
import {
  checkRamdiskMedia,
  givenIso,
  hasMedia,
  publishConfigDrive,
  publishInstanceIso,
  publishRamdiskMedia,
  removeMedia,
  wantsFloppy,
} from '#boot/node-media.ts'
import { Fault } from '#lib/fault.ts'
import type { BootInterface, InstanceBoot } from '../boot-interfaces.ts'
import { type NodeContext, Unsupported } from '../driver.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { validateDriverInfo } from './driver-info.ts'
import { ejectMedia, insertMedia } from './media-insert.ts'
import { isPushing, stopPushes } from './media-push.ts'
import { imageOf, methodOf, transportOf } from './media-settings.ts'
import { holds, readSlots } from './media-slots.ts'
import { quirksFor } from './quirks.ts'
import { readSystem } from './system.ts'

const virtualMedia: BootInterface = {
  capabilities: ['ramdisk_boot', 'ramdisk_boot_configdrive'],

  async validate(ctx) {
    await validateDriverInfo(ctx)
    methodOf(ctx)
    requestedBootMode(ctx.node)
    checkSecureBoot(ctx)
    await checkMediaPlace(ctx, transportOf(ctx))
    if (needsAgentRamdisk(ctx)) await checkRamdiskMedia(ctx, transportOf(ctx))
  },

  carriesToken: (ctx, mode) => givenIso(ctx, mode) === null || wantsFloppy(ctx),

  async prepareRamdisk(ctx, options) {
    await checkMediaBoot(ctx)
    const { iso, floppy } = await publishRamdiskMedia(ctx, { ...options, transport: transportOf(ctx) })
    if (floppy !== null) await insertMedia(ctx, await removableOf(ctx), imageOf(ctx, floppy))
    await insertMedia(ctx, 'cdrom', imageOf(ctx, iso))
    await syncBootMode(ctx)
    await ctx.interfaces.management.setBootDevice(ctx, 'cdrom', { persistent: false })
  },

  cleanUpRamdisk: cleanUp,

  async prepareInstance(ctx) {
    const boot = ctx.interfaces.deploy.instanceBoot?.(ctx)
    const isRunning = ctx.node.provision_state === 'active' || ctx.node.provision_state === 'adopting'
    if (!boot) {
      // A running instance has no medium of ours, and the boot order that its deployment, or its owner, gave it.
      if (!isRunning) await cleanUp(ctx)
      await syncBootMode(ctx)
      if (isRunning) return
      await putSecureBoot(ctx, true)
      await ctx.interfaces.management.setBootDevice(ctx, 'disk', { persistent: true })
      return
    }
    await checkMediaBoot(ctx)
    await showInstance(ctx, boot)
    await syncBootMode(ctx)
    if (isRunning) return
    await putSecureBoot(ctx, true)
    await ctx.interfaces.management.setBootDevice(ctx, 'cdrom', { persistent: true })
  },

  passesOn: (ctx, iso) => !/^http/i.test(iso) && isFetchedByBmc(iso, transportOf(ctx)),
  // A connection by which an image is sent ends with the process.
  servesInstance: async ctx =>
    (await hasMedia(ctx.config, ctx.node.uuid)) && (transportOf(ctx) !== 'PUSH' || isPushing(ctx)),
  async stopServing(ctx) {
    stopPushes(ctx)
    await removeMedia(ctx.config, ctx.node.uuid)
  },
  async cleanUpInstance(ctx) {
    await cleanUp(ctx)
    await putSecureBoot(ctx, false)
  },
}

export default virtualMedia

/** Images that the BMC does not show go again, lest the instance pass for served and nobody try once more. */
async function showInstance(ctx: NodeContext, boot: InstanceBoot): Promise<void> {
  try {
    const iso = await publishInstanceIso(ctx, boot, transportOf(ctx))
    await insertMedia(ctx, 'cdrom', imageOf(ctx, iso))
    const configDrive = await publishConfigDrive(ctx, transportOf(ctx))
    if (configDrive !== null) await insertMedia(ctx, 'disk', imageOf(ctx, configDrive))
  } catch (error) {
    stopPushes(ctx)
    // What was cut off is done again by whoever has the node now, and on a share the images may be theirs already.
    if (!ctx.signal.aborted) await removeMedia(ctx.config, ctx.node.uuid)
    throw error
  }
}

/**
 * Takes images out and away. A BMC that cannot be asked keeps what it has: the machine boots from it no more, since the
 * boot device was set once, and the next image takes its place.
 */
async function cleanUp(ctx: NodeContext): Promise<void> {
  try {
    await patiently(ctx, bmcPatienceMs, () => ejectMedia(ctx, null))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    ctx.log.warn({}, `virtual media of node ${ctx.node.uuid} could not be ejected: ${error.message}`)
  } finally {
    stopPushes(ctx)
    await removeMedia(ctx.config, ctx.node.uuid)
  }
}

/** What is deployed without an agent needs one for nothing but cleaning. */
function needsAgentRamdisk({ interfaces, node, config }: NodeContext): boolean {
  return interfaces.deploy.deploysByAgent !== false || (node.automated_clean ?? config.conductor.automated_clean)
}

async function checkMediaBoot(ctx: NodeContext): Promise<void> {
  const located = await readSystem(ctx)
  const { noMediaBoot } = await quirksFor(ctx, located)
  if (noMediaBoot === null) return
  throw new Unsupported(`Cannot boot node ${ctx.node.uuid} from virtual media: ${noMediaBoot}`)
}

/** A floppy drive, or a USB stick where the BMC has no such thing. */
async function removableOf(ctx: NodeContext): Promise<'floppy' | 'disk'> {
  const slots = await readSlots(ctx)
  return !slots.some(slot => holds(slot, 'floppy')) && slots.some(slot => holds(slot, 'disk')) ? 'disk' : 'floppy'
}
