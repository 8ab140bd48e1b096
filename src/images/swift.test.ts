import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Overrides } from '#config/load.ts'
import { startFakeKeystone } from '#server/auth/fake-keystone.ts'
import { type FakeObjectStore, type FakeObjectStoreOptions, startFakeObjectStore } from './fake-object-store.ts'
import { imageInfo, validateImage } from './instance.ts'
import { imageContext } from './test-context.ts'

const id = 'fdae39a1-bac5-4238-aba4-69bcc726e848'
const content = randomBytes(10_000)
const md5 = createHash('md5').update(content).digest('hex')
const about = { disk_format: 'raw', size: content.length, checksum: md5, visibility: 'private' }

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-swift-'))
})
after(() => rm(directory, { recursive: true, force: true }))

function start(more: Partial<FakeObjectStoreOptions> = {}): Promise<FakeObjectStore> {
  return startFakeObjectStore({ key: 'a key', digest: 'sha256', images: { [id]: { content, about } }, ...more })
}

/** Nobody logs in: addresses, account and key are in the configuration. */
function context(
  store: FakeObjectStore,
  glance: Overrides['glance'] = {},
  instance_info: Record<string, unknown> = {},
) {
  const options = {
    endpoint_override: store.url,
    swift_endpoint_url: store.url,
    swift_account: 'AUTH_of_glance',
    swift_temp_url_key: 'a key',
    ...glance,
  }
  const node = { instance_info: { image_source: id, image_download_source: 'swift', ...instance_info } }
  return imageContext(directory, node, { glance: options })
}

test('RadosGW: the prefix of its URLs is not signed; an account in the endpoint is not named twice', async () => {
  await using store = await start({ prefix: '/swift', digest: 'sha1' })
  for (const endpoint of ['/swift', '/swift/v1/AUTH_of_somebody', '/swift/v1/AUTH_of_somebody/']) {
    await using ctx = await context(store, { swift_endpoint_url: `${store.url}${endpoint}` })
    const { urls, checksum } = await imageInfo(ctx)
    assert.match(urls[0] ?? '', new RegExp(`^${store.url}/swift/v1/AUTH_of_glance/glance/${id}\\?temp_url_sig=`))
    assert.equal(checksum, md5)
    assert.deepEqual(Buffer.from(await (await fetch(urls[0] ?? '')).arrayBuffer()), content)
  }
})

test('the digest is one that the server says it takes, else one that it does take', async () => {
  const signature = async (more: Partial<FakeObjectStoreOptions>) => {
    await using store = await start(more)
    await using ctx = await context(store)
    const url = new URL((await imageInfo(ctx)).urls[0] ?? '')
    return url.searchParams.get('temp_url_sig')?.length
  }
  assert.equal(await signature({ allowedDigests: ['sha1', 'sha256', 'sha512'] }), 64)
  assert.equal(await signature({ allowedDigests: ['sha1'], digest: 'sha1' }), 40)
  assert.equal(await signature({ digest: 'sha1' }), 40)
})

test('a URL that is good for the boot of a ramdisk is handed out again, until its key was changed', async () => {
  await using store = await start()
  const cached = { swift_temp_url_cache_enabled: true, swift_temp_url_duration: 100 }
  await using ctx = await context(store, { ...cached, swift_temp_url_expected_download_start_delay: 50 })
  const urlOf = async () => (await imageInfo(ctx)).urls[0]
  const first = await urlOf()
  await new Promise(resolve => setTimeout(resolve, 1100)) // another would end a second later
  assert.equal(await urlOf(), first)
  store.changeKey('another key')
  await assert.rejects(urlOf(), /refuses its temporary URL with 401; expected the key that signs/)

  await using short = await context(store, { ...cached, swift_temp_url_key: 'another key' })
  const began = await imageInfo(short)
  await new Promise(resolve => setTimeout(resolve, 1100))
  Object.assign(short.config.glance, { swift_temp_url_expected_download_start_delay: 99 })
  await new Promise(resolve => setTimeout(resolve, 1100))
  assert.notEqual((await imageInfo(short)).urls[0], began.urls[0], 'it would have ended too early')
})

test('an MD5 of Glance is refused where MD5 is forbidden; its SHA-512 is taken before', async () => {
  await using store = await start()
  await using ctx = await context(store)
  Object.assign(ctx.config.agent, { allow_md5_checksum: false })
  await assert.rejects(validateImage(ctx), /MD5, which \[agent\] allow_md5_checksum forbids/)
  const sha512 = createHash('sha512').update(content).digest('hex')
  const better = { ...about, os_hash_algo: 'sha512', os_hash_value: sha512 }
  await using newer = await start({ images: { [id]: { content, about: better } } })
  await using second = await context(newer)
  Object.assign(second.config.agent, { allow_md5_checksum: false })
  assert.equal((await imageInfo(second)).os_hash_value, sha512)
})

test('an image without any hash is not for agents to fetch', async () => {
  const { checksum: _, ...bare } = about
  await using store = await start({ images: { [id]: { content, about: bare } } })
  await using ctx = await context(store)
  await assert.rejects(validateImage(ctx), /Glance knows no hash of it, and instance_info has no checksum; expected/)
  const given = { image_os_hash_algo: 'md5', image_os_hash_value: md5 }
  await using known = await context(store, {}, given)
  assert.equal((await imageInfo(known)).checksum, md5)
})

test('images that hold no data yet, and a Glance that is away', async () => {
  await using queued = await start({ images: { [id]: { content, about: { ...about, status: 'queued' } } } })
  await using waiting = await context(queued)
  await assert.rejects(validateImage(waiting), /it is queued in Glance; expected active/)
  await using unknown = await context(queued, {}, { image_source: `glance://${id.replace('f', 'a')}` })
  await assert.rejects(validateImage(unknown), /Glance answers 404/)
  const store = await start()
  await store[Symbol.asyncDispose]()
  await using away = await context(store, { num_retries: 1 })
  await assert.rejects(validateImage(away), /Glance at http:.* does not answer, asked 2 times/)
  await using malformed = await context(store, {}, { image_source: 'glance://some-image' })
  await assert.rejects(validateImage(malformed), /names no image of Glance; expected glance:\/\/UUID/)
})

test('what others keep private is for administrators, as long as that is wanted', async () => {
  const foreign = { ...about, owner: 'somebody-else' }
  await using store = await start({ images: { [id]: { content, about: foreign } } })
  await using keystone = await startFakeKeystone()
  const login = {
    auth_url: keystone.url,
    ...{ username: 'ironic', password: 'service-secret', user_domain_id: 'default' },
    ...{ project_name: 'service', project_domain_id: 'default' },
  }
  await using ctx = await context(store, login)
  await assert.rejects(validateImage(ctx), /it is private and belongs to project somebody-else; expected it public/)
  const asked = { ...ctx, node: { ...ctx.node, driver_internal_info: { asked_by_admin: true } } }
  await validateImage(asked)
  Object.assign(ctx.config.DEFAULT, { ignore_project_check_for_admin_tasks: false })
  await assert.rejects(validateImage(asked), /belongs to project somebody-else/)
})
