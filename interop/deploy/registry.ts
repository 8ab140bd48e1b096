/**
 * A real registry (Debian: docker-registry) in a place, open only to a name and a password, and the pushing of a container or a disk
 * image to it as an artifact of one layer. The system's registry is not read.
 * Source: OCI distribution specification 1.1, "Push"; OCI image specification 1.1, "Guidelines for artifact usage"
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { hash } from 'bcrypt'
import type { Layer } from './bootable-container.ts'
import type { Place } from './place.ts'

export interface Registry {
  /** With its port, as machines reach it. It speaks no TLS. */
  readonly host: string
  /** USER:PASSWORD of the only one who is let in. */
  readonly pullSecret: string
  /** Pushes disks as an index under `repository:tag`. @returns the digest of the index */
  push(repository: string, tag: string, disks: readonly Disk[]): Promise<string>
  /** Pushes a container of one layer as `repository:tag`. @returns the digest of its manifest */
  pushContainer(repository: string, tag: string, layer: Layer): Promise<string>
}

export interface Disk {
  readonly file: string
  readonly sha256: string
  readonly disktype: 'raw' | 'qcow2'
  readonly architecture: 'amd64' | 'arm64'
}

const pullSecret = 'puller:a-secret'
const index = 'application/vnd.oci.image.index.v1+json'
const manifest = 'application/vnd.oci.image.manifest.v1+json'
const containerConfig = 'application/vnd.oci.image.config.v1+json'
const containerLayer = 'application/vnd.oci.image.layer.v1.tar+gzip'

export async function startRegistry(place: Place, { port = 5050 } = {}): Promise<Registry> {
  const directory = await place.folder('registry')
  const configuration = join(directory, 'config.yml')
  const passwords = join(directory, 'htpasswd')
  const [user = '', password = ''] = pullSecret.split(':')
  await writeFile(passwords, `${user}:${(await hash(password, 5)).replace('$2b$', '$2y$')}\n`)
  const settings = {
    version: '0.1',
    log: { level: 'warn' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    auth: { htpasswd: { realm: 'registry', path: passwords } },
    http: { addr: `${place.address}:${port}`, secret: 'of this process' },
  }
  // JSON is YAML.
  await writeFile(configuration, JSON.stringify(settings))
  const args = ['serve', configuration]
  await place.server({ name: 'registry', command: '/usr/bin/docker-registry', args, port })
  const base = await place.reach(`http://${place.address}:${port}`)
  return {
    host: `${place.address}:${port}`,
    pullSecret,
    async push(repository, tag, disks) {
      const client = new Pusher(base, repository)
      const config = await client.blob(Buffer.from('{}'))
      const manifests = []
      for (const { file, sha256, disktype, architecture } of disks) {
        const size = await client.file(file, sha256)
        const layers = [{ mediaType: 'application/octet-stream', digest: `sha256:${sha256}`, size }]
        const about = { schemaVersion: 2, mediaType: manifest, artifactType: 'application/x-disk' }
        const made = await client.manifest({
          ...about,
          config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config, size: 2 },
          layers,
        })
        manifests.push({
          mediaType: manifest,
          ...made,
          platform: { architecture, os: 'linux' },
          annotations: { disktype },
        })
      }
      return (await client.manifest({ schemaVersion: 2, mediaType: index, manifests }, tag)).digest
    },
    async pushContainer(repository, tag, { packed, diffId }) {
      const client = new Pusher(base, repository)
      const rootfs = { type: 'layers', diff_ids: [diffId] }
      const about = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs }))
      const config = { mediaType: containerConfig, digest: await client.blob(about), size: about.length }
      const layers = [{ mediaType: containerLayer, digest: await client.blob(packed), size: packed.length }]
      return (await client.manifest({ schemaVersion: 2, mediaType: manifest, config, layers }, tag)).digest
    },
  }
}

class Pusher {
  readonly #base: string
  readonly #repository: string

  constructor(base: string, repository: string) {
    this.#base = base
    this.#repository = repository
  }

  /** @returns its digest */
  async blob(content: Uint8Array): Promise<string> {
    const sha256 = createHash('sha256').update(content).digest('hex')
    await this.#upload(sha256, content, content.length)
    return `sha256:${sha256}`
  }

  /** @returns its size */
  async file(path: string, sha256: string): Promise<number> {
    const { size } = await stat(path)
    await this.#upload(sha256, Readable.toWeb(createReadStream(path)) as ReadableStream, size) // one class, two typings
    return size
  }

  async manifest(content: Readonly<Record<string, unknown>>, tag?: string): Promise<{ digest: string; size: number }> {
    const body = Buffer.from(JSON.stringify(content))
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
    const headers = { 'content-type': String(content.mediaType) }
    await this.#ask('PUT', `${this.#base}/v2/${this.#repository}/manifests/${tag ?? digest}`, { headers, body })
    return { digest, size: body.length }
  }

  async #upload(sha256: string, body: Uint8Array | ReadableStream, size: number): Promise<void> {
    const begun = await this.#ask('POST', `${this.#base}/v2/${this.#repository}/blobs/uploads/`, {})
    const at = new URL(begun.headers.get('location') ?? '', this.#base)
    const { host } = new URL(this.#base)
    at.host = host
    at.searchParams.set('digest', `sha256:${sha256}`)
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) }
    await this.#ask('PUT', at.href, { headers, body })
  }

  async #ask(
    method: string,
    url: string,
    init: Omit<RequestInit, 'method'> & { headers?: Record<string, string> },
  ): Promise<Response> {
    const authorization = `Basic ${Buffer.from(pullSecret).toString('base64')}`
    const asked = { method, duplex: 'half', ...init, headers: { ...init.headers, authorization } }
    const answer = await fetch(url, asked as RequestInit) // duplex is not in the type yet
    if (!answer.ok) throw new Error(`The registry refused ${method} with ${answer.status}: ${await answer.text()}`)
    await answer.body?.cancel()
    return answer
  }
}
