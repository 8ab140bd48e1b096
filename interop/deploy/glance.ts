/**
 * A real Glance (Debian: python3-glance) that keeps its images in a Swift, behind a Keystone, and a user who uploads to
 * it. Its database is SQLite in a directory of its own; nothing of the system's Glance is read or changed.
 */
import { createReadStream } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from '#lib/run.ts'
import type { KeystoneAccess } from '../clients/keystone.ts'
import type { Place } from './place.ts'
import { loginLines } from './swift.ts'

const python = '/usr/bin/python3'
const command = (module: string) => `import sys; sys.argv[0] = "glance"; from glance.cmd.${module} import main; main()`

export interface GlanceOptions {
  readonly keystone: KeystoneAccess
  readonly port: number
  /** swift_store_multiple_containers_seed */
  readonly containersSeed?: number
}

/** @returns its URL */
export async function startGlance(
  place: Place,
  { keystone, port, containersSeed = 0 }: GlanceOptions,
): Promise<string> {
  const { address } = place
  const directory = await place.folder('glance')
  const configuration = join(directory, 'glance-api.conf')
  const store = join(directory, 'swift-store.conf')
  const paste = join(directory, 'paste.ini')
  await writeFile(paste, pasteConfiguration)
  await writeFile(
    store,
    [
      '[one]',
      'user = service:ferrite',
      `key = ${keystone.password}`,
      `auth_address = ${keystone.url}`,
      'auth_version = 3',
      'user_domain_id = default',
      'project_domain_id = default',
      '',
    ].join('\n'),
  )
  await writeFile(
    configuration,
    [
      '[DEFAULT]',
      `bind_host = ${address}`,
      `bind_port = ${port}`,
      'workers = 0',
      'show_multiple_locations = false',
      '[database]',
      `connection = sqlite:///${join(directory, 'glance.db')}`,
      '[paste_deploy]',
      'flavor = keystone',
      `config_file = ${paste}`,
      '[keystone_authtoken]',
      ...loginLines(keystone),
      '[glance_store]',
      'stores = swift',
      'default_store = swift',
      `swift_store_config_file = ${store}`,
      'default_swift_reference = one',
      'swift_store_create_container_on_put = true',
      'swift_store_container = glance',
      `swift_store_multiple_containers_seed = ${containersSeed}`,
      'swift_store_endpoint_type = internalURL',
      '',
    ].join('\n'),
  )
  await run(python, ['-c', command('manage'), '--config-file', configuration, 'db', 'sync'])
  const args = ['-c', command('api'), '--config-file', configuration]
  await place.server({ name: 'glance', command: python, args, port })
  return `http://${address}:${port}`
}

export interface Upload {
  readonly file: string
  readonly disk_format: 'raw' | 'qcow2'
  readonly visibility: 'public' | 'private' | 'shared' | 'community'
  readonly properties?: Readonly<Record<string, string>>
}

/** Somebody who is an administrator of a project. */
export class GlanceUser {
  readonly #glance: string
  readonly #token: string

  private constructor(glance: string, token: string) {
    this.#glance = glance
    this.#token = token
  }

  /** @param keystone @param glance as this process reaches them */
  static async signIn(keystone: KeystoneAccess, glance: string): Promise<GlanceUser> {
    return new GlanceUser(glance, await tokenOf(keystone, { user: 'project-admin', project: 'red' }))
  }

  /** @returns the ID of the image, once it is active */
  async upload({ file, disk_format, visibility, properties = {} }: Upload): Promise<string> {
    const about = { name: 'image', container_format: 'bare', disk_format, visibility, ...properties }
    const { id } = (await (await this.#ask('POST', '/v2/images', JSON.stringify(about))).json()) as { id: string } // as documented
    const body = Readable.toWeb(createReadStream(file, { highWaterMark: 1024 * 1024 })) as ReadableStream // one class, two typings
    const headers = { 'content-length': String((await stat(file)).size) }
    await this.#ask('PUT', `/v2/images/${id}/file`, body, { 'content-type': 'application/octet-stream', ...headers })
    return id
  }

  async share(id: string, project: string): Promise<void> {
    await this.#ask('POST', `/v2/images/${id}/members`, JSON.stringify({ member: project }))
  }

  async #ask(
    method: string,
    path: string,
    body: string | ReadableStream,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ): Promise<Response> {
    const init = { method, body, duplex: 'half', headers: { ...headers, 'x-auth-token': this.#token } }
    const answer = await fetch(this.#glance + path, init as RequestInit) // duplex is not in the type yet
    if (!answer.ok) throw new Error(`Glance refused ${method} ${path} with ${answer.status}: ${await answer.text()}`)
    return answer
  }
}

/** A token of a user of the tests' Keystone. */
export async function tokenOf(
  { url, password }: KeystoneAccess,
  { user, project }: { user: string; project: string },
): Promise<string> {
  const domain = { id: 'default' }
  const identity = { methods: ['password'], password: { user: { name: user, domain, password } } }
  const body = JSON.stringify({ auth: { identity, scope: { project: { name: project, domain } } } })
  const answer = await fetch(`${url}/auth/tokens`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
  const token = answer.headers.get('x-subject-token')
  if (token === null) throw new Error(`Keystone does not sign in ${user}: ${await answer.text()}`)
  await answer.body?.cancel()
  return token
}

const pasteConfiguration = `[pipeline:glance-api-keystone]
pipeline = versionnegotiation authtoken context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
`
