/**
 * The config drive: what the deployed system reads at its first boot (OpenStack's format, label config-2). It is given as
 * a URL of http, which passes through to the agent; as finished data, or a file of this host, which is checked here; or
 * as an object, which becomes an ISO 9660 file system here.
 *
 * Source: ironic/conductor/configdrive_utils.py, openstacksdk's `baremetal/configdrive.py` (names of files) restated.
 */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { Config } from '#config/options.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { httpSettings } from './http.ts'
import { askSource, imageReference } from './source.ts'

/** The object form. */
export interface ConfigDriveParts {
  meta_data?: Record<string, unknown>
  network_data?: Record<string, unknown>
  user_data?: string | Record<string, unknown> | unknown[] | null
  vendor_data?: Record<string, unknown>
}

export interface ConfigDriveContext {
  readonly node: { readonly uuid: string; readonly name: string | null }
  readonly config: Config
  readonly signal: AbortSignal
}

/** What the agents make room for at the end of a disk. */
const LIMIT_BYTES = 64 * 1024 * 1024

/**
 * The form that the agent takes: a URL, or base64 of a gzipped file system.
 * @throws InvalidInput for what is no config drive, one above 64 MiB, or when the tool that makes the file system is missing
 */
export async function configDrive(given: string | ConfigDriveParts, ctx: ConfigDriveContext): Promise<string> {
  if (typeof given !== 'string') return await build(given, ctx.node)
  if (/^https?:\/\//i.test(given)) return given
  if (/^file:/i.test(given)) return await fromFile(given, ctx)
  const text = given.replace(/\s+/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw new InvalidInput('Cannot use the config drive: it is no URL of http, https or file, and no base64 either')
  }
  await packed(Buffer.from(text, 'base64'), 'the config drive')
  return text
}

/** A file of this host: the file system, packed or not, or base64 of it. */
async function fromFile(given: string, { config, signal }: ConfigDriveContext): Promise<string> {
  const { file_url_allowed_paths: allowedPaths } = config.conductor
  const reference = imageReference(given, 'configdrive')
  if (reference.kind !== 'file') throw new InvalidInput('Cannot use the config drive: expected a file of this host')
  const { source, shown } = await askSource(reference, { settings: httpSettings(config), allowedPaths, signal })
  if (source.kind !== 'file') throw new InvalidInput(`Cannot use the config drive ${shown}: expected a file`)
  // Base64 of what cannot be packed is half as large again, at the very most.
  if ((await stat(source.path)).size > 2 * LIMIT_BYTES) throw tooLarge(shown)
  const content = await readFile(source.path)
  const text = content.toString('latin1').replace(/\s+/g, '')
  const isText = text !== '' && /^[A-Za-z0-9+/]+={0,2}$/.test(text)
  return (await packed(isText ? Buffer.from(text, 'base64') : content, shown)).toString('base64')
}

/** Gzipped, if it was not yet. @throws InvalidInput when it cannot be unpacked, or not to 64 MiB */
async function packed(content: Buffer, shown: string): Promise<Buffer> {
  if (content[0] !== 0x1f || content[1] !== 0x8b) {
    if (content.length > LIMIT_BYTES) throw tooLarge(shown)
    return await promisify(gzip)(content)
  }
  try {
    await promisify(gunzip)(content, { maxOutputLength: LIMIT_BYTES })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(shown)
    throw new InvalidInput(`Cannot use ${shown} as config drive: it begins as gzip, but ${messageOf(error)}`)
  }
  return content
}

function tooLarge(shown: string): InvalidInput {
  return new InvalidInput(
    `Cannot use ${shown} as config drive: it has more than the ${LIMIT_BYTES} bytes that are allowed`,
  )
}

async function build(parts: ConfigDriveParts, node: ConfigDriveContext['node']): Promise<string> {
  const { meta_data, network_data, user_data, vendor_data } = parts
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-config-drive-'))
  try {
    const meta = { uuid: node.uuid, ...(node.name === null ? {} : { name: node.name }), ...meta_data }
    for (const version of ['2012-08-10', 'latest']) {
      const path = join(folder, 'tree', 'openstack', version)
      await mkdir(path, { recursive: true })
      const put = (name: string, content: unknown) =>
        writeFile(join(path, name), typeof content === 'string' ? content : JSON.stringify(content))
      await put('meta_data.json', meta)
      if (network_data) await put('network_data.json', network_data)
      if (vendor_data) await put('vendor_data2.json', vendor_data)
      if (user_data) await put('user_data', user_data)
    }
    const iso = join(folder, 'config-drive.iso')
    await makeIso(join(folder, 'tree'), iso)
    return (await packed(await readFile(iso), 'what was given')).toString('base64')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function makeIso(tree: string, iso: string): Promise<void> {
  const options = ['-quiet', '-J', '-r', '-V', 'config-2', '-o', iso, tree]
  try {
    await run('xorriso', ['-as', 'mkisofs', ...options])
  } catch (error) {
    throw new InvalidInput(
      `Cannot build the config drive: ${messageOf(error)}; xorriso is needed for the object form (Debian: apt install xorriso)`,
      { cause: error },
    )
  }
}
