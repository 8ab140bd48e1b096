/**
 * Images that a node's BMC gets as virtual media, or that its firmware boots over HTTP: made for the node, put where the
 * transport wants them (`media-places.ts`) as `<uuid>/vmedia/<chance>/<name>`, and taken away again. They hold the agent's
 * token, so that nobody can guess their names. What is done with their URLs is the boot interface's business.
 *
 * Source: boot facts, "Virtual media and HTTPS boot" (ironic/drivers/modules/image_utils.py restated).
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Config } from '#config/options.ts'
import type { InstanceBoot, RamdiskMode } from '#drivers/boot-interfaces.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { withoutSlashesAtEnd } from '#lib/slashes.ts'
import { isTrue } from '#lib/truth.ts'
import { requestedBootMode } from './boot-mode.ts'
import { putFile } from './files.ts'
import { buildBootIso } from './iso.ts'
import { checkIsoLoaders, isoLoaders } from './iso-loaders.ts'
import { operatorParameters, parameter } from './kernel-parameters.ts'
import {
  checkMediaPlace,
  isFetchedByBmc,
  type MediaTransport,
  type MediaUse,
  mediaDirectories,
  mediaPlace,
} from './media-places.ts'
import { parametersFloppy } from './parameters-floppy.ts'
import {
  type BootFile,
  checkBootFile,
  checkRamdiskSource,
  fetchBootFile,
  publishBootFile,
  ramdiskSource,
} from './ramdisk-files.ts'

/** URLs of what the BMC is to show the machine. */
export interface RamdiskMedia {
  iso: string
  /** A floppy with parameters, for an ISO that cannot carry them; null where none is needed. */
  floppy: string | null
}

/** Kernel parameters of a ramdisk, without those of the operator. */
export type Parameters = Readonly<Record<string, string>>

/**
 * The ISO that an operator made for this purpose; null where it is to be built here.
 * @throws InvalidInput
 */
export function givenIso({ node }: Pick<NodeContext, 'node'>, mode: RamdiskMode): BootFile | null {
  const field = mode === 'rescue' ? 'rescue_iso' : 'deploy_iso'
  const location = node.driver_info[field]
  if (location === undefined || location === null || location === '') return null
  if (typeof location === 'string') return { location, from: `driver_info/${field}` }
  throw new InvalidInput(`Cannot boot node ${node.uuid}: driver_info/${field} is a ${typeof location}, expected a URL`)
}

/** Is a floppy to carry the parameters? @throws InvalidInput where driver_info says neither yes nor no */
export function wantsFloppy({ node }: Pick<NodeContext, 'node'>): boolean {
  const given = node.driver_info.config_via_removable ?? node.driver_info.config_via_floppy
  if (given === undefined || given === null || given === '') return false
  const wanted = isTrue(given)
  if (wanted !== undefined) return wanted
  throw new InvalidInput(
    `Cannot read driver_info config_via_removable of node ${node.uuid}: found ${JSON.stringify(given)}, expected true or false`,
  )
}

/** Checks what can be checked without making anything. @throws InvalidInput */
export async function checkRamdiskMedia(ctx: NodeContext, transport: MediaTransport = 'HTTP'): Promise<void> {
  requestedBootMode(ctx.node)
  operatorParameters(ctx, 'redfish')
  wantsFloppy(ctx)
  await checkMediaPlace(ctx, transport)
  const iso = givenIso(ctx, 'deploy')
  if (iso && isPassedOn(ctx, iso, transport)) return
  if (iso) return await checkBootFile(ctx, iso)
  await checkRamdiskSource(ctx, ramdiskSource(ctx, 'deploy'))
  await checkIsoLoaders(ctx)
}

