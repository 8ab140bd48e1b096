/**
 * Booting over the network, whatever the loader: the life of a node's boot files, its boot device and boot mode. The boot
 * interfaces `pxe`, `ipxe`, `http` and `http-ipxe` are this with a way of their own. An instance boots from its disk, or,
 * where its deploy interface says so, from the network, each time.
 *
 * Files of a node, below the root of its way: `<uuid>/config`, `<uuid>/deploy_kernel`, `<uuid>/deploy_ramdisk`, of an
 * instance without a disk `<uuid>/kernel`, `<uuid>/ramdisk` or `<uuid>/boot_iso`, and links to the configuration for each
 * port that may boot from the network.
 * Source: boot facts, "Network boot" (ironic/drivers/modules/pxe_base.py, ironic/common/pxe_utils.py restated).
 */
import { join } from 'node:path'
import type { Port } from '#db/ports.ts'
import type { BootInterface, InstanceBoot } from '#drivers/boot-interfaces.ts'
import { type NodeContext, Unsupported } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { BootDevice, BootMode } from '#protocol/states.ts'
import type { WayName } from './boot-files.ts'
import { checkSecureBoot, deployBootMode, putSecureBoot, requestedBootMode, syncBootMode } from './boot-mode.ts'
import { forgetNode, tellDhcp } from './dhcp.ts'
import { putFile } from './files.ts'
import { operatorParameters, parameter } from './kernel-parameters.ts'
import type { Entry, Loader } from './loader-config.ts'
import { templated } from './loader-template.ts'
import { hasConfig, makeNodeDirectory, putConfig, type RootKind, removeNodeFiles } from './node-files.ts'
import { checkRamdiskSource, publishBootFile, publishRamdisk, ramdiskSource } from './ramdisk-files.ts'

/** What tells one network boot interface from another. */
export interface Way {
  /** The interface's name. */
  readonly name: WayName
  readonly root: RootKind
  /** The loader that a machine of this boot mode gets; undefined where there is none. */
  loader(mode: BootMode): Loader | undefined
  /** What the firmware boots from; the first that the BMC offers is taken. */
  readonly devices: readonly [BootDevice, ...BootDevice[]]
}

