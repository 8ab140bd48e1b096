/** All that a diagnosis of a boot wants to know besides what was seen of it: settings, the BMC, what is published. */
import { join } from 'node:path'
import { damagedFiles } from '#boot/diagnosis/boot-files.ts'
import type { BootSetting } from '#boot/diagnosis.ts'
import { bmcView } from './bmc-view.ts'
import type { NodeContext } from './driver.ts'

/** Boot interfaces whose ramdisk the BMC, or the firmware, fetches as one image. */
const mediaBoots: readonly string[] = ['redfish-virtual-media']

export async function bootSetting(ctx: NodeContext): Promise<BootSetting> {
  const { ferrite, deploy } = ctx.config
  const [bmc, damaged] = await Promise.all([bmcView(ctx), damagedFiles(join(deploy.http_root, ctx.node.uuid))])
  return {
    managed: ferrite.manage_dnsmasq,
    dhcpInterface: ferrite.dhcp_interface,
    bootsFrom: mediaBoots.includes(ctx.node.boot_interface ?? '') ? 'media' : 'network',
    apiUrl: ferrite.api_url,
    bmc,
    damaged,
  }
}
