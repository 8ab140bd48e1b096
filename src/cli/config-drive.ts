/**
 * The config drive as the user names it, made into what the API takes: an object (the service builds the image), a URL,
 * or a gzipped ISO image in base64. Nothing is built here; a directory is read as the object's parts.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { InvalidInput } from '#lib/fault.ts'
import { placeOf, wordOf } from './values.ts'

/**
 * @param given a JSON object, a URL, a file (JSON, ISO image, gzipped image, or its base64), a directory that holds
 *   `openstack/latest/` with meta_data.json, user_data, network_data.json, vendor_data.json, or base64 itself
 */
export async function configDrive(given: string): Promise<unknown> {
  const typed = jsonObject(given)
  if (typed) return typed
  if (/^https?:\/\//.test(given)) return given
  const found = await stat(given).catch(() => undefined)
  if (found?.isDirectory()) return await fromDirectory(given)
  if (found?.isFile()) return await fromFile(given)
  if (isPacked(given)) return given
  throw new InvalidInput(
    `Cannot read the config drive "${wordOf(given)}": it is no file or directory, expected one, or a JSON object, a URL, or a gzipped image in base64`,
  )
}

function jsonObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Base64 of something gzipped: the magic bytes 1f 8b 08. */
function isPacked(text: string): boolean {
  return text.startsWith('H4sI')
}

async function fromFile(path: string): Promise<unknown> {
  const bytes = await readFile(path)
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return bytes.toString('base64')
  if (isIso(bytes)) return (await promisify(gzip)(bytes)).toString('base64')
  const text = bytes.toString('utf8').trim()
  const value = jsonObject(text) ?? (isPacked(text) ? text : undefined)
  if (value !== undefined) return value
  throw new InvalidInput(
    `Cannot use ${path} as config drive: expected a JSON object, an ISO image, or a gzipped image (also in base64)`,
  )
}

/** ISO 9660: the first volume descriptor lies in sector 16. */
function isIso(bytes: Buffer): boolean {
  return bytes.toString('latin1', 32769, 32774) === 'CD001'
}

/** The files of openstack/latest and the key of the API's object for each; user_data stays text. */
const parts = {
  'meta_data.json': 'meta_data',
  'network_data.json': 'network_data',
  'vendor_data.json': 'vendor_data',
  'vendor_data2.json': 'vendor_data',
  user_data: 'user_data',
} as const

async function fromDirectory(path: string): Promise<unknown> {
  const inner = `${path}/openstack/latest`
  const files = await readdir(inner).catch(() => [])
  if (files.length === 0) {
    throw new InvalidInput(`Cannot use directory ${path} as config drive: expected files in ${inner}`)
  }
  const drive: Record<string, unknown> = {}
  for (const file of files) {
    const key = Object.hasOwn(parts, file) ? parts[file as keyof typeof parts] : undefined
    if (!key) {
      const known = Object.keys(parts).join(', ')
      const advice = 'Pack other files into an ISO image and name that instead.'
      throw new InvalidInput(`Cannot use ${inner}/${file} in a config drive: expected only ${known}. ${advice}`)
    }
    const text = await readFile(`${inner}/${file}`, 'utf8')
    drive[key] = key === 'user_data' ? text : parseJson(text, `${inner}/${file}`)
  }
  return drive
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidInput(`Cannot read ${path}: it is no JSON${placeOf(error)}`)
  }
}
