/**
 * clouds.yaml, where OpenStack's clients keep logins by name, with the passwords of secure.yaml beside it. Reads what
 * concerns this client, as values of its global options; vendor profiles are not known. Values are never shown.
 */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import { type GlobalOption, globalOptions } from './global-options.ts'
import { UsageError } from './parse.ts'
import { placeOf } from './values.ts'

export type Cloud = { readonly [K in GlobalOption]?: string }

type Json = Readonly<Record<string, unknown>>

/** Keys of a cloud that are spelled otherwise than their option; those under `auth` are all spelled alike. */
const keys: Readonly<Record<string, GlobalOption>> = {
  auth_type: 'os-auth-type',
  region_name: 'os-region-name',
  interface: 'os-interface',
  endpoint_type: 'os-interface',
  baremetal_endpoint_override: 'os-endpoint',
  baremetal_api_version: 'os-baremetal-api-version',
  baremetal_default_microversion: 'os-baremetal-api-version',
  baremetal_service_type: 'os-service-type',
  cacert: 'os-cacert',
  cert: 'os-cert',
  key: 'os-key',
}

/** @throws UsageError when there is no such cloud */
export async function cloudOf(name: string, env: Readonly<Record<string, string | undefined>>): Promise<Cloud> {
  const files = env.OS_CLIENT_CONFIG_FILE ? [env.OS_CLIENT_CONFIG_FILE] : usualFiles(env)
  for (const path of files) {
    const clouds = await cloudsIn(path)
    if (!clouds) continue
    const cloud = clouds[name]
    if (!isJson(cloud)) {
      throw new UsageError(`Cannot use cloud "${name}": ${path} has ${Object.keys(clouds).join(', ') || 'none'}`)
    }
    const secure = await cloudsIn(env.OS_CLIENT_SECURE_FILE || join(dirname(path), 'secure.yaml'))
    const hidden = isJson(secure?.[name]) ? secure[name] : {}
    const auth = { ...objectIn(cloud, 'auth'), ...objectIn(hidden, 'auth') }
    return optionsOf({ ...cloud, ...hidden }, auth)
  }
  throw new UsageError(`Cannot use cloud "${name}": found no ${files.join(' or ')}`)
}

function usualFiles(env: Readonly<Record<string, string | undefined>>): string[] {
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config')
  return ['clouds.yaml', join(config, 'openstack/clouds.yaml'), '/etc/openstack/clouds.yaml']
}

/** Undefined when there is no such file. */
async function cloudsIn(path: string): Promise<Json | undefined> {
  const text = await readFile(path, 'utf8').catch(error => {
    if (error.code === 'ENOENT') return undefined
    throw new UsageError(`Cannot read ${path}: ${messageOf(error)}`)
  })
  if (text === undefined) return undefined
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text)
  const [error] = document.errors
  if (error) throw new UsageError(`Cannot read ${path}: it is no YAML${placeOf(error)}`)
  return objectIn(document.toJS(), 'clouds')
}

function optionsOf(cloud: Json, auth: Json): Cloud {
  const options: { [K in GlobalOption]?: string } = {}
  for (const [key, value] of Object.entries(auth)) {
    const option = `os-${key.replaceAll('_', '-')}`
    if (isOption(option) && isPlain(value)) options[option] = String(value)
  }
  if (isPlain(auth.endpoint)) options['os-endpoint'] = String(auth.endpoint)
  for (const [key, option] of Object.entries(keys)) {
    const value = cloud[key]
    if (isPlain(value)) options[option] = String(value)
  }
  if (cloud.verify === false || cloud.insecure === true) options.insecure = 'true'
  return options
}

function isOption(name: string): name is GlobalOption {
  return Object.hasOwn(globalOptions, name)
}

function isPlain(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function objectIn(object: unknown, key: string): Json {
  const value = isJson(object) ? object[key] : undefined
  return isJson(value) ? value : {}
}
