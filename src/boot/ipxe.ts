/**
 * The boot interface `ipxe`: the firmware's own iPXE, or one loaded over TFTP or HTTP, fetches a script by MAC address,
 * and that script fetches kernel and ramdisk. An instance boots from its disk.
 *
 * Files of a node, below [deploy] http_root: `<uuid>/config` (script), `<uuid>/deploy_kernel`, `<uuid>/deploy_ramdisk`,
 * and `pxelinux.cfg/<mac>`, a link to the script, for each port that may boot from the network.
 * Source: boot facts, "Network boot" (ironic/drivers/modules/pxe_base.py, ironic/common/pxe_utils.py restated).
 */
import { readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '#config/options.ts'
import type { Port } from '#db/ports.ts'
import type { BootInterface, NodeContext } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import { requestedBootMode, syncBootMode } from './boot-mode.ts'
import { putFile, putSymlink } from './files.ts'
import { appendedParameters, parameter } from './kernel-parameters.ts'
import { checkRamdiskSource, publishRamdisk, ramdiskSource } from './ramdisk-files.ts'
import { dashed, macsOfScript, ramdiskScript } from './scripts.ts'

const ipxe: BootInterface = {
  async validate(ctx) {
    bootPorts(ctx)
    requestedBootMode(ctx.node)
    operatorParameters(ctx)
    await checkRamdiskSource(ctx, ramdiskSource(ctx, 'deploy'))
  },

  async prepareRamdisk(ctx, { mode, parameters }) {
    const { config, node } = ctx
    const prefix = mode === 'rescue' ? 'rescue' : 'deploy'
    const macs = bootPorts(ctx).map(port => port.address)
    const commandLine = kernelCommandLine(ctx, parameters)
    await publishRamdisk(ctx, ramdiskSource(ctx, mode), nodeDirectory(config, node.uuid), prefix)
    await unlink(config, node.uuid, macs)
    const script = ramdiskScript({
      node,
      macs,
      mode,
      prefix,
      files: `${config.deploy.http_url}/${node.uuid}`,
      parameters: commandLine,
      timeoutMs: config.pxe.ipxe_timeout,
    })
    await putFile(scriptPath(config, node.uuid), script, config.pxe.file_permission)
    for (const mac of macs) await putSymlink(linkPath(config, mac), linkText(node.uuid))
    await syncBootMode(ctx)
    await ctx.interfaces.management.setBootDevice(ctx, 'pxe', { persistent: false })
  },

  async cleanUpRamdisk(ctx) {
    await removeNodeFiles(ctx.config, ctx.node.uuid)
  },

  async prepareInstance(ctx) {
    await removeNodeFiles(ctx.config, ctx.node.uuid)
    await syncBootMode(ctx)
    // A running instance has the boot order that its deployment, or its owner, gave it.
    if (ctx.node.provision_state === 'active' || ctx.node.provision_state === 'adopting') return
    await ctx.interfaces.management.setBootDevice(ctx, 'disk', { persistent: true })
  },

  async cleanUpInstance(ctx) {
    await removeNodeFiles(ctx.config, ctx.node.uuid)
  },
}

export default ipxe

/**
 * Makes the links of a node that has a script follow its ports; a node without one has no links. To be called when
 * ports were added, changed or removed.
 */
export async function followPorts(config: Config, uuid: string, ports: readonly Port[]): Promise<void> {
  const script = await readFile(scriptPath(config, uuid), 'utf8').catch(() => null)
  if (script === null) return
  const macs = ports.filter(port => port.pxe_enabled).map(port => port.address)
  await unlink(config, uuid, macs)
  const before = macsOfScript(script).join(' ')
  const after = macs.map(dashed).join(' ')
  await putFile(scriptPath(config, uuid), script.replace(before, after), config.pxe.file_permission)
  for (const mac of macs) await putSymlink(linkPath(config, mac), linkText(uuid))
}

function bootPorts(ctx: NodeContext): Port[] {
  const ports = ctx.ports.filter(port => port.pxe_enabled)
  if (ports.length > 0) return ports
  const found = ctx.ports.length === 0 ? 'it has no ports' : `none of its ${ctx.ports.length} ports has pxe_enabled`
  throw new InvalidInput(
    `Cannot boot node ${ctx.node.uuid} from the network: ${found}; expected a port with the MAC address of the NIC it boots from`,
  )
}

function operatorParameters({ node, config }: Pick<NodeContext, 'node' | 'config'>): string {
  return appendedParameters({
    instanceInfo: node.instance_info,
    driverInfo: node.driver_info,
    configured: config.pxe.kernel_append_params,
    unchecked: config.conductor.disable_kernel_parameter_parsing,
  })
}

function kernelCommandLine(ctx: NodeContext, parameters: Readonly<Record<string, string>>): string {
  const debug = ctx.config.DEFAULT.debug ? { 'ipa-debug': '1' } : {}
  const ours = Object.entries({ ...debug, ...parameters }).map(([name, value]) => parameter(name, value))
  return [...ours, operatorParameters(ctx)].filter(text => text !== '').join(' ')
}

const nodeDirectory = (config: Config, uuid: string) => join(config.deploy.http_root, uuid)
const scriptPath = (config: Config, uuid: string) => join(nodeDirectory(config, uuid), 'config')
const linkPath = (config: Config, mac: string) =>
  join(config.deploy.http_root, config.pxe.pxe_config_subdir, dashed(mac))
const linkText = (uuid: string) => `../${uuid}/config`

/** Takes the node's files and links away, if there are any. */
export async function removeNodeFiles(config: Config, uuid: string): Promise<void> {
  await unlink(config, uuid, [])
  await rm(nodeDirectory(config, uuid), { recursive: true, force: true })
}

/** Removes the links that the node's script was written for, but for `keep`, and those taken over by another node. */
async function unlink(config: Config, uuid: string, keep: readonly string[]): Promise<void> {
  const script = await readFile(scriptPath(config, uuid), 'utf8').catch(() => '')
  const kept = new Set(keep.map(dashed))
  for (const mac of macsOfScript(script)) {
    if (kept.has(mac)) continue
    const path = linkPath(config, mac)
    if ((await readlink(path).catch(() => null)) === linkText(uuid)) await rm(path, { force: true })
  }
}