export function networkBoot(way: Way): BootInterface {
  return {
    capabilities: way.loader('uefi')?.name === 'ipxe' ? ['ramdisk_boot', 'iscsi_volume_boot'] : ['ramdisk_boot'],

    async validate(ctx) {
      bootPorts(ctx)
      const mode = requestedBootMode(ctx.node)
      if (mode !== null) loaderFor(way, ctx, mode)
      checkSecureBoot(ctx)
      operatorParameters(ctx, 'pxe')
      if (needsAgentRamdisk(ctx)) await checkRamdiskSource(ctx, ramdiskSource(ctx, 'deploy'))
    },

    async prepareRamdisk(ctx, { mode, parameters }) {
      const { config, node } = ctx
      const prefix = mode === 'rescue' ? 'rescue' : 'deploy'
      const commandLine = kernelCommandLine(ctx, parameters)
      const directory = await makeNodeDirectory(config, way.root, node.uuid)
      await publishRamdisk(ctx, ramdiskSource(ctx, mode), directory, prefix)
      await serve(way, ctx, {
        kind: 'linux',
        label: 'deploy',
        what: 'the ramdisk',
        why: mode,
        kernel: `${prefix}_kernel`,
        ramdisk: `${prefix}_ramdisk`,
        parameters: commandLine,
        bootif: true,
      })
      await syncBootMode(ctx)
      await setDevice(way, ctx, { persistent: false })
    },

    async cleanUpRamdisk(ctx) {
      await remove(ctx)
    },

    async prepareInstance(ctx) {
      const { config, node } = ctx
      const volumes = (await ctx.interfaces.storage.bootVolumes?.(ctx)) ?? []
      const boot = volumes.length > 0 ? undefined : ctx.interfaces.deploy.instanceBoot?.(ctx)
      const fromNetwork = boot !== undefined || volumes.length > 0
      // What a running instance boots from must not be away, not even for the moment of its making.
      if (!fromNetwork) await remove(ctx)
      else if (boot) await publishInstance(way, ctx, boot)
      else await serve(way, ctx, { kind: 'volumes', label: 'boot_iscsi', what: 'the volume', why: 'instance', volumes })
      if (!fromNetwork && config.pxe.enable_netboot_fallback) {
        await serve(way, ctx, { kind: 'disk', label: 'boot_whole_disk', what: 'its disk', why: 'instance' })
      }
      await syncBootMode(ctx)
      // A running instance has the boot order that its deployment, or its owner, gave it.
      if (node.provision_state === 'active' || node.provision_state === 'adopting') return
      await putSecureBoot(ctx, true)
      if (fromNetwork) await setDevice(way, ctx, { persistent: true })
      else await ctx.interfaces.management.setBootDevice(ctx, 'disk', { persistent: true })
    },

    async prepareInstaller(ctx, { kernel, ramdisk, stage2, repository, kickstart }) {
      const { config, node } = ctx
      const directory = await makeNodeDirectory(config, way.root, node.uuid)
      await publishBootFile(ctx, kernel, join(directory, 'kernel'))
      await publishBootFile(ctx, ramdisk, join(directory, 'ramdisk'))
      // The installer itself speaks HTTP, whatever its loader spoke.
      const web = await makeNodeDirectory(config, 'http', node.uuid)
      const files = urlOf(ctx)
      // Where installers look for it below a URL that names no file.
      if (stage2) await publishBootFile(ctx, stage2, join(web, 'LiveOS', 'squashfs.img'))
      await putFile(join(web, 'ks.cfg'), kickstart, config.pxe.file_permission)
      const from = repository === null ? `inst.stage2=${files}` : `inst.repo=${repository}`
      const parameters = `text inst.ks=${files}/ks.cfg ${from} ${operatorParameters(ctx, 'pxe')}`.trim()
      await serve(way, ctx, {
        kind: 'linux',
        label: 'boot_anaconda',
        what: 'the installer',
        why: 'kickstart',
        kernel: 'kernel',
        ramdisk: 'ramdisk',
        parameters,
        bootif: true,
      })
      await syncBootMode(ctx)
      await setDevice(way, ctx, { persistent: false })
    },

    async servesInstance({ config, node }) {
      return hasConfig(config, node.uuid)
    },

    async stopServing({ config, node }) {
      await removeNodeFiles(config, node.uuid)
    },

    async cleanUpInstance(ctx) {
      await remove(ctx)
      await putSecureBoot(ctx, false)
    },
  }
}

/** What is deployed without an agent needs one for nothing but cleaning. */
function needsAgentRamdisk({ interfaces, node, config }: NodeContext): boolean {
  return interfaces.deploy.deploysByAgent !== false || (node.automated_clean ?? config.conductor.automated_clean)
}

/** Puts the files of an instance in place that boots from the network. */
async function publishInstance(way: Way, ctx: NodeContext, boot: InstanceBoot): Promise<void> {
  const { config, node } = ctx
  const directory = await makeNodeDirectory(config, way.root, node.uuid)
  const from = (field: string) => `instance_info/${field}`
  if (boot.kind === 'iso') {
    const entry: Entry = { kind: 'iso', label: 'boot_ramdisk', what: 'the ISO', why: 'instance', image: 'boot_iso' }
    await loaderOf(way, ctx, entry)
    await publishBootFile(ctx, { location: boot.iso, from: from('boot_iso') }, join(directory, 'boot_iso'))
    return await serve(way, ctx, entry)
  }
  const own = [operatorParameters(ctx, 'pxe'), boot.parameters].filter(text => text !== '')
  for (const kind of ['kernel', 'ramdisk'] as const) {
    await publishBootFile(ctx, { location: boot[kind], from: from(kind) }, join(directory, kind))
  }
  await serve(way, ctx, {
    kind: 'linux',
    label: 'boot_ramdisk',
    what: 'the ramdisk',
    why: 'instance',
    kernel: 'kernel',
    ramdisk: 'ramdisk',
    parameters: ['root=/dev/ram0 text', ...own].join(' '),
    bootif: false,
  })
}

