import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { Overrides } from '#config/load.ts'
import { selfSigned } from '#lib/x509.ts'
import { startFakeImageServer } from './fake-image-server.ts'
import { type FakeRegistry, type FakeRegistryOptions, startFakeRegistry } from './fake-registry.ts'
import { type ImageContext, imageInfo, validateImage } from './instance.ts'
import { ociReference } from './oci.ts'
import { imageContext } from './test-context.ts'

const repository = 'team/debian'
const raw = randomBytes(256 * 1024)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: `sha256:${sha256(Buffer.from('{}'))}`, size: 2 }

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-oci-'))
})
after(() => rm(directory, { recursive: true, force: true }))

/** A registry with the image under the tag `12`: an index of two disks and one for another architecture. */
async function registryWith(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
  const registry = await startFakeRegistry(repository, options)
  const entry = (content: Uint8Array, disktype: string, architecture: string) => {
    const digest = registry.addManifest({
      artifactType: 'application/x-disk',
      config: empty,
      layers: [{ mediaType: 'application/octet-stream', digest: registry.addBlob(content), size: content.length }],
    })
    return { digest, platform: { architecture, os: 'linux' }, annotations: { disktype } }
  }
  const manifests = [
    entry(randomBytes(1000), 'raw', 'arm64'),
    entry(randomBytes(2000), 'qcow2', 'x86_64'),
    entry(raw, 'raw', 'amd64'),
  ]
  registry.addManifest({ mediaType: 'application/vnd.oci.image.index.v1+json', manifests }, '12')
  return registry
}

interface Asked {
  readonly info?: Record<string, unknown>
  readonly driver_info?: Record<string, unknown>
  readonly oci?: Overrides['oci']
  readonly config?: Overrides
}

async function context(
  image_source: string,
  { info = {}, driver_info = {}, oci = {}, config = {} }: Asked = {},
): Promise<ImageContext & AsyncDisposable> {
  const node = { instance_info: { image_source, ...info }, driver_info, properties: { cpu_arch: 'x86_64' } }
  const permissive = { permit_fallback_to_http_transport: true, ...oci }
  return imageContext(await mkdtemp(join(directory, 'state-')), node, { ...config, oci: permissive })
}

const headerOf = (base64: string | null | undefined) => Buffer.from(base64 ?? '', 'base64').toString()

