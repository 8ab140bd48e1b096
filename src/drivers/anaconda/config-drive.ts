/**
 * The config drive of a kickstart installation: Anaconda writes whole systems, not disks, so the drive's files become
 * %post sections that put them where cloud-init looks for a seed.
 *
 * Source: deploy interfaces, "anaconda" (ironic/common/kickstart_utils.py restated); cloud-init, ConfigDrive data source.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Config } from '#config/options.ts'
import { ask, httpSettings } from '#images/http.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'

const seed = '/var/lib/cloud/seed/config_drive'
const limitBytes = 64 * 1024 * 1024

/**
 * Sections that write the drive's files; empty without a drive.
 * @param given base64 of a gzipped ISO 9660 file system, or the URL of one
 * @throws InvalidInput when it is neither
 */
export async function configDriveSections(given: unknown, config: Config, signal: AbortSignal): Promise<string> {
  if (typeof given !== 'string' || given === '') return ''
  const iso = await unpacked(/^https?:\/\//.test(given) ? await fetched(given, config, signal) : Buffer.from(given))
  const files = await filesOf(iso)
  return files.map(({ path, content }) => section(`${seed}/${path}`, content)).join('')
}

function section(path: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,76}/g) ?? []
  return [
    '%post',
    `mkdir -p -m 0700 ${quoted(dirname(path))}`,
    `base64 --decode >${quoted(path)} <<'FERRITE_END'`,
    ...lines,
    'FERRITE_END',
    `chmod 0600 ${quoted(path)}`,
    '%end',
    '',
    '',
  ].join('\n')
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

async function fetched(url: string, config: Config, signal: AbortSignal): Promise<Buffer> {
  const { status, body } = await ask('GET', url, httpSettings(config), { signal })
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > 2 * limitBytes) throw new InvalidInput('Cannot read the config drive: its URL answers more than 128 MiB')
    chunks.push(chunk)
  }
  if (status !== 200) throw new InvalidInput(`Cannot read the config drive: its URL answers ${status}; expected 200`)
  return Buffer.concat(chunks)
}

/** Base64, gzip, or the file system as it is. */
async function unpacked(given: Buffer): Promise<Buffer> {
  const text = given.subarray(0, 1000).toString('latin1')
  const plain = /^[A-Za-z0-9+/=\s]+$/.test(text) ? Buffer.from(given.toString('latin1'), 'base64') : given
  if (plain[0] !== 0x1f || plain[1] !== 0x8b) return plain
  try {
    return await promisify(gunzip)(plain, { maxOutputLength: limitBytes })
  } catch (error) {
    throw new InvalidInput(`Cannot read the config drive: ${messageOf(error)}; expected gzip of at most 64 MiB`)
  }
}

async function filesOf(iso: Buffer): Promise<{ path: string; content: Buffer }[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-config-drive-'))
  try {
    const image = join(folder, 'drive.iso')
    const tree = join(folder, 'tree')
    await writeFile(image, iso, { mode: 0o600 })
    await mkdir(tree)
    await run('xorriso', ['-osirrox', 'on', '-indev', image, '-extract', '/', tree])
    await run('chmod', ['-R', 'u+rwX', tree])
    const entries = await readdir(tree, { recursive: true, withFileTypes: true })
    const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
    return await Promise.all(
      files.sort().map(async file => ({ path: relative(tree, file), content: await readFile(file) })),
    )
  } catch (error) {
    throw new InvalidInput(
      `Cannot read the config drive: ${messageOf(error)}; expected an ISO 9660 file system, and xorriso on this host`,
      { cause: error },
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
