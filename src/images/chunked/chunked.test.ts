/** The chunked form in the store: what it holds, who makes it and when, what a crash, a full disk or a change leave. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { link, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'
import { Compile } from 'typebox/compile'
import { silent } from '#lib/log.ts'
import { ChunkManifest, chunkBytes, emptyRanges, plainBytes } from '#protocol/chunked-image.ts'
import type { StoredImage } from '../entries.ts'
import { type FakeImageServer, startFakeImageServer } from '../fake-image-server.ts'
import { type ImageRequest, ImageStore, type StoreProgress } from '../store.ts'

const run = promisify(execFile)
const mib = 1024 * 1024
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const signal = new AbortController().signal
const manifestSchema = Compile(ChunkManifest)

/** Zeros, text, zeros, noise, an end that is at no round number. */
const raw = Buffer.concat([
  Buffer.alloc(2 * chunkBytes),
  Buffer.alloc(chunkBytes, 'compressible '),
  Buffer.alloc(3 * chunkBytes),
  randomBytes(chunkBytes + 12_800),
])

let dir: string
let server: FakeImageServer
let root: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ferrite-chunked-'))
  await writeFile(join(dir, 'raw'), raw)
  await run('qemu-img', ['convert', '-O', 'qcow2', join(dir, 'raw'), join(dir, 'qcow2')])
  server = await startFakeImageServer({ raw, qcow2: await readFile(join(dir, 'qcow2')) })
})
after(async () => {
  await server[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(async () => {
  root = await mkdtemp(join(dir, 'root-'))
  server.requests.length = 0
})

function openStore(maxBytes = 1e9): ImageStore {
  return new ImageStore({
    root,
    log: silent,
    now: Date.now,
    limits: () => ({ maxBytes, ttlMs: 1e9, concurrency: 20 }),
  })
}

function request(path: string, changes: Partial<ImageRequest> = {}): ImageRequest {
  const settings = {
    verifyCa: true,
    tlsMinimumVersion: '1.3',
    tlsCiphers: null,
    timeoutMs: 2000,
    user: null,
    password: null,
  } as const
  return {
    shown: path,
    source: { kind: 'http', url: server.url + path, settings },
    expected: null,
    identity: path,
    convertToRaw: true,
    decompress: ['zstd'],
    inspect: { declared: null, permitted: ['raw', 'qcow2'], deep: true },
    conversion: { memoryLimitMib: 2048, attempts: 3, growthFactor: 2 },
    chunked: true,
    ...changes,
  }
}

/** Puts the image together from its form, checking all that the manifest says. */
async function assemble({ chunks }: StoredImage): Promise<Buffer> {
  assert.ok(chunks)
  const text = await readFile(chunks.manifestPath)
  assert.equal(sha256(text), chunks.manifestSha256)
  const manifest: unknown = JSON.parse(text.toString())
  assert.ok(manifestSchema.Check(manifest))
  const data = await readFile(chunks.dataPath)
  assert.equal(data.length, chunks.storedBytes)
  const image = Buffer.alloc(manifest.size_bytes, 'x')
  for (const { from, to } of emptyRanges(manifest)) image.fill(0, from, to)
  let at = 0
  for (const { index, stored_bytes, encoding, ...hashes } of manifest.chunks) {
    const stored = data.subarray(at, at + stored_bytes)
    at += stored_bytes
    const piece = encoding === 'zstd' ? zstdDecompressSync(stored) : stored
    assert.deepEqual(hashes, { stored_sha256: sha256(stored), sha256: sha256(piece) })
    assert.equal(piece.length, plainBytes(manifest, index))
    piece.copy(image, index * chunkBytes)
  }
  assert.equal(manifest.sha256, sha256(image))
  return image
}

for (const path of ['/plain/raw', '/plain/qcow2']) {
  test(`${path} has a chunked form that holds its data, and only that`, async () => {
    await using store = openStore()
    await store.withImage(
      request(path),
      async image => {
        assert.ok((await assemble(image)).equals(raw))
        assert.equal(image.chunks?.dataBytes, 2 * chunkBytes + 12_800)
        assert.ok((image.chunks?.storedBytes ?? 0) < chunkBytes + 50_000, 'text is compressed')
      },
      { signal },
    )
    assert.deepEqual(await readdir(join(root, 'work')), [])
  })
}

test('fifty who ask at once for the plain or the chunked form: one download, one conversion, one chunking', async () => {
  await using store = openStore()
  const phases: string[] = []
  const onProgress = ({ phase, bytes }: StoreProgress) => void (bytes === 0 || phases.push(phase))
  const all = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      store.withImage(request('/slow/qcow2', { chunked: index % 2 === 0 }), async image => image, {
        signal,
        ...(index === 0 && { onProgress }),
      }),
    ),
  )
  assert.equal(server.requests.filter(line => line.startsWith('GET')).length, 1)
  assert.equal(new Set(all.map(({ chunks }) => chunks?.dataPath).filter(Boolean)).size, 1)
  assert.equal(
    phases.filter((phase, index) => phase !== phases[index - 1]).filter(phase => phase === 'chunk').length,
    1,
  )
})

test('who wants only the plain form waits for no other; who wants the other later gets it without a download', async () => {
  await using store = openStore()
  await store.withImage(request('/plain/raw', { chunked: false }), async ({ chunks }) => assert.equal(chunks, null), {
    signal,
  })
  await store.withImage(request('/plain/raw'), async image => assert.ok((await assemble(image)).equals(raw)), {
    signal,
  })
  assert.equal(server.requests.filter(line => line.startsWith('GET')).length, 1)
})

test('an image that was changed on the disk gets no chunked form', async () => {
  await using store = openStore()
  const plain = request('/plain/raw', { chunked: false })
  const path = await store.withImage(plain, async image => image.path, { signal })
  const file = await open(path, 'r+')
  await file.write('!', 3 * chunkBytes)
  await file.close()
  await store.withImage(request('/plain/raw'), async ({ chunks }) => assert.equal(chunks, null), { signal })
  assert.deepEqual(await readdir(join(root, 'work')), [])
})

test('a form whose files are not whole does not count and is made anew', async () => {
  await using store = openStore()
  const [{ dataPath, manifestPath }] = [await store.withImage(request('/plain/raw'), chunksOf, { signal })]
  await writeFile(dataPath, 'half')
  await store.withImage(request('/plain/raw'), async image => assert.ok((await assemble(image)).equals(raw)), {
    signal,
  })
  await rm(manifestPath)
  await store.withImage(request('/plain/raw'), async image => assert.ok((await assemble(image)).equals(raw)), {
    signal,
  })
})

test('a worker that dies while it chunks leaves nothing that counts, and the plain image serves', async () => {
  await using store = openStore()
  const big = join(dir, 'big')
  const file = await open(big, 'w')
  await file.truncate(512 * mib)
  await file.close()
  const asked = request('', { source: { kind: 'file', path: big }, identity: 'big', chunked: false })
  await store.withImage(asked, async () => {}, { signal })
  const pending = store.withImage({ ...asked, chunked: true }, async image => image, { signal })
  process.kill(await worker(), 'SIGKILL')
  assert.equal((await pending).chunks, null)
  assert.deepEqual(await readdir(join(root, 'work')), [])
})

test('the form counts against the limit, and goes with the image unless somebody holds a link to it', async () => {
  await using store = openStore()
  const link1 = join(dir, `link-${Date.now()}`)
  const chunks = await store.withImage(request('/plain/raw'), chunksOf, { signal })
  await link(chunks.dataPath, link1)
  await using small = openStore(1)
  assert.equal((await small.cleanUp()).dropped, 0)
  await rm(link1)
  const { dropped, bytes } = await small.cleanUp()
  assert.equal(dropped, 1)
  // The holes of the plain image take no room; its data lie there twice, once compressed.
  assert.ok(bytes > 3 * chunkBytes, String(bytes))
})

async function chunksOf({ chunks }: StoredImage) {
  assert.ok(chunks)
  return chunks
}

/** The worker that is chunking now. */
async function worker(): Promise<number> {
  for (let wait = 0; wait < 3000; wait += 1) {
    const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
    const [work] = await readdir(join(root, 'work'))
    const busy =
      work !== undefined && (await readdir(join(root, 'work', work)).catch((): string[] => [])).includes('chunks')
    if (busy && children.trim() !== '') return Number(children.trim().split(' ').at(-1))
    await delay(10)
  }
  throw new Error('no worker chunked anything')
}