/** Makes what boots the agent's ramdisk. @throws InvalidInput, BootFileUnavailable, IsoNotBuilt */
export async function publishRamdiskMedia(
  ctx: NodeContext,
  { mode, parameters, transport = 'HTTP' }: { mode: RamdiskMode; parameters: Parameters; transport?: MediaTransport },
): Promise<RamdiskMedia> {
  const own = agentParameters(ctx, parameters)
  const floppy = wantsFloppy(ctx)
    ? await publish(ctx, transport, 'parameters.img', path => parametersFloppy(path, own))
    : null
  const given = givenIso(ctx, mode)
  if (given) return { iso: await publishIso(ctx, given, transport), floppy }
  const publisher = randomUUID()
  const files = await ramdiskFiles(ctx, mode)
  // Our ramdisk waits for the medium only where it is told to; others look at its label, and pass over this word.
  const hasNetwork = networkDataPath in files ? { 'ferrite-network-data': '1' } : {}
  const words = wordsOf({ ...own, ...hasNetwork, ir_pub_id: publisher })
  const line = [...words, operatorParameters(ctx, 'redfish')].filter(text => text !== '')
  const { kernel, ramdisk, from } = ramdiskSource(ctx, mode)
  const built = {
    kernel: await fetchBootFile(ctx, { location: kernel, from }),
    ramdisk: await fetchBootFile(ctx, { location: ramdisk, from }),
    parameters: line.join(' '),
    publisher,
    grubConfigPath: ctx.config.DEFAULT.grub_config_path,
    files,
    ...(await isoLoaders(ctx, requestedBootMode(ctx.node))),
  }
  return { iso: await publish(ctx, transport, 'boot.iso', path => buildBootIso(path, built)), floppy }
}

/** Makes what boots an instance that is no disk. @throws as above */
export async function publishInstanceIso(
  ctx: NodeContext,
  boot: InstanceBoot,
  transport: MediaTransport = 'HTTP',
): Promise<string> {
  if (boot.kind === 'iso')
    return await publishIso(ctx, { location: boot.iso, from: 'instance_info/boot_iso' }, transport)
  const from = (field: string) => `instance_info/${field}`
  const built = {
    kernel: await fetchBootFile(ctx, { location: boot.kernel, from: from('kernel') }),
    ramdisk: await fetchBootFile(ctx, { location: boot.ramdisk, from: from('ramdisk') }),
    parameters: [operatorParameters(ctx, 'redfish'), boot.parameters].filter(text => text !== '').join(' '),
    publisher: null,
    grubConfigPath: ctx.config.DEFAULT.grub_config_path,
    files: {},
    ...(await isoLoaders(ctx, requestedBootMode(ctx.node))),
  }
  return await publish(ctx, transport, 'boot.iso', path => buildBootIso(path, built))
}

