/**
 * The BMC's update service: tells it where an image is, and where images come from that it cannot fetch itself.
 *
 * Source: DMTF DSP2046, UpdateService.SimpleUpdate; ironic/drivers/modules/redfish/firmware_utils.py (sources, restated).
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Type } from 'typebox'
import { publishBootFile } from '#boot/ramdisk-files.ts'
import { InvalidInput } from '#lib/fault.ts'
import { withoutSlashesAtEnd } from '#lib/slashes.ts'
import { type NodeContext, Unsupported } from '../driver.ts'
import { Asker } from './asker.ts'
import { reader } from './client.ts'
import { Action, Maybe } from './maybe.ts'
import { readSystem } from './system.ts'
import { taskPath } from './tasks.ts'

export type FirmwareSource = 'http' | 'local'

const updateService = reader(
  'update service',
  Type.Object({ Actions: Maybe(Type.Object({ '#UpdateService.SimpleUpdate': Action })) }),
)

/** Starts an update; the path of its task, null where the BMC has none for it. @throws Unsupported, BmcRefused */
export async function simpleUpdate(ctx: NodeContext, imageUrl: string): Promise<string | null> {
  const { client, path } = await readSystem(ctx)
  const root = await client.root(ctx.signal)
  const service = root.UpdateService?.['@odata.id']
  const found = service && (await client.get(service, updateService, { signal: ctx.signal }))
  const target = found ? found.resource.Actions?.['#UpdateService.SimpleUpdate']?.target : undefined
  if (target === undefined) {
    throw new Unsupported(`Cannot update firmware at ${client.origin}: its BMC has no UpdateService.SimpleUpdate`)
  }
  const systems = await new Asker(client, ctx.signal).members(root.Systems)
  // Only where it is not clear which system is meant: some firmware refuses targets.
  const targets = systems.length > 1 ? { Targets: [path] } : {}
  return taskPath(client, await client.post(target, { ImageURI: imageUrl, ...targets }, ctx.signal))
}

export interface FirmwareImage {
  url: string
  /** Of the file, in hex: SHA-1, SHA-256 or SHA-512 by its length; null: not checked. */
  checksum: string | null
  source: FirmwareSource | null
}

/** The URL that the BMC is told: the image's own, or that of a copy below http_root. @throws InvalidInput */
export async function stage(ctx: NodeContext, image: FirmwareImage): Promise<string> {
  const { config, node } = ctx
  const configured = config.redfish.firmware_source
  const source = image.source ?? (configured === 'swift' ? 'http' : configured)
  const isFile = image.url.startsWith('file:') || image.url.startsWith('/')
  if (source === 'http' && !isFile && image.checksum === null) return image.url
  const name = basename(new URL(image.url, 'file:///').pathname) || 'firmware.bin'
  const path = join(stagingDirectory(ctx), name)
  await publishBootFile(ctx, { location: image.url, from: 'driver_info firmware image' }, path)
  if (image.checksum !== null) await checkSum(path, image.url, image.checksum)
  if (source === 'http' && !isFile) return image.url
  const base = config.deploy.external_http_url ?? config.deploy.http_url
  return `${withoutSlashesAtEnd(base)}/firmware/${node.uuid}/${encodeURIComponent(name)}`
}

/** Takes copies of images away. */
export async function removeStaged(ctx: NodeContext): Promise<void> {
  await rm(stagingDirectory(ctx), { recursive: true, force: true })
}

const stagingDirectory = ({ config, node }: NodeContext) => join(config.deploy.http_root, 'firmware', node.uuid)

const algorithms: Readonly<Record<number, string>> = { 40: 'sha1', 64: 'sha256', 128: 'sha512' }

async function checkSum(path: string, url: string, expected: string): Promise<void> {
  const algorithm = algorithms[expected.length]
  if (algorithm === undefined) {
    throw new InvalidInput(
      `Cannot check ${url}: its checksum has ${expected.length} characters, expected 40, 64 or 128 hex digits`,
    )
  }
  const hash = createHash(algorithm)
  await pipeline(createReadStream(path), hash)
  const found = hash.digest('hex')
  if (found === expected.toLowerCase()) return
  throw new InvalidInput(`Cannot use ${url}: its ${algorithm} is ${found}, expected ${expected}`)
}
