import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { loadConfig, type Overrides } from '#config/load.ts'
import { silent } from '#lib/log.ts'
import { selfSigned } from '#lib/x509.ts'
import { type FakeImageServer, startFakeImageServer } from './fake-image-server.ts'
import { type FileServer, startFileServer } from './file-server.ts'
import { type ImageContext, imageInfo, validateImage } from './instance.ts'
import { releaseInstanceImage } from './published.ts'

const raw = randomBytes(1024 * 1024)
const hash = (bytes: Uint8Array, algo = 'sha256') => createHash(algo).update(bytes).digest('hex')
const uuid = 'a1b2c3d4-0000-4000-8000-000000000001'

let dir: string
let images: FakeImageServer
let qcow2: Buffer
let state: string
let files: FileServer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ferrite-instance-'))
  await mkdir(join(dir, 'allowed'))
  await writeFile(join(dir, 'allowed', 'disk.raw'), raw)
  await promisify(execFile)('qemu-img', [
    'convert',
    '-O',
    'qcow2',
    join(dir, 'allowed', 'disk.raw'),
    join(dir, 'allowed', 'disk.qcow2'),
  ])
  qcow2 = await readFile(join(dir, 'allowed', 'disk.qcow2'))
  await writeFile(join(dir, 'secret'), 'secret')
  await symlink(join(dir, 'secret'), join(dir, 'allowed', 'way-out'))
  await symlink(join(dir, 'allowed', 'disk.raw'), join(dir, 'allowed', 'inside'))
  images = await startFakeImageServer({
    'disk.raw': raw,
    'disk.qcow2': qcow2,
    SUMS: Buffer.from(`${hash(raw)}  disk.raw\n${hash(qcow2)}  disk.qcow2\n`),
    MD5: Buffer.from(hash(raw, 'md5')),
  })
})
after(async () => {
  await images[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(async () => {
  state = await mkdtemp(join(dir, 'state-'))
  images.requests.length = 0
})

async function context(
  instance_info: Record<string, unknown>,
  more: { driver_info?: Record<string, unknown>; properties?: Record<string, unknown>; config?: Overrides } = {},
): Promise<ImageContext & AsyncDisposable> {
  const made = new Map<symbol, object>()
  const config = await loadConfig({
    overrides: {
      DEFAULT: { state_path: state, ...more.config?.DEFAULT },
      conductor: { file_url_allowed_paths: [join(dir, 'allowed')], ...more.config?.conductor },
      deploy: { http_url: `http://127.0.0.1:${files?.port ?? 1}`, ...more.config?.deploy },
      agent: { ...more.config?.agent },
      ferrite: { ...more.config?.ferrite },
    },
  })
  return {
    node: { uuid, instance_info, driver_info: more.driver_info ?? {}, properties: more.properties ?? {} },
    config,
    log: silent,
    signal: new AbortController().signal,
    // One key is one type.
    shared: <T extends object>(key: symbol, make: () => T) => {
      if (!made.has(key)) made.set(key, make())
      return made.get(key) as T
    },
    async [Symbol.asyncDispose]() {
      for (const thing of made.values() as Iterable<Partial<AsyncDisposable>>) await thing[Symbol.asyncDispose]?.()
    },
  }
}

const rawByUrl = () => ({
  image_source: `${images.url}/plain/disk.raw`,
  image_os_hash_algo: 'sha256',
  image_os_hash_value: hash(raw),
  image_disk_format: 'raw',
})

describe('the agent fetches from the source', () => {
  test('URL, checksum and format pass through; the image is not fetched here', async () => {
    await using ctx = await context(rawByUrl())
    assert.deepEqual(await imageInfo(ctx), {
      id: 'disk.raw',
      urls: [`${images.url}/plain/disk.raw`],
      disk_format: 'raw',
      container_format: null,
      stream_raw_images: true,
      node_uuid: uuid,
      os_hash_algo: 'sha256',
      os_hash_value: hash(raw),
    })
    assert.deepEqual(images.requests, ['HEAD /plain/disk.raw'])
  })

  test('redirects are resolved, checksum files read, MD5 sent as Ironic does', async () => {
    await using ctx = await context({
      image_source: `${images.url}/redirect/disk.raw`,
      image_checksum: `${images.url}/plain/SUMS`,
    })
    const info = await imageInfo(ctx)
    assert.deepEqual(
      [info.urls, info.os_hash_algo, info.os_hash_value],
      [[`${images.url}/plain/disk.raw`], 'sha256', hash(raw)],
    )
    await using old = await context({
      image_source: `${images.url}/plain/disk.raw`,
      image_checksum: `${images.url}/plain/MD5`,
    })
    assert.equal((await imageInfo(old)).checksum, hash(raw, 'md5'))
  })

  test('a server that knows no HEAD is asked for a byte', async () => {
    await using ctx = await context({ ...rawByUrl(), image_source: `${images.url}/nohead/disk.raw` })
    await validateImage(ctx)
    assert.deepEqual(images.requests, ['HEAD /nohead/disk.raw', 'GET /nohead/disk.raw'])
  })

  test('with conductor_always_validates_images it is fetched and looked at all the same', async () => {
    const config = { conductor: { conductor_always_validates_images: true } }
    await using ctx = await context(
      { image_source: `${images.url}/plain/disk.qcow2`, image_checksum: hash(qcow2) },
      { config },
    )
    const info = await imageInfo(ctx)
    assert.deepEqual([info.disk_format, info.urls], ['qcow2', [`${images.url}/plain/disk.qcow2`]])
    await using lying = await context(
      { image_source: `${images.url}/plain/disk.qcow2`, image_checksum: hash(qcow2), image_disk_format: 'raw' },
      { config },
    )
    await assert.rejects(imageInfo(lying), /content is qcow2, but image_disk_format says raw/)
  })

  test('proxies and credentials reach the agent', async () => {
    await using secured = await startFakeImageServer({ 'disk.raw': raw }, { user: 'u', password: 'p' })
    const info = { ...rawByUrl(), image_source: `${secured.url}/plain/disk.raw` }
    const deploy = {
      image_server_auth_strategy: 'http_basic',
      image_server_user: 'u',
      image_server_password: 'p',
    } as const
    await using ctx = await context(info, {
      config: { deploy },
      driver_info: { image_http_proxy: 'http://proxy:3128', image_no_proxy: '.local,10.0.0.1:80' },
    })
    const { image_server_user, image_server_password, proxies, no_proxy } = await imageInfo(ctx)
    assert.deepEqual(
      [image_server_user, image_server_password, proxies, no_proxy],
      ['u', 'p', { http: 'http://proxy:3128' }, '.local,10.0.0.1:80'],
    )
    await using stranger = await context(info)
    await assert.rejects(validateImage(stranger), /answers 401 \(unauthorized\)/)
  })

  test('partition images come with their layout', async () => {
    await using ctx = await context({
      ...rawByUrl(),
      image_type: 'partition',
      root_gb: '10',
      swap_mb: 512,
      ephemeral_gb: 1,
    })
    const { image_type, root_mb, swap_mb, ephemeral_mb, ephemeral_format, preserve_ephemeral } = await imageInfo(ctx)
    assert.deepEqual(
      [image_type, root_mb, swap_mb, ephemeral_mb, ephemeral_format, preserve_ephemeral],
      ['partition', 10240, 512, 1024, 'ext4', false],
    )
  })

  test('a partition image is told as it will boot', async () => {
    const info = { ...rawByUrl(), kernel: 'http://k', ramdisk: 'http://r', root_gb: 10 }
    await using ctx = await context({ ...info, capabilities: { disk_label: 'gpt' } })
    const { kernel, ramdisk, root_gb, boot_option, disk_label, deploy_boot_mode } = await imageInfo(ctx)
    assert.deepEqual(
      [kernel, ramdisk, root_gb, boot_option, disk_label, deploy_boot_mode],
      ['http://k', 'http://r', 10, 'local', 'gpt', undefined],
    )
  })
})

describe('the conductor serves the image', () => {
  before(async () => {
    files = await startFileServer({ host: '127.0.0.1', port: 0, root: dir, log: silent })
  })
  after(() => files[Symbol.asyncDispose]())

  const served = async (ctx: ImageContext) => {
    const info = await imageInfo(ctx)
    const path = info.urls[0]?.replace(ctx.config.deploy.http_url, ctx.config.deploy.http_root.slice(dir.length)) ?? ''
    return { info, bytes: Buffer.from(await (await fetch(`http://127.0.0.1:${files.port}${path}`)).arrayBuffer()) }
  }

  test('qcow2 becomes raw with a new checksum, and is found under the URL that the agent gets', async () => {
    await using ctx = await context({
      image_source: `${images.url}/plain/disk.qcow2`,
      image_checksum: hash(qcow2, 'md5'),
      image_download_source: 'local',
    })
    const { info, bytes } = await served(ctx)
    assert.ok(bytes.equals(raw))
    assert.deepEqual(
      [info.disk_format, info.checksum, info.os_hash_algo, info.os_hash_value],
      ['raw', undefined, 'sha256', hash(raw)],
    )
    await served(ctx)
    assert.equal(images.requests.filter(line => line.startsWith('GET')).length, 1)

    const { ino, nlink } = await stat(join(ctx.config.pxe.images_path, uuid, 'disk'))
    assert.equal(nlink, 2)
    await releaseInstanceImage(ctx)
    await releaseInstanceImage(ctx)
    assert.deepEqual(await readdir(ctx.config.pxe.images_path), [])
    assert.deepEqual(await readdir(join(ctx.config.deploy.http_root, 'agent_images')), [])
    const [entry] = await readdir(join(ctx.config.pxe.instance_master_path, 'entries'))
    assert.equal((await stat(join(ctx.config.pxe.instance_master_path, 'entries', entry ?? '', 'image'))).ino, ino)
  })

  test('the algorithm that was asked for is kept', async () => {
    await using ctx = await context({
      image_source: `${images.url}/plain/disk.qcow2`,
      image_os_hash_algo: 'sha512',
      image_os_hash_value: hash(qcow2, 'sha512'),
      image_download_source: 'local',
    })
    const info = await imageInfo(ctx)
    assert.deepEqual([info.os_hash_algo, info.os_hash_value], ['sha512', hash(raw, 'sha512')])
  })

  test('raw keeps its checksum', async () => {
    await using ctx = await context(
      { image_source: `${images.url}/plain/disk.raw`, image_checksum: hash(raw, 'md5') },
      { driver_info: { image_download_source: 'local' } },
    )
    const { info, bytes } = await served(ctx)
    assert.ok(bytes.equals(raw))
    assert.deepEqual([info.disk_format, info.checksum, info.os_hash_algo], ['raw', hash(raw, 'md5'), undefined])
  })

  test('without force_raw_images nothing is converted', async () => {
    await using ctx = await context(
      { image_source: `file://${dir}/allowed/disk.qcow2` },
      { config: { DEFAULT: { force_raw_images: false } } },
    )
    const { info, bytes } = await served(ctx)
    assert.ok(bytes.equals(qcow2))
    assert.deepEqual([info.disk_format, info.os_hash_value], ['qcow2', hash(qcow2)])
  })

  test('a file needs no checksum; when it changes, the new content is taken', async () => {
    const path = join(dir, 'allowed', 'changing.raw')
    await writeFile(path, raw)
    await using ctx = await context({ image_source: `FILE://${path}` })
    assert.equal((await imageInfo(ctx)).os_hash_value, hash(raw))
    const fresh = randomBytes(5000)
    await writeFile(path, fresh)
    const { info, bytes } = await served(ctx)
    assert.ok(bytes.equals(fresh))
    assert.equal(info.os_hash_value, hash(fresh))
  })

  test('instance_info wins over driver_info, driver_info over the configuration', async () => {
    const config = { agent: { image_download_source: 'local' } } as const
    await using passed = await context(
      { ...rawByUrl(), image_download_source: 'http' },
      { driver_info: { image_download_source: 'local' }, config },
    )
    assert.deepEqual((await imageInfo(passed)).urls, [`${images.url}/plain/disk.raw`])
    await using driver = await context(rawByUrl(), { driver_info: { image_download_source: 'http' }, config })
    assert.deepEqual((await imageInfo(driver)).urls, [`${images.url}/plain/disk.raw`])
    await using configured = await context(rawByUrl(), { config })
    assert.match((await imageInfo(configured)).urls[0] ?? '', new RegExp(`agent_images/${uuid}$`))
  })

  test('our agents are offered the chunked form, and find it where it says', async () => {
    const asked = { image_source: `${images.url}/plain/disk.qcow2`, image_checksum: hash(qcow2, 'md5') }
    const how = { driver_info: { image_download_source: 'local' } }
    const get = async (ctx: ImageContext, url = '') => {
      const path = url.replace(ctx.config.deploy.http_url, ctx.config.deploy.http_root.slice(dir.length))
      return Buffer.from(await (await fetch(`http://127.0.0.1:${files.port}${path}`)).arrayBuffer())
    }
    await using ctx = await context(asked, how)
    assert.equal((await imageInfo({ ...ctx, agent: { version: '11.1.0' } })).ferrite_chunked, undefined)
    const [entry = ''] = await readdir(join(ctx.config.pxe.instance_master_path, 'entries'))
    const entryFiles = () => readdir(join(ctx.config.pxe.instance_master_path, 'entries', entry))
    assert.deepEqual(await entryFiles(), ['entry.json', 'image'], 'nothing is made that nobody takes')

    for (const agent of [null, { version: '12.0.0+ferrite.0.1.0' }]) {
      const { ferrite_chunked: offered } = await imageInfo({ ...ctx, agent })
      assert.equal(hash(await get(ctx, offered?.manifest_url)), offered?.manifest_sha256)
      assert.ok((await get(ctx, offered?.data_url)).equals(raw), 'noise is stored as it is')
    }
    assert.equal(images.requests.filter(line => line.startsWith('GET')).length, 1)
    await releaseInstanceImage(ctx)
    assert.deepEqual(await readdir(join(ctx.config.deploy.http_root, 'agent_images')), [])

    await using partition = await context({ ...asked, image_type: 'partition', root_gb: 1 }, how)
    assert.equal((await imageInfo(partition)).ferrite_chunked, undefined)
    await using off = await context(asked, { ...how, config: { ferrite: { chunked_images: false } } })
    assert.equal((await imageInfo(off)).ferrite_chunked, undefined)
  })

  test('an image that vanishes between HEAD and GET', async () => {
    await using ctx = await context({
      ...rawByUrl(),
      image_source: `${images.url}/vanish/disk.raw`,
      image_download_source: 'local',
    })
    await assert.rejects(imageInfo(ctx), /the server answers 404; expected 200/)
  })
})

describe('what cannot be deployed is refused with its reason', () => {
  const url = (path: string) => ({ ...rawByUrl(), image_source: images.url + path })
  const cases: [string, () => Record<string, unknown>, RegExp][] = [
    ['no source', () => ({}), /image_source is not set; expected an http, https or file URL/],
    [
      'a bare path',
      () => ({ image_source: '/srv/disk.raw' }),
      /which is no URL; for a file of this host write file:\/\/\/srv\/disk\.raw/,
    ],
    ['Glance without Glance', () => ({ image_source: uuid }), /\[glance\] has neither auth_url nor endpoint_override/],
    ['OCI', () => ({ image_source: 'oci://h/i@sha256:12' }), /names nothing in a registry; expected oci:\/\/HOST/],
    ['NFS', () => ({ image_source: 'nfs://h/i' }), /begins with nfs:\/\/, which only BMCs can read/],
    ['another scheme', () => ({ image_source: 'ftp://h/i' }), /begins with ftp:\/\/; expected/],
    ['404', () => url('/plain/none'), /\/plain\/none: the server answers 404 \(not found\); expected 200/],
    ['a loop of redirects', () => url('/loop/x'), /redirects more than ten times/],
    [
      'a redirect out of HTTP',
      () => url('/elsewhere/file:/etc/passwd'),
      /it redirects to .*; expected an http or https URL/,
    ],
    [
      'nobody listens',
      () => ({ ...rawByUrl(), image_source: 'http://127.0.0.1:1/x' }),
      /nothing listens on 127\.0\.0\.1:1/,
    ],
    [
      'no such name',
      () => ({ ...rawByUrl(), image_source: 'http://none.invalid/x' }),
      /the name none\.invalid cannot be resolved/,
    ],
    [
      'no checksum',
      () => ({ image_source: `${images.url}/plain/disk.raw` }),
      /instance_info has no checksum; expected image_checksum/,
    ],
    [
      'a malformed checksum',
      () => ({ image_source: `${images.url}/plain/disk.raw`, image_checksum: 'xyz' }),
      /image_checksum is not hexadecimal/,
    ],
    [
      'a checksum file that is not there',
      () => ({ image_source: `${images.url}/plain/disk.raw`, image_checksum: `${images.url}/plain/NO` }),
      /Cannot fetch the checksum file .*NO: the server answers 404/,
    ],
    [
      'a checksum file without the image',
      () => ({ image_source: `${images.url}/plain/other`, image_checksum: `${images.url}/plain/SUMS` }),
      /answers 404/,
    ],
    [
      'image type',
      () => ({ ...rawByUrl(), image_type: 'disk' }),
      /image_type is "disk"; expected whole-disk or partition/,
    ],
    ['a partition image without size', () => ({ ...rawByUrl(), kernel: 'k', ramdisk: 'r' }), /root_gb is not set/],
    ['swap on a whole disk', () => ({ ...rawByUrl(), swap_mb: 5 }), /expected image_type partition/],
    [
      'download source',
      () => ({ ...rawByUrl(), image_download_source: 'ftp' }),
      /instance_info image_download_source is "ftp"; expected http, local or swift/,
    ],
    [
      'a file outside',
      () => ({ image_source: `file://${dir}/secret` }),
      /not below a directory of \[conductor\] file_url_allowed_paths/,
    ],
    ['a file by dots', () => ({ image_source: `file://${dir}/allowed/../secret` }), /not below a directory/],
    ['a link to the outside', () => ({ image_source: `file://${dir}/allowed/way-out` }), /not below a directory/],
    ['a file of the system', () => ({ image_source: 'file:///etc/passwd' }), /files of \/dev, .* are never images/],
    ['a missing file', () => ({ image_source: `file://${dir}/allowed/none` }), /there is no such file on this host/],
    ['a directory', () => ({ image_source: `file://${dir}/allowed` }), /not a regular file/],
  ]
  for (const [name, info, expected] of cases) {
    test(name, async () => {
      await using ctx = await context(info())
      await assert.rejects(validateImage(ctx), expected)
    })
  }

  test('a link inside is fine; no allowed paths allow nothing', async () => {
    await using inside = await context({ image_source: `file://${dir}/allowed/inside` })
    await validateImage(inside)
    await using none = await context(
      { image_source: `file://${dir}/allowed/disk.raw` },
      { config: { conductor: { file_url_allowed_paths: [] } } },
    )
    await assert.rejects(validateImage(none), /file_url_allowed_paths is empty/)
  })

  test('an image that the ramdisk cannot hold', async () => {
    const info = { image_source: `${images.url}/plain/disk.qcow2`, image_checksum: hash(qcow2) }
    await using large = await context(info, { properties: { memory_mb: 1 } })
    await assert.rejects(validateImage(large), /takes 2 MiB, and the node has memory_mb 1/)
    await using streamed = await context(rawByUrl(), { properties: { memory_mb: 0.5 } })
    await validateImage(streamed)
    await using local = await context({ ...info, image_download_source: 'local' }, { properties: { memory_mb: 1 } })
    await validateImage(local)
  })

  test('MD5 where it is forbidden, proxies that are none', async () => {
    await using md5 = await context(
      { image_source: `${images.url}/plain/disk.raw`, image_checksum: `${images.url}/plain/MD5` },
      { config: { agent: { allow_md5_checksum: false } } },
    )
    await assert.rejects(validateImage(md5), /allow_md5_checksum/)
    await using proxy = await context(rawByUrl(), { driver_info: { image_https_proxy: 'socks5://x' } })
    await assert.rejects(validateImage(proxy), /image_https_proxy is not an http or https URL/)
    await using noProxy = await context(rawByUrl(), { driver_info: { image_no_proxy: '*.local' } })
    await assert.rejects(validateImage(noProxy), /image_no_proxy has "\*\.local"/)
  })

  test('a certificate that nobody vouches for, unless it is configured', async () => {
    const day = 86_400_000
    const validity = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) }
    const { keyPem: key, certPem: cert } = selfSigned({ commonName: 'images', ipAddresses: ['127.0.0.1'], ...validity })
    await writeFile(join(state, 'ca.pem'), cert)
    const server = createServer({ key, cert }, (_request, response) =>
      response.writeHead(200, { 'content-length': raw.length }).end(),
    )
    await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
    // A listening TCP server has such an address.
    const info = { ...rawByUrl(), image_source: `https://127.0.0.1:${(server.address() as AddressInfo).port}/disk.raw` }
    try {
      await using stranger = await context(info)
      await assert.rejects(validateImage(stranger), /its certificate is not trusted .*webserver_verify_ca/)
      await using trusted = await context(info, { config: { DEFAULT: { webserver_verify_ca: join(state, 'ca.pem') } } })
      await validateImage(trusted)
      await using careless = await context(info, { config: { DEFAULT: { webserver_verify_ca: false } } })
      await validateImage(careless)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})
