/**
 * The boot interface `redfish-https`: the same ISO as by virtual media, which the machine's UEFI firmware fetches itself
 * from a URL that the BMC tells it. Nothing is shown as a drive, so there is no floppy and no config drive.
 *
 * Source: boot facts, "Virtual media and HTTPS boot" (ironic/drivers/modules/redfish/boot.py, RedfishHttpsBoot, restated).
 */
import { checkSecureBoot, putSecureBoot, requestedBootMode, syncBootMode } from '#boot/boot-mode.ts'
import {
  checkRamdiskMedia,
  givenIso,
  hasMedia,
  publishInstanceIso,
  publishRamdiskMedia,
  removeMedia,
} from '#boot/node-media.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { BootInterface } from '../boot-interfaces.ts'
import type { NodeContext } from '../driver.ts'
import { bootOnceFromUrl } from './boot-override.ts'
import { validateDriverInfo } from './driver-info.ts'

const httpsBoot: BootInterface = {
  capabilities: ['ramdisk_boot'],

  async validate(ctx) {
    await validateDriverInfo(ctx)
    if (requestedBootMode(ctx.node) === 'bios') {
      throw new InvalidInput(
        `Cannot boot node ${ctx.node.uuid} by redfish-https in boot mode bios: only UEFI firmware fetches an ISO`,
      )
    }
    checkSecureBoot(ctx)
    await checkRamdiskMedia(ctx)
  },

  carriesToken: (ctx, mode) => givenIso(ctx, mode) === null,

  async prepareRamdisk(ctx, options) {
    const { iso } = await publishRamdiskMedia(ctx, options)
    await syncBootMode(ctx)
    await bootOnceFromUrl(ctx, iso)
  },

  async cleanUpRamdisk({ config, node }) {
    await removeMedia(config, node.uuid)
  },

  async prepareInstance(ctx) {
    const boot = ctx.interfaces.deploy.instanceBoot?.(ctx)
    const isRunning = ctx.node.provision_state === 'active' || ctx.node.provision_state === 'adopting'
    if (boot) {
      const iso = await publishInstanceIso(ctx, boot)
      await syncBootMode(ctx)
      if (isRunning) return
      await putSecureBoot(ctx, true)
      // For one boot: no firmware keeps a URL.
      await bootOnceFromUrl(ctx, iso)
      return
    }
    await removeMedia(ctx.config, ctx.node.uuid)
    await syncBootMode(ctx)
    if (isRunning) return
    await putSecureBoot(ctx, true)
    await ctx.interfaces.management.setBootDevice(ctx, 'disk', { persistent: true })
  },

  servesInstance: ({ config, node }: NodeContext) => hasMedia(config, node.uuid),
  stopServing: ({ config, node }: NodeContext) => removeMedia(config, node.uuid),
  async cleanUpInstance(ctx) {
    await removeMedia(ctx.config, ctx.node.uuid)
    await putSecureBoot(ctx, false)
  },
}

export default httpsBoot
