/**
 * The files of one node below the directories that machines fetch from: its configuration, kernels and ramdisks in
 * `<root>/<uuid>/`, and the links by which loaders find the configuration of a NIC. All of it goes without knowing what
 * made it: a node's boot interface may be another one by then.
 *
 * Source: boot facts, "Files" (ironic/common/pxe_utils.py restated).
 */
import { readFile, readlink, rm } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Config } from '#config/options.ts'
import type { Port } from '#db/ports.ts'
import { makeDirectory, putFile, putSymlink } from './files.ts'
import { grub } from './grub.ts'
import { type Entry, headerOf, type Loader, withHeader, withMacs } from './loader-config.ts'
import { pxelinux } from './pxelinux.ts'
import { ipxeScripts } from './scripts.ts'

/** Which server a loader takes its files from. */
export type RootKind = 'tftp' | 'http'

const loaders: Readonly<Record<string, Loader>> = { ipxe: ipxeScripts, pxelinux, grub }

const roots: readonly RootKind[] = ['http', 'tftp']

export const rootOf = ({ pxe, deploy }: Config, kind: RootKind) => (kind === 'tftp' ? pxe.tftp_root : deploy.http_root)
export const nodeDirectory = (config: Config, kind: RootKind, uuid: string) => join(rootOf(config, kind), uuid)
const configPath = (config: Config, kind: RootKind, uuid: string) => join(nodeDirectory(config, kind, uuid), 'config')

/** Makes the directory of a node. */
export async function makeNodeDirectory(config: Config, kind: RootKind, uuid: string): Promise<string> {
  const directory = nodeDirectory(config, kind, uuid)
  await makeDirectory(directory, config.pxe.dir_permission)
  return directory
}

/** Makes this the configuration of the node's NICs, and of no others. */
export async function putConfig(config: Config, file: ConfigFile): Promise<void> {
  const { kind, uuid, entry, loader, text, ports } = file
  for (const other of roots) if (other !== kind) await removeConfig(config, other, uuid)
  const links = linksOf(config, loader, ports)
  await unlink(config, kind, uuid, links)
  const macs = ports.map(({ address }) => address)
  const whole = withHeader(text, { uuid, entry, loader: loader.name, macs })
  await putFile(configPath(config, kind, uuid), whole, config.pxe.file_permission)
  await putLinks(config, kind, uuid, links)
}

export interface ConfigFile {
  kind: RootKind
  uuid: string
  entry: Entry
  loader: Loader
  text: string
  ports: readonly Port[]
}

/** Has the node a configuration? */
export async function hasConfig(config: Config, uuid: string): Promise<boolean> {
  const texts = await Promise.all(roots.map(kind => configOf(config, kind, uuid)))
  return texts.some(text => text !== null)
}

/**
 * Makes the links of a node that has a configuration follow its ports; a node without one has no links. To be called when
 * ports were added, changed or removed.
 */
export async function followPorts(config: Config, uuid: string, ports: readonly Port[]): Promise<void> {
  const booting = ports.filter(port => port.pxe_enabled)
  const macs = booting.map(port => port.address)
  for (const kind of roots) {
    const text = await configOf(config, kind, uuid)
    const header = text === null ? null : headerOf(text)
    const loader = loaders[header?.loader ?? '']
    if (text === null || loader === undefined) continue
    const links = linksOf(config, loader, booting)
    await unlink(config, kind, uuid, links)
    await putFile(configPath(config, kind, uuid), withMacs(text, macs), config.pxe.file_permission)
    await putLinks(config, kind, uuid, links)
  }
}

/** Takes the node's files and links away, if there are any. */
export async function removeNodeFiles(config: Config, uuid: string): Promise<void> {
  for (const kind of roots) {
    await removeConfig(config, kind, uuid)
    await rm(nodeDirectory(config, kind, uuid), { recursive: true, force: true })
  }
}

async function removeConfig(config: Config, kind: RootKind, uuid: string): Promise<void> {
  await unlink(config, kind, uuid, [])
  await rm(configPath(config, kind, uuid), { force: true })
}

const linksOf = (config: Config, loader: Loader, ports: readonly Port[]): string[] =>
  ports.flatMap(({ address, extra }) => {
    // Of ports that tests and older rows have, some have no extra.
    return loader.links(config, { address, hasClientId: extra?.['client-id'] !== undefined })
  })

async function putLinks(config: Config, kind: RootKind, uuid: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(rootOf(config, kind), name)
    await makeDirectory(dirname(path), config.pxe.dir_permission)
    await putSymlink(path, relative(dirname(path), configPath(config, kind, uuid)))
  }
}

/** Removes the links that the node's configuration was written for, but for `keep`, not those taken over by another node. */
async function unlink(config: Config, kind: RootKind, uuid: string, keep: readonly string[]): Promise<void> {
  const header = headerOf((await configOf(config, kind, uuid)) ?? '')
  const names = (header?.macs ?? []).flatMap(mac =>
    Object.values(loaders).flatMap(loader =>
      [false, true].flatMap(hasClientId => loader.links(config, { address: mac.replaceAll('-', ':'), hasClientId })),
    ),
  )
  for (const name of new Set(names)) {
    if (keep.includes(name)) continue
    const path = join(rootOf(config, kind), name)
    const text = await readlink(path).catch(() => null)
    if (text === relative(dirname(path), configPath(config, kind, uuid))) await rm(path, { force: true })
  }
}

const configOf = (config: Config, kind: RootKind, uuid: string): Promise<string | null> =>
  readFile(configPath(config, kind, uuid), 'utf8').catch(() => null)
