/**
 * The config drive: what the deployed system reads at its first boot (OpenStack's format, label config-2). It is given
 * as a URL or as finished data, which pass through, or as an object, which becomes an ISO 9660 file system here.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'

/** The object form. */
export interface ConfigDriveParts {
  meta_data?: Record<string, unknown>
  network_data?: Record<string, unknown>
  user_data?: string | Record<string, unknown>
  vendor_data?: Record<string, unknown>
}

/**
 * The form that the agent takes: a URL, or base64 of a gzipped file system.
 * @throws InvalidInput when the tool that makes the file system is missing
 */
export async function configDrive(
  given: string | ConfigDriveParts,
  node: { uuid: string; name: string | null },
): Promise<string> {
  if (typeof given === 'string') return given
  const { meta_data, network_data, user_data, vendor_data } = given
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-config-drive-'))
  try {
    const latest = join(folder, 'tree', 'openstack', 'latest')
    await mkdir(latest, { recursive: true })
    const meta = { uuid: node.uuid, name: node.name, ...meta_data }
    const put = (name: string, content: unknown) =>
      writeFile(join(latest, name), typeof content === 'string' ? content : JSON.stringify(content))
    await put('meta_data.json', meta)
    if (network_data) await put('network_data.json', network_data)
    if (vendor_data) await put('vendor_data.json', vendor_data)
    if (user_data) await put('user_data', user_data)
    const iso = join(folder, 'config-drive.iso')
    await makeIso(join(folder, 'tree'), iso)
    return (await promisify(gzip)(await readFile(iso))).toString('base64')
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
