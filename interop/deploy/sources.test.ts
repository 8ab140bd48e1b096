/**
 * Where images come from, with the real Keystone, Glance, Swift, Squid and registry, but without machines: what the service tells
 * an agent, and what our agent fetches by it. `npm run interop:deploy` boots machines with the same servers.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { AgentContext } from '#agent/context.ts'
import { openImage } from '#agent/image/source.ts'
import { defaultOptions } from '#agent/options.ts'
import { readSettings } from '#agent/settings.ts'
import { Store } from '#agent/store.ts'
import { loadConfig, type Overrides } from '#config/load.ts'
import { startFileServer } from '#images/file-server.ts'
import { type ImageContext, imageInfo, validateImage } from '#images/instance.ts'
import { forRegistry, forSquid } from '#lab/host-packages.ts'
import { freePorts } from '#lab/service-process.ts'
import { silent } from '#lib/log.ts'
import type { ImageInfo } from '#protocol/agent.ts'
import { whyMissing } from '../clients/packages.ts'
import { forOpenstack, type Openstack, startOpenstack } from './openstack.ts'
import { LoopbackPlace } from './place.ts'
import { startRegistry } from './registry.ts'
import { type Squid, startSquid } from './squid.ts'

const missing = await whyMissing([...forOpenstack, ...forSquid, ...forRegistry])
const content = randomBytes(5 * 1024 * 1024)
const sha512 = createHash('sha512').update(content).digest('hex')
const key = 'the first key'
const seed = 3

describe('sources of images', { skip: missing }, () => {
  let directory: string
  let place: LoopbackPlace
  let openstack: Openstack
  let squid: Squid
  let file: string
  let publicImage: string

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ferrite-sources-'))
    file = join(directory, 'disk.raw')
    await writeFile(file, content)
    place = await LoopbackPlace.open()
    const [keystone = 0, glance = 0, proxy = 0, account = 0, container = 0, object = 0, squidPort = 0] =
      await freePorts(7)
    const at = { keystone, glance, proxy, account, container, object }
    openstack = await startOpenstack(place, { at, containersSeed: seed })
    squid = await startSquid(place, { port: squidPort })
    publicImage = await openstack.uploader.upload({ file, disk_format: 'raw', visibility: 'public' })
  })
  after(async () => {
    await openstack?.[Symbol.asyncDispose]()
    await place?.[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  beforeEach(() => openstack.setAccount({ 'x-account-meta-temp-url-key': key, 'x-account-meta-temp-url-key-2': '' }))

  /** What the service knows of a node, with memory of its own. */
  async function service(glance: Overrides['glance'] = {}, more: Overrides = {}): Promise<Service> {
    const made = new Map<symbol, object>()
    const shared: ImageContext['shared'] = (name, make) => {
      if (!made.has(name)) made.set(name, make())
      return made.get(name) as ReturnType<typeof make> // one key is one type
    }
    const config = await loadConfig({
      overrides: {
        ...more,
        DEFAULT: { state_path: join(directory, 'state') },
        glance: { ...openstack.config.glance, swift_store_multiple_containers_seed: seed, ...glance },
        swift: openstack.config.swift,
      },
    })
    return {
      about(instance_info, driver_info = {}) {
        const node = { uuid: 'a1b2c3d4-0000-4000-8000-000000000001', instance_info, driver_info, properties: {} }
        return { node, config, log: silent, signal: AbortSignal.timeout(120_000), agent: null, shared }
      },
      async [Symbol.asyncDispose]() {
        for (const thing of made.values() as Iterable<Partial<AsyncDisposable>>) await thing[Symbol.asyncDispose]?.()
      },
    }
  }
  interface Service extends AsyncDisposable {
    about(instance_info: Record<string, unknown>, driver_info?: Record<string, unknown>): ImageContext
  }

  const bySwift = (image = publicImage) => ({ image_source: image, image_download_source: 'swift' })

  it('Swift: the agent fetches by a temporary URL that needs no login; hash and format are those of Glance', async () => {
    await using ferrite = await service()
    const info = await imageInfo(ferrite.about(bySwift()))
    assert.deepEqual([info.os_hash_algo, info.os_hash_value, info.disk_format], ['sha512', sha512, 'raw'])
    assert.equal(info.container_format, 'bare')
    assert.match(
      info.urls[0] ?? '',
      new RegExp(`/v1/AUTH_${openstack.serviceProject}/glance_${publicImage.slice(0, seed)}/`),
    )
    assert.match(info.urls[0] ?? '', /temp_url_sig=[0-9a-f]{64}&/, 'SHA-256, for this Swift takes it')
    assert.deepEqual(await fetched(info), content)
  })

  it('Swift: the second key of the account signs while there is one', async () => {
    await using ferrite = await service()
    await openstack.setAccount({ 'x-account-meta-temp-url-key-2': 'the second key' })
    const info = await imageInfo(ferrite.about(bySwift()))
    await openstack.setAccount({ 'x-account-meta-temp-url-key': 'a new first key' })
    assert.deepEqual(await fetched(info), content, 'changing the first key leaves it valid')
  })

  it('Swift: a URL is handed out again with the cache, and signed anew once its key was changed', async () => {
    await using ferrite = await service({ swift_temp_url_cache_enabled: true })
    const urlOf = async () => (await imageInfo(ferrite.about(bySwift()))).urls[0]
    const first = await urlOf()
    await new Promise(resolve => setTimeout(resolve, 1100)) // the end of another would be a second later
    assert.equal(await urlOf(), first)
    await openstack.setAccount({ 'x-account-meta-temp-url-key': 'another key' })
    assert.notEqual(await urlOf(), first)
  })

  it('Swift: without the cache each has its own', async () => {
    await using ferrite = await service()
    const urlOf = async () => (await imageInfo(ferrite.about(bySwift()))).urls[0]
    const first = await urlOf()
    await new Promise(resolve => setTimeout(resolve, 1100))
    assert.notEqual(await urlOf(), first)
  })

  it('Swift: a wrong key, no key, another container: what to mend', async () => {
    await using wrong = await service({ swift_temp_url_key: 'not this one' })
    await assert.rejects(validateImage(wrong.about(bySwift())), (error: Error) => {
      assert.match(
        error.message,
        /refuses its temporary URL with 401; expected the key that signs \(\[glance\] swift_temp/,
      )
      assert.doesNotMatch(error.message, /not this one|temp_url_sig/)
      return true
    })
    await using elsewhere = await service({ swift_store_multiple_containers_seed: 0 })
    await assert.rejects(
      validateImage(elsewhere.about(bySwift())),
      /has no \/v1\/AUTH_.*see \[glance\] swift_container/,
    )
    await openstack.setAccount({ 'x-account-meta-temp-url-key': '' })
    await using none = await service()
    await assert.rejects(
      validateImage(none.about(bySwift())),
      /tells no key of the account .*swift post -m Temp-URL-Key/,
    )
  })

  it('Swift: an agent that comes too late is told that the URL has expired', async () => {
    await using ferrite = await service({ swift_temp_url_duration: 20 })
    const info = await imageInfo(ferrite.about(bySwift()))
    const end = Number(new URL(info.urls[0] ?? '').searchParams.get('temp_url_expires')) * 1000
    while (Date.now() < end + 1100) await new Promise(resolve => setTimeout(resolve, 100))
    await assert.rejects(fetched(info), (error: Error) => {
      assert.match(error.message, /answered 401: its temporary URL expired \d+ s ago.*swift_temp_url_duration/)
      assert.doesNotMatch(error.message, /temp_url_sig/)
      return true
    })
  })

  it('Glance: the service fetches with its login, checks by the hash of Glance, and serves', async () => {
    const [port = 0] = await freePorts(1)
    const http_root = join(directory, 'http')
    const deploy = { http_url: `http://127.0.0.1:${port}`, http_root }
    await using ferrite = await service({}, { deploy })
    const info = await imageInfo(ferrite.about({ image_source: `glance://${publicImage}` }))
    assert.deepEqual([info.os_hash_algo, info.os_hash_value, info.disk_format], ['sha512', sha512, 'raw'])
    await using _server = await startFileServer({ root: http_root, host: '127.0.0.1', port, log: silent })
    assert.deepEqual(await fetched(info), content)
  })

  it('Glance: an image of others is not deployed until it is shared with the project of [glance]', async () => {
    const { uploader, serviceProject } = openstack
    const secret = await uploader.upload({ file, disk_format: 'raw', visibility: 'private' })
    const shared = await uploader.upload({ file, disk_format: 'raw', visibility: 'shared' })
    await using ferrite = await service()
    await assert.rejects(validateImage(ferrite.about({ image_source: secret })), /Cannot use image glance:/)
    await assert.rejects(validateImage(ferrite.about({ image_source: shared })), /Cannot use image glance:/)
    await uploader.share(shared, serviceProject)
    await validateImage(ferrite.about({ image_source: shared }))
  })

  it('Glance: kernel, ramdisk and type of its properties make a partition image', async () => {
    const properties = { kernel_id: publicImage, ramdisk_id: publicImage }
    const image = await openstack.uploader.upload({ file, disk_format: 'raw', visibility: 'public', properties })
    await using ferrite = await service()
    await assert.rejects(validateImage(ferrite.about({ image_source: image })), /root_gb/)
    const info = await imageInfo(ferrite.about({ ...bySwift(image), root_gb: 3 }))
    assert.deepEqual([info.image_type, info.root_mb], ['partition', 3072])
  })

  it('Squid: what the first agent fetched comes out of the cache for the second', async () => {
    await using ferrite = await service({ swift_temp_url_cache_enabled: true })
    const driverInfo = { image_http_proxy: squid.url }
    const before = (await squid.requests()).length
    assert.deepEqual(await fetched(await imageInfo(ferrite.about(bySwift(), driverInfo))), content)
    await new Promise(resolve => setTimeout(resolve, 1100))
    assert.deepEqual(await fetched(await imageInfo(ferrite.about(bySwift(), driverInfo))), content)
    const [first = '', second = '', ...more] = (await squid.requests()).slice(before)
    assert.deepEqual(more, [], 'only the agents go through the proxy')
    assert.match(first, / TCP_MISS\/200 .* GET$/)
    assert.match(second, / TCP_(MEM_)?HIT\/200 .* GET$/)
  })

  it('Squid: hosts of image_no_proxy are fetched past it; one that is down is named', async () => {
    await using ferrite = await service()
    const before = (await squid.requests()).length
    const past = { image_http_proxy: squid.url, image_no_proxy: '127.0.0.1' }
    assert.deepEqual(await fetched(await imageInfo(ferrite.about(bySwift(), past))), content)
    assert.equal((await squid.requests()).length, before)
    const [dead = 0] = await freePorts(1)
    const down = await imageInfo(ferrite.about(bySwift(), { image_http_proxy: `http://127.0.0.1:${dead}` }))
    await assert.rejects(
      fetched(down),
      new RegExp(`through the proxy http://127.0.0.1:${dead} of driver_info image_http_proxy`),
    )
  })

  it('Registry: the raw disk of the architecture of the node, with the login that the service found for the agent', async () => {
    const [port = 0] = await freePorts(1)
    const registry = await startRegistry(place, { port })
    const sha256 = createHash('sha256').update(content).digest('hex')
    const other = join(directory, 'other')
    await writeFile(other, 'of another architecture')
    const digest = await registry.push('team/disk', '1', [
      {
        file: other,
        sha256: createHash('sha256').update('of another architecture').digest('hex'),
        disktype: 'raw',
        architecture: 'arm64',
      },
      { file, sha256, disktype: 'raw', architecture: 'amd64' },
    ])
    await using ferrite = await service({}, { oci: { permit_fallback_to_http_transport: true } })
    for (const reference of [':1', `@${digest}`]) {
      const image_source = `oci://${registry.host}/team/disk${reference}`
      const ctx = ferrite.about({ image_source, image_pull_secret: registry.pullSecret })
      Object.assign(ctx.node.properties, { cpu_arch: 'x86_64' })
      const info = await imageInfo(ctx)
      assert.deepEqual([info.os_hash_value, info.disk_format], [sha256, 'raw'])
      assert.deepEqual(await fetched(info), content)
      await assert.rejects(validateImage(ferrite.about({ image_source })), /wants a name and a password/)
    }
  })

  /** As our agent does. */
  async function fetched(info: ImageInfo): Promise<Buffer> {
    const agent: AgentContext = {
      options: { ...defaultOptions(), downloadRetries: 1, downloadRetryPauseMs: 10 },
      settings: readSettings(['--temp-dir', directory], {}),
      store: new Store(await mkdtemp(join(directory, 'agent-'))),
      log: { info() {}, warn() {}, error() {}, debug() {} },
      node: null,
    }
    const image = await openImage(agent, info, AbortSignal.timeout(120_000))
    const chunks: Uint8Array[] = []
    for await (const chunk of image.chunks()) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  }
})