/** Makes the medium of a config drive; null where the instance has none. @throws InvalidInput */
export async function publishConfigDrive(ctx: NodeContext, transport: MediaTransport = 'HTTP'): Promise<string | null> {
  const { configdrive } = ctx.node.instance_info
  if (typeof configdrive !== 'string' || configdrive === '') return null
  if (isFetchedByBmc(configdrive, transport)) return configdrive
  if (/^https?:\/\//i.test(configdrive)) {
    const file = { location: configdrive, from: 'instance_info/configdrive' }
    return await publish(ctx, transport, 'configdrive.img', path => publishBootFile(ctx, file, path))
  }
  try {
    const content = await promisify(gunzip)(Buffer.from(configdrive, 'base64'), { maxOutputLength: 64 * 1024 * 1024 })
    const mode = ctx.config.redfish.file_permission
    return await publish(ctx, transport, 'configdrive.img', path => putFile(path, content, mode))
  } catch (error) {
    throw new InvalidInput(`Cannot use the config drive of node ${ctx.node.uuid}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Has this host images of the node? */
export async function hasMedia(config: Config, uuid: string): Promise<boolean> {
  for (const directory of mediaDirectories(config, uuid)) {
    if ((await readdir(directory).catch(() => [])).length > 0) return true
  }
  return false
}

/** Makes the BMC's view of an image that somebody attaches by hand; another one of this name goes. @throws as above */
export async function publishAttached(
  ctx: NodeContext,
  image: { url: string; name: string },
  transport: MediaTransport,
): Promise<string> {
  const file = { location: image.url, from: 'image_url' }
  return await publish(ctx, transport, image.name, path => publishBootFile(ctx, file, path), 'attached')
}

/** Takes all images of the node away; `attached`: those that were attached by hand. */
export async function removeMedia(config: Config, uuid: string, use: MediaUse = 'vmedia'): Promise<void> {
  for (const directory of mediaDirectories(config, uuid, use)) {
    await rm(directory, { recursive: true, force: true })
    // On a share nothing else of the node is there; elsewhere it stays for what is.
    if (!directory.startsWith(config.deploy.http_root)) await rmdir(dirname(directory)).catch(() => undefined)
  }
}

/** A ready ISO: published here, or fetched by the BMC from where it is. */
async function publishIso(ctx: NodeContext, iso: BootFile, transport: MediaTransport): Promise<string> {
  if (isPassedOn(ctx, iso, transport)) return iso.location
  return await publish(ctx, transport, 'boot.iso', path => publishBootFile(ctx, iso, path))
}

/** Shares are the BMC's alone to read; what is on a web server may be fetched by either. */
function isPassedOn({ config }: NodeContext, { location }: BootFile, transport: MediaTransport): boolean {
  if (!isFetchedByBmc(location, transport)) return false
  return !/^http/i.test(location) || config.deploy.ramdisk_image_download_source === 'http'
}

/** Makes a new image of this name and takes the former ones away; the URL is the BMC's view. */
async function publish(
  ctx: NodeContext,
  transport: MediaTransport,
  name: string,
  make: (path: string) => Promise<void>,
  use: MediaUse = 'vmedia',
): Promise<string> {
  const { directory, url } = mediaPlace(ctx, transport, use)
  const before = await readdir(directory).catch(() => [])
  const chance = randomBytes(12).toString('hex')
  try {
    await make(join(directory, chance, name))
  } catch (error) {
    // An empty directory would pass for an image.
    await rm(join(directory, chance), { recursive: true, force: true })
    throw error
  }
  for (const former of before) await rm(join(directory, former, name), { force: true })
  return `${url}/${chance}/${name}`
}

/** What the conductor tells an agent that it boots from virtual media. */
function agentParameters(ctx: NodeContext, parameters: Parameters): Parameters {
  const { config, ports } = ctx
  const { api_url } = config.ferrite
  const { external_callback_url: external } = config.deploy
  const own = withoutSlashesAtEnd(api_url)
  // The network of a machine that gets no DHCP may reach the API by another address.
  const reachable = (value: string) =>
    external !== null && value.startsWith(own) ? `${withoutSlashesAtEnd(external)}${value.slice(own.length)}` : value
  const boot = ports.filter(port => port.pxe_enabled)
  const [only] = boot
  return {
    ...(config.DEFAULT.debug ? { 'ipa-debug': '1' } : {}),
    ...Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, reachable(value)])),
    boot_method: 'vmedia',
    ...(only && boot.length === 1 ? { BOOTIF: only.address } : {}),
  }
}

const wordsOf = (parameters: Parameters) => Object.entries(parameters).map(([name, value]) => parameter(name, value))

const networkDataPath = 'openstack/latest/network_data.json'

/** Static addresses for a network without DHCP, and whom the agent may trust. */
async function ramdiskFiles({ node, config }: NodeContext, mode: RamdiskMode): Promise<Record<string, string>> {
  const isStatic = Object.keys(node.network_data).length > 0 && !(mode === 'inspect' && config.inspector.force_dhcp)
  const { api_ca_file } = config.agent
  return {
    ...(isStatic ? { [networkDataPath]: JSON.stringify(node.network_data) } : {}),
    ...(api_ca_file === null ? {} : await authorityFiles(api_ca_file)),
  }
}

async function authorityFiles(path: string): Promise<Record<string, string>> {
  try {
    return {
      'etc/ironic-python-agent/ironic.crt': await readFile(path, 'utf8'),
      'etc/ironic-python-agent.d/ironic-tls.conf': '[DEFAULT]\ncafile = /etc/ironic-python-agent/ironic.crt\n',
    }
  } catch (error) {
    throw new InvalidInput(`Cannot read [agent] api_ca_file ${path}: ${messageOf(error)}`, { cause: error })
  }
}
