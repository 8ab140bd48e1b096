/** All that a diagnosis of a boot wants to know besides what was seen of it: settings, the BMC, what is published. */
import { join } from 'node:path'
import { bootFile, type WayName, waysOfTheirOwn } from '#boot/boot-files.ts'
import { deployBootMode } from '#boot/boot-mode.ts'
import { damagedFiles } from '#boot/diagnosis/boot-files.ts'
import type { Served } from '#boot/diagnosis/firmware.ts'
import type { BootSetting } from '#boot/diagnosis.ts'
import { bmcView, told } from './bmc-view.ts'
import type { NodeContext } from './driver.ts'

/** Where the ramdisk of a boot interface comes from; all others boot from the network. */
const sources: Readonly<Record<string, BootSetting['bootsFrom']>> = {
  'redfish-virtual-media': 'media',
  'redfish-https': 'url',
}

export async function bootSetting(ctx: NodeContext): Promise<BootSetting> {
  const { ferrite, deploy } = ctx.config
  const [bmc, damaged, served] = await Promise.all([
    bmcView(ctx),
    damagedFiles(join(deploy.http_root, ctx.node.uuid), ferrite.ramdisk_dir),
    servedTo(ctx),
  ])
  return {
    managed: ferrite.manage_dnsmasq,
    dhcpInterface: ferrite.dhcp_interface,
    bootsFrom: sources[ctx.node.boot_interface ?? ''] ?? 'network',
    apiUrl: ferrite.api_url,
    bmc,
    damaged,
    ...(served ? { served } : {}),
  }
}

const ways: readonly WayName[] = ['ipxe', ...waysOfTheirOwn]

async function servedTo(ctx: NodeContext): Promise<Served | undefined> {
  const way = ways.find(name => name === ctx.node.boot_interface)
  if (way === undefined) return undefined
  const mode = way === 'pxe' ? ((await told(() => deployBootMode(ctx))) ?? null) : null
  return { way, mode, loaderFor: kind => bootFile(ctx.config, way, kind) }
}