/** Writes the configuration, and has DHCP tell the machine the way to it. */
async function serve(way: Way, ctx: NodeContext, entry: Entry): Promise<void> {
  const { config, node } = ctx
  const ports = bootPorts(ctx)
  const loader = await loaderOf(way, ctx, entry)
  const url = urlOf(ctx)
  const path = way.root === 'http' ? new URL(url).pathname : `/${node.uuid}`
  const place = { uuid: node.uuid, url, path, timeoutMs: config.pxe.ipxe_timeout }
  const text = (await templated(ctx, loader, entry, place)) ?? loader.config(entry, place)
  await putConfig(config, { kind: way.root, uuid: node.uuid, entry, loader, text, ports })
  if (entry.kind !== 'disk') await tellDhcp(ctx, way.name, ports)
}

async function remove({ config, node }: NodeContext): Promise<void> {
  await removeNodeFiles(config, node.uuid)
  await forgetNode(config, node.uuid)
}

async function loaderOf(way: Way, ctx: NodeContext, entry: Entry): Promise<Loader> {
  // Where every machine gets the same one, nobody is asked.
  const same = way.loader('bios') === way.loader('uefi')
  const loader = loaderFor(way, ctx, same ? 'uefi' : await deployBootMode(ctx))
  const refusal = loader.refuses?.(entry)
  if (refusal === undefined) return loader
  throw new InvalidInput(`Cannot boot ${entry.what} on node ${ctx.node.uuid} by ${way.name}: ${refusal}; expected ipxe`)
}

/** @throws InvalidInput where there is none */
function loaderFor(way: Way, { node }: NodeContext, mode: BootMode): Loader {
  const loader = way.loader(mode)
  if (loader) return loader
  throw new InvalidInput(
    `Cannot boot node ${node.uuid} by ${way.name}: its boot mode is ${mode}, and firmware boots over HTTP in UEFI mode alone; expected boot mode uefi, or another boot interface`,
  )
}

async function setDevice(way: Way, ctx: NodeContext, options: { persistent: boolean }): Promise<void> {
  const { management } = ctx.interfaces
  const [first, ...others] = way.devices
  try {
    await management.setBootDevice(ctx, first, options)
  } catch (error) {
    const [next] = others
    if (!(error instanceof Unsupported) || next === undefined) throw error
    ctx.log.info({ device: first, instead: next }, `another boot device is set: ${error.message}`)
    await management.setBootDevice(ctx, next, options)
  }
}

const urlOf = ({ config, node }: NodeContext) => `${config.deploy.http_url}/${node.uuid}`

function bootPorts(ctx: NodeContext): Port[] {
  const ports = ctx.ports.filter(port => port.pxe_enabled)
  if (ports.length > 0) return ports
  const found = ctx.ports.length === 0 ? 'it has no ports' : `none of its ${ctx.ports.length} ports has pxe_enabled`
  throw new InvalidInput(
    `Cannot boot node ${ctx.node.uuid} from the network: ${found}; expected a port with the MAC address of the NIC it boots from`,
  )
}

function kernelCommandLine(ctx: NodeContext, parameters: Readonly<Record<string, string>>): string {
  const debug = ctx.config.DEFAULT.debug ? { 'ipa-debug': '1' } : {}
  const ours = Object.entries({ ...debug, ...parameters }).map(([name, value]) => parameter(name, value))
  return [...ours, operatorParameters(ctx, 'pxe')].filter(text => text !== '').join(' ')
}
