/**
 * The boot interface `ipxe`: the firmware's own iPXE, or one loaded over TFTP or HTTP, fetches a script by MAC address,
 * and that script fetches kernel and ramdisk. An instance boots from its disk, or, where its deploy interface says so,
 * from the network, each time.
 *
 * Files of a node, below [deploy] http_root: `<uuid>/config` (script), `<uuid>/deploy_kernel`, `<uuid>/deploy_ramdisk`,
 * of an instance without a disk `<uuid>/kernel`, `<uuid>/ramdisk` or `<uuid>/boot_iso`, and `pxelinux.cfg/<mac>`, a link
 * to the script, for each port that may boot from the network.
 * Source: boot facts, "Network boot" (ironic/drivers/modules/pxe_base.py, ironic/common/pxe_utils.py restated).
 */
import { readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '#config/options.ts'
import type { Port } from '#db/ports.ts'
import type { BootInterface, InstanceBoot, NodeContext } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import { requestedBootMode, syncBootMode } from './boot-mode.ts'
import { putFile, putSymlink } from './files.ts'
import { appendedParameters, parameter } from './kernel-parameters.ts'
import { checkRamdiskSource, publishBootFile, publishRamdisk, ramdiskSource } from './ramdisk-files.ts'
import { dashed, installerScript, instanceRamdiskScript, isoScript, macsOfScript, ramdiskScript } from './scripts.ts'

const ipxe: BootInterface = {
  capabilities: ['ramdisk_boot'],

  async validate(ctx) {
    bootPorts(ctx)
    requestedBootMode(ctx.node)
    operatorParameters(ctx)
    if (needsAgentRamdisk(ctx)) await checkRamdiskSource(ctx, ramdiskSource(ctx, 'deploy'))
  },

  async prepareRamdisk(ctx, { mode, parameters }) {
    const { config, node } = ctx
    const prefix = mode === 'rescue' ? 'rescue' : 'deploy'
    const macs = bootPorts(ctx).map(port => port.address)
    const commandLine = kernelCommandLine(ctx, parameters)
    await publishRamdisk(ctx, ramdiskSource(ctx, mode), nodeDirectory(config, node.uuid), prefix)
    const script = ramdiskScript({
      node,
      macs,
      mode,
      prefix,
      files: `${config.deploy.http_url}/${node.uuid}`,
      parameters: commandLine,
      timeoutMs: config.pxe.ipxe_timeout,
    })
    await putScript(ctx, script, macs)
    await syncBootMode(ctx)
    await ctx.interfaces.management.setBootDevice(ctx, 'pxe', { persistent: false })
  },

  async cleanUpRamdisk(ctx) {
    await removeNodeFiles(ctx.config, ctx.node.uuid)
  },

  async prepareInstance(ctx) {
    const boot = ctx.interfaces.deploy.instanceBoot?.(ctx)
    // What a running instance boots from must not be away, not even for the moment of its making.
    if (boot) await publishInstance(ctx, boot)
    else await removeNodeFiles(ctx.config, ctx.node.uuid)
    await syncBootMode(ctx)
    // A running instance has the boot order that its deployment, or its owner, gave it.
    if (ctx.node.provision_state === 'active' || ctx.node.provision_state === 'adopting') return
    await ctx.interfaces.management.setBootDevice(ctx, boot ? 'pxe' : 'disk', { persistent: true })
  },

  async prepareInstaller(ctx, { kernel, ramdisk, stage2, repository, kickstart }) {
    const { config, node } = ctx
    const directory = nodeDirectory(config, node.uuid)
    const files = `${config.deploy.http_url}/${node.uuid}`
    const macs = bootPorts(ctx).map(port => port.address)
    await publishBootFile(ctx, kernel, join(directory, 'kernel'))
    await publishBootFile(ctx, ramdisk, join(directory, 'ramdisk'))
    // Where installers look for it below a URL that names no file.
    if (stage2) await publishBootFile(ctx, stage2, join(directory, 'LiveOS', 'squashfs.img'))
    await putFile(join(directory, 'ks.cfg'), kickstart, config.pxe.file_permission)
    const parameters = operatorParameters(ctx)
    const timeoutMs = config.pxe.ipxe_timeout
    await putScript(ctx, installerScript({ node, macs, files, repository, parameters, timeoutMs }), macs)
    await syncBootMode(ctx)
    await ctx.interfaces.management.setBootDevice(ctx, 'pxe', { persistent: false })
  },

  async servesInstance({ config, node }) {
    return (await readFile(scriptPath(config, node.uuid), 'utf8').catch(() => null)) !== null
  },

  async stopServing({ config, node }) {
    await removeNodeFiles(config, node.uuid)
  },

  async cleanUpInstance(ctx) {
    await removeNodeFiles(ctx.config, ctx.node.uuid)
  },
}

export default ipxe

/** What is deployed without an agent needs one for nothing but cleaning. */
function needsAgentRamdisk({ interfaces, node, config }: NodeContext): boolean {
  return interfaces.deploy.deploysByAgent !== false || (node.automated_clean ?? config.conductor.automated_clean)
}

/** Puts the files of an instance in place that boots from the network. */
async function publishInstance(ctx: NodeContext, boot: InstanceBoot): Promise<void> {
  const { config, node } = ctx
  const directory = nodeDirectory(config, node.uuid)
  const files = `${config.deploy.http_url}/${node.uuid}`
  const macs = bootPorts(ctx).map(port => port.address)
  const from = (field: string) => `instance_info/${field}`
  if (boot.kind === 'iso') {
    await publishBootFile(ctx, { location: boot.iso, from: from('boot_iso') }, join(directory, 'boot_iso'))
    return await putScript(ctx, isoScript({ node, macs, url: `${files}/boot_iso` }), macs)
  }
  const parameters = [operatorParameters(ctx), boot.parameters].filter(text => text !== '').join(' ')
  for (const kind of ['kernel', 'ramdisk'] as const) {
    await publishBootFile(ctx, { location: boot[kind], from: from(kind) }, join(directory, kind))
  }
  const timeoutMs = config.pxe.ipxe_timeout
  await putScript(ctx, instanceRamdiskScript({ node, macs, files, parameters, timeoutMs }), macs)
}

/** Makes this the script of the node's NICs, and of no others. */
async function putScript({ config, node }: NodeContext, script: string, macs: readonly string[]): Promise<void> {
  await unlink(config, node.uuid, macs)
  await putFile(scriptPath(config, node.uuid), script, config.pxe.file_permission)
  for (const mac of macs) await putSymlink(linkPath(config, mac), linkText(node.uuid))
}

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