describe('which image', () => {
  test('the agent gets the raw disk of its architecture, by the digest of the registry', async () => {
    await using registry = await registryWith()
    const given = { image_checksum: 'f'.repeat(64), image_disk_format: 'qcow2' }
    await using ctx = await context(`oci://${registry.host}/${repository}:12`, { info: given })
    const info = await imageInfo(ctx)
    assert.deepEqual(info.urls, [`http://${registry.host}/v2/${repository}/blobs/sha256:${sha256(raw)}`])
    assert.deepEqual([info.os_hash_algo, info.os_hash_value, info.disk_format], ['sha256', sha256(raw), 'raw'])
    assert.equal(info.image_request_authorization, undefined)
  })

  test('what this service converts is the smaller qcow2', async () => {
    await using registry = await registryWith()
    const info = { image_download_source: 'local' }
    await using ctx = await context(`oci://${registry.host}/${repository}:12`, { info })
    // The content is noise, so it is fetched, and then refused for not being a qcow2.
    await assert.rejects(imageInfo(ctx), /its content is raw, but image_disk_format says qcow2/)
    assert.equal(registry.shownForBlobs.length, 1)
  })

  test('one manifest, by tag or digest; its format is the one that instance_info says', async () => {
    await using registry = await startFakeRegistry(repository)
    const layers = [{ mediaType: 'application/octet-stream', digest: registry.addBlob(raw), size: raw.length }]
    const digest = registry.addManifest({ config: empty, layers }, 'latest')
    for (const reference of ['', ':latest', `@${digest}`]) {
      const info = { image_disk_format: 'raw' }
      await using ctx = await context(`oci://${registry.host}/${repository}${reference}`, { info })
      assert.deepEqual([(await imageInfo(ctx)).disk_format, (await imageInfo(ctx)).os_hash_value], ['raw', sha256(raw)])
    }
  })

  for (const [compression, pack] of [
    ['zstd', zstdCompressSync],
    ['gzip', gzipSync],
  ] as const) {
    test(`one compressed with ${compression} is unpacked here, with hash and format of what comes out`, async () => {
      await using registry = await startFakeRegistry(repository)
      const mediaType = `application/x-disk+${compression}`
      const add = (tag: string, packed: Buffer) => {
        const layers = [{ mediaType, digest: registry.addBlob(packed), size: packed.length }]
        registry.addManifest({ config: empty, layers, annotations: { disktype: 'raw' } }, tag)
      }
      add('1', pack(raw))
      add('half', pack(raw).subarray(0, -100))
      await using ctx = await context(`oci://${registry.host}/${repository}:1`)
      const info = await imageInfo(ctx)
      assert.deepEqual([info.os_hash_value, info.disk_format], [sha256(raw), 'raw'])
      assert.match(info.urls[0] ?? '', /^http:\/\/127\.0\.0\.1:1\//)
      await using half = await context(`oci://${registry.host}/${repository}:half`)
      await assert.rejects(imageInfo(half), new RegExp(`its \\d+ bytes are not whole ${compression} data`))
    })
  }

  const wrong: [string, object, RegExp][] = [
    [
      'a container',
      { config: { mediaType: 'application/vnd.oci.image.config.v1+json' }, layers: [] },
      /is a container image.*bootc/,
    ],
    ['several layers', { config: empty, layers: [empty, empty] }, /has 2 layers; expected one/],
    [
      'no such disk',
      { manifests: [{ ...empty, annotations: { disktype: 'vmdk' } }] },
      /it has vmdk for any architecture; expected/,
    ],
    ['something else', { what: 1 }, /neither a manifest nor an index/],
  ]
  for (const [what, manifest, expected] of wrong) {
    test(`refused: ${what}`, async () => {
      await using registry = await startFakeRegistry(repository)
      registry.addManifest(manifest, '1')
      await using ctx = await context(`oci://${registry.host}/${repository}:1`)
      await assert.rejects(validateImage(ctx), expected)
    })
  }

  test('refused: swift, what is not there, a manifest that is not its digest', async () => {
    await using registry = await registryWith()
    const from = (reference: string, info = {}) => context(`oci://${registry.host}/${repository}${reference}`, { info })
    await using swift = await from(':12', { image_download_source: 'swift' })
    await assert.rejects(validateImage(swift), /image_download_source is swift.*expected http or local/)
    await using missing = await from(':13')
    await assert.rejects(validateImage(missing), /the registry .* answers 404 \(not found\); expected 200/)
    await using forged = await from(`@sha256:${'0'.repeat(64)}`)
    await assert.rejects(validateImage(forged), /answers 404/)
  })
})

describe('who asks', () => {
  test('a token that another server gives for name and password; the agent gets the token alone', async () => {
    await using registry = await registryWith({ login: { how: 'Bearer', pair: 'puller:s:ecret' } })
    const source = `oci://${registry.host}/${repository}:12`
    await using ctx = await context(source, { info: { image_pull_secret: 'puller:s:ecret' } })
    const { image_request_authorization: header } = await imageInfo(ctx)
    assert.match(headerOf(header), /^Bearer [0-9a-f-]{36}$/)
    await using stranger = await context(source, { info: { image_pull_secret: 'puller:wrong' } })
    await assert.rejects(validateImage(stranger), (error: Error) => {
      assert.match(error.message, /gives no token for it, it answers 401; expected image_pull_secret/)
      assert.doesNotMatch(error.message, /wrong/)
      return true
    })
  })

  test('the secret of the instance, of the node, of the configuration, in this order; a token without a name', async () => {
    await using registry = await registryWith({ login: { how: 'Bearer', pair: ':token' } })
    const source = `oci://${registry.host}/${repository}:12`
    const file = join(directory, 'config.json')
    const auth = Buffer.from(':token').toString('base64')
    await writeFile(file, JSON.stringify({ auths: { [registry.host]: { auth } } }))
    const ways: Asked[] = [
      { info: { image_pull_secret: 'token' }, driver_info: { image_pull_secret: 'wrong' } },
      { driver_info: { image_pull_secret: 'token' } },
      { oci: { authentication_config: file } },
    ]
    for (const way of ways) {
      await using ctx = await context(source, way)
      await validateImage(ctx)
    }
  })

  test('name and password by themselves', async () => {
    await using registry = await registryWith({ login: { how: 'Basic', pair: 'admin:secret' } })
    const source = `oci://${registry.host}/${repository}:12`
    await using ctx = await context(source, {
      config: { deploy: { image_server_user: 'admin', image_server_password: 'secret' } },
    })
    const header = headerOf((await imageInfo(ctx)).image_request_authorization)
    assert.equal(header, `Basic ${Buffer.from('admin:secret').toString('base64')}`)
    await using nobody = await context(source)
    await assert.rejects(validateImage(nobody), /wants a name and a password; expected image_pull_secret USER:PASSWORD/)
  })

  test('nobody that blobs are redirected to is shown the token', async () => {
    await using cdn = await startFakeImageServer({ [`sha256:${sha256(raw)}`]: raw })
    await using registry = await registryWith({
      login: { how: 'Bearer', pair: 'a:b' },
      blobsAt: `${cdn.url}/plain/`,
    })
    const info = { image_pull_secret: 'a:b', image_download_source: 'local' }
    await using ctx = await context(`oci://${registry.host}/${repository}:12`, { info: { ...info }, driver_info: {} })
    // Only the arm64 and qcow2 disks are not with the CDN.
    Object.assign(ctx.node.instance_info, { image_source: `oci://${registry.host}/${repository}:raw` })
    const layers = [{ digest: `sha256:${sha256(raw)}`, size: raw.length }]
    registry.addManifest({ config: empty, layers, annotations: { disktype: 'raw' } }, 'raw')
    const { os_hash_value } = await imageInfo(ctx)
    assert.equal(os_hash_value, sha256(raw))
    assert.match(String(registry.shownForBlobs.at(-1)), /^Bearer /)
    assert.ok(cdn.requests.some(line => line.startsWith('GET /plain/sha256:')))
  })
})

describe('how the registry is reached', () => {
  test('by https with its certificate checked; by http only where that is permitted', async () => {
    const { certPem: cert, keyPem: key } = selfSigned({
      commonName: 'registry',
      ipAddresses: ['127.0.0.1'],
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
    })
    await using registry = await registryWith({ tls: { cert, key } })
    const source = `oci://${registry.host}/${repository}:12`
    const ca = join(directory, 'ca.pem')
    await writeFile(ca, cert)
    await using trusted = await context(source, { oci: { verify_ca: ca } })
    assert.match((await imageInfo(trusted)).urls[0] ?? '', /^https:/)
    await using untrusted = await context(source)
    await assert.rejects(validateImage(untrusted), /certificate is not trusted/)
    await using plain = await registryWith()
    await using strict = await context(`oci://${plain.host}/${repository}:12`, {
      oci: { permit_fallback_to_http_transport: false },
    })
    await assert.rejects(validateImage(strict), /Cannot fetch https:/)
  })

  test('again when it is asked too often', async () => {
    await using registry = await registryWith({ busy: 1 })
    await using ctx = await context(`oci://${registry.host}/${repository}:12`)
    await validateImage(ctx)
  })
})

test('references', () => {
  const read = (text: string) => {
    const { host, repository: name, reference } = ociReference(text)
    return [host, name, reference]
  }
  assert.deepEqual(read('oci://quay.example:5000/a/b:1.0'), ['quay.example:5000', 'a/b', '1.0'])
  assert.deepEqual(read('OCI://quay.example/a'), ['quay.example', 'a', 'latest'])
  const digest = `sha256:${'a'.repeat(64)}`
  assert.deepEqual(read(`oci://quay.example/a@${digest}`), ['quay.example', 'a', digest])
  assert.deepEqual(read(`oci://quay.example/a:1@${digest}`), ['quay.example', 'a', digest])
  for (const text of [
    'oci://',
    'oci://host',
    'oci://host/',
    'oci://host/a@sha256:12',
    'oci://host/A',
    'oci://u@host/a:1',
  ]) {
    assert.throws(() => ociReference(text), /names nothing in a registry/, text)
  }
})
