import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { zstdCompressSync } from 'node:zlib'
import { silent } from '#lib/log.ts'
import { type FakeImageServer, startFakeImageServer } from './fake-image-server.ts'
import type { HttpSettings } from './http.ts'
import { type ImageRequest, ImageStore, type StoreProgress } from './store.ts'

const run = promisify(execFile)
const mib = 1024 * 1024
const settings: HttpSettings = {
  verifyCa: true,
  tlsMinimumVersion: '1.3',
  tlsCiphers: null,
  timeoutMs: 2000,
  user: null,
  password: null,
}
const raw = Buffer.concat([randomBytes(mib), Buffer.alloc(2 * mib), randomBytes(mib)])
const other = randomBytes(2 * mib)
const hash = (bytes: Uint8Array, algo = 'sha256') => createHash(algo).update(bytes).digest('hex')

let dir: string
let server: FakeImageServer
let root: string
let qcow2: Buffer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ferrite-store-'))
  await writeFile(join(dir, 'raw'), raw)
  await run('qemu-img', ['convert', '-c', '-O', 'qcow2', join(dir, 'raw'), join(dir, 'qcow2')])
  qcow2 = await readFile(join(dir, 'qcow2'))
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', join(dir, 'qcow2'), '-F', 'qcow2', join(dir, 'overlay')])
  const damaged = Buffer.from(qcow2)
  // Clusters of 32 bytes.
  damaged.writeUInt32BE(5, 20)
  server = await startFakeImageServer({
    raw,
    other,
    qcow2,
    overlay: await readFile(join(dir, 'overlay')),
    'raw.zst': zstdCompressSync(raw),
    'broken.zst': zstdCompressSync(randomBytes(mib)).subarray(0, mib / 2),
    damaged,
  })
})
after(async () => {
  await server[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(async () => {
  root = await mkdtemp(join(dir, 'root-'))
  server.requests.length = 0
})

function open(
  limits: Partial<ReturnType<ConstructorParameters<typeof ImageStore>[0]['limits']>> = {},
  now = Date.now,
): ImageStore {
  return new ImageStore({
    root,
    log: silent,
    now,
    limits: () => ({ maxBytes: 1e9, ttlMs: 1e9, concurrency: 20, ...limits }),
  })
}

function request(path: string, bytes: Uint8Array | null, changes: Partial<ImageRequest> = {}): ImageRequest {
  return {
    shown: `${server.url}${path}`,
    source: { kind: 'http', url: server.url + path, settings },
    expected: bytes && { algo: 'sha256', value: hash(bytes) },
    identity: path,
    convertToRaw: true,
    decompress: ['zstd'],
    inspect: { declared: null, permitted: ['raw', 'gpt', 'qcow2'], deep: true },
    conversion: { memoryLimitMib: 2048, attempts: 3, growthFactor: 2 },
    chunked: false,
    ...changes,
  }
}

const signal = new AbortController().signal
const gets = () => server.requests.filter(line => line.startsWith('GET')).length
const leftovers = () => readdir(join(root, 'work'))
const entries = () => readdir(join(root, 'entries'))
const content = (store: ImageStore, asked: ImageRequest) =>
  store.withImage(asked, image => readFile(image.path), { signal })

test('an image is fetched once, found again by any of its hashes, and kept over restarts', async () => {
  {
    await using store = open()
    assert.ok((await content(store, request('/plain/raw', raw))).equals(raw))
    assert.ok((await content(store, request('/redirect/raw', raw))).equals(raw))
  }
  await using store = open()
  await content(store, request('/plain/raw', raw))
  assert.equal(gets(), 1)
  await content(store, request('/plain/raw', null, { expected: { algo: 'sha512', value: hash(raw, 'sha512') } }))
  assert.equal(gets(), 2)
  await content(store, request('/x/raw', null, { expected: { algo: 'sha512', value: hash(raw, 'sha512') } }))
  assert.equal(gets(), 2)
  assert.deepEqual(await leftovers(), [])
})

test('two hundred waiters, one download, one conversion', async () => {
  await using store = open()
  const before = server.bytesSent()
  const all = await Promise.all(
    Array.from({ length: 200 }, () => store.withImage(request('/slow/qcow2', qcow2), async image => image, { signal })),
  )
  assert.equal(gets(), 1)
  assert.equal(server.bytesSent() - before, qcow2.length)
  assert.equal(new Set(all.map(image => image.path)).size, 1)
  const [first] = all
  assert.equal(first?.converted, true)
  assert.deepEqual(
    [first?.source.inspection?.format, first?.image.format, first?.image.sizeBytes],
    ['qcow2', 'raw', raw.length],
  )
  assert.equal(first?.image.hashes.sha256, hash(raw))
  assert.ok((await readFile(first?.path ?? '')).equals(raw))
})

test('zeros take no room on the disk', async () => {
  await using store = open()
  const { blocks, size } = await store.withImage(request('/plain/raw', raw), image => stat(image.path), { signal })
  assert.equal(size, raw.length)
  assert.ok(blocks * 512 < size - mib, `${blocks * 512} of ${size}`)
})

test('zstd data is decompressed; data that breaks off is refused', async () => {
  await using store = open()
  const zst = request('/plain/raw.zst', zstdCompressSync(raw))
  await store.withImage(
    zst,
    async image => {
      assert.ok((await readFile(image.path)).equals(raw))
      assert.deepEqual([image.converted, image.image.hashes.sha256], [true, hash(raw)])
    },
    { signal },
  )
  await assert.rejects(content(store, request('/plain/broken.zst', null)), /not whole zstd data/)
})

test('a broken connection is taken up where it broke', async () => {
  await using store = open()
  const before = server.bytesSent()
  assert.ok((await content(store, request('/breaks/raw', raw))).equals(raw))
  assert.equal(gets(), 4)
  // What was in the sockets when the connection broke is sent again.
  assert.ok(server.bytesSent() - before < raw.length * 1.05, String(server.bytesSent() - before))
})

test('a server that is busy for a while is asked again', async () => {
  await using store = open()
  assert.ok((await content(store, request('/busy/other', other))).equals(other))
  assert.equal(gets(), 3)
})

const refused: [string, () => ImageRequest, RegExp][] = [
  ['404', () => request('/plain/none', raw), /the server answers 404; expected 200/],
  [
    'cut off in each try',
    () => request('/cut/other', other),
    /closed the connection after \d+ of 2097152 bytes, in each of 5 attempts/,
  ],
  [
    'wrong content',
    () => request('/plain/raw', other),
    new RegExp(`its sha256 is ${hash(raw)}; expected ${hash(other)}`),
  ],
  // Half of it comes, and then the whole of something shorter.
  [
    'an image that shrinks while it is served',
    () => request('/shrinks/other', other),
    new RegExp(
      `its sha256 is ${hash(other.subarray(0, mib))}; expected ${hash(other)} \\(${mib} bytes were fetched\\)`,
    ),
  ],
  [
    'nobody listens',
    () => ({ ...request('/x', raw), source: { kind: 'http', url: 'http://127.0.0.1:1/x', settings } }),
    /nothing listens on 127.0.0.1:1/,
  ],
  [
    'a backing file',
    () => request('/plain/overlay', null),
    /it names a backing file; expected a plain image in one file/,
  ],
  [
    'another format than declared',
    () => request('/plain/qcow2', qcow2, { inspect: { declared: 'raw', permitted: ['raw', 'qcow2'], deep: true } }),
    /content is qcow2, but image_disk_format says raw/,
  ],
  [
    'a format that is not permitted',
    () => request('/plain/qcow2', qcow2, { inspect: { declared: null, permitted: ['raw'], deep: true } }),
    /expected one of \[conductor\] permitted_image_formats \(raw\)/,
  ],
  [
    'a conversion that fails',
    () => request('/plain/damaged', null),
    /Cannot convert image .* from qcow2 to raw: qemu-img/,
  ],
  [
    'a conversion without memory',
    () => request('/plain/qcow2', qcow2, { conversion: { memoryLimitMib: 16, attempts: 2, growthFactor: 2 } }),
    /Cannot (convert|prepare) image/,
  ],
]
for (const [name, asked, expected] of refused) {
  test(`${name}: a clear error and nothing left behind`, async () => {
    await using store = open()
    await assert.rejects(content(store, asked()), expected)
    assert.deepEqual([await entries(), await leftovers()], [[], []])
  })
}

test("a file of this host that somebody writes meanwhile is nobody's image", async () => {
  await using store = open()
  const path = join(dir, 'growing')
  await writeFile(path, '')
  await truncate(path, 64 * mib)
  let isRead = false
  const writing = (async () => {
    for (; !isRead; await delay(1)) await appendFile(path, 'x')
  })()
  const asked = request('/growing', null, { source: { kind: 'file', path } })
  await assert.rejects(
    content(store, asked),
    /was changed while it was read .*; expected a file that nobody writes any more/,
  )
  isRead = true
  await writing
  assert.deepEqual([await entries(), await leftovers()], [[], []])
  await content(store, asked)
})

test('a waiter that leaves disturbs nobody; the last one to leave ends the download', async () => {
  await using store = open()
  const [leaves, stays] = [new AbortController(), new AbortController()]
  const slow = request('/slow/raw', raw)
  const left = store.withImage(slow, async () => {}, { signal: leaves.signal })
  const stayed = store.withImage(slow, async image => image.id, { signal: stays.signal })
  await delay(300)
  leaves.abort(new Error('changed my mind'))
  await assert.rejects(left, /changed my mind/)
  assert.equal(await stayed, `${hash(raw)}.raw`)

  const alone = new AbortController()
  const gone = store.withImage(request('/slow/other', other), async () => {}, { signal: alone.signal })
  await delay(300)
  alone.abort(new Error('never mind'))
  await assert.rejects(gone, /never mind/)
  assert.ok((await content(store, request('/plain/other', other))).equals(other))
  for (let wait = 0; wait < 3000 && (await leftovers()).length > 0; wait += 1) await delay(20)
  assert.deepEqual(await leftovers(), [])
})

test('a worker that is killed is an error, and the next try succeeds', async () => {
  await using store = open()
  const pending = content(store, request('/slow/raw', raw))
  const worker = await workerOf(process.pid)
  process.kill(worker, 'SIGKILL')
  await assert.rejects(pending, /its process ended with signal SIGKILL/)
  assert.deepEqual([await entries(), await leftovers()], [[], []])
  assert.ok((await content(store, request('/plain/raw', raw))).equals(raw))
})

test('a service that is killed leaves half an image that nobody takes for whole', async () => {
  const script = join(dir, 'service.ts')
  await writeFile(
    script,
    `import { ImageStore } from ${JSON.stringify(new URL('./store.ts', import.meta.url).href)}
     const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
     const store = new ImageStore({ root: process.argv[2], log, now: Date.now, limits: () => ({ maxBytes: 1e9, ttlMs: 1e9, concurrency: 1 }) })
     await store.withImage(JSON.parse(process.argv[3]), async () => {}, { signal: new AbortController().signal })`,
  )
  const child = execFile(process.execPath, [script, root, JSON.stringify(request('/slow/raw', raw))])
  const worker = await workerOf(child.pid ?? 0)
  await delay(200)
  child.kill('SIGKILL')
  for (let wait = 0; wait < 3000 && (await lives(worker)); wait += 1) await delay(20)
  assert.equal(await lives(worker), false, 'the worker ends with the service')
  assert.equal((await leftovers()).length, 1)
  assert.deepEqual(await entries(), [])

  await using store = open()
  assert.ok((await content(store, request('/plain/raw', raw))).equals(raw))
  assert.deepEqual(await leftovers(), [])
})

test('what is too much is dropped, the least recently used first; what is linked or in use never', async () => {
  let nowMs = Date.now()
  await using store = open({ maxBytes: 3 * mib }, () => nowMs)
  const linked = join(dir, 'linked')
  await store.withImage(request('/plain/other', other), image => link(image.path, linked), { signal })
  nowMs += 1000
  await store.withImage(
    request('/plain/raw', raw),
    async image => {
      await store.cleanUp()
      assert.ok((await readFile(image.path)).equals(raw))
      assert.equal((await entries()).length, 2)
    },
    { signal },
  )
  await store.cleanUp()
  assert.deepEqual(await entries(), [`${hash(other)}.raw`])
  await rm(linked)
  await store.cleanUp()
  assert.equal((await entries()).length, 1, 'small enough now')
})

test('what is old is dropped', async () => {
  let nowMs = Date.now()
  await using store = open({ ttlMs: 60_000 }, () => nowMs)
  await content(store, request('/plain/raw', raw))
  nowMs += 61_000
  assert.equal((await store.cleanUp()).dropped, 1)
  assert.deepEqual(await entries(), [])
})

test('an image larger than the limit still serves those who asked for it', async () => {
  await using store = open({ maxBytes: 1 })
  const all = await Promise.all([1, 2, 3].map(() => content(store, request('/plain/raw', raw))))
  assert.ok(all.every(bytes => bytes.equals(raw)))
  assert.equal(gets(), 1)
  await store.cleanUp()
  assert.deepEqual(await entries(), [])
})

test('an entry that was changed on the disk is not served', async () => {
  await using store = open()
  const path = await store.withImage(request('/plain/raw', raw), async image => image.path, { signal })
  await writeFile(path, 'half')
  assert.ok((await content(store, request('/plain/raw', raw))).equals(raw))
  assert.equal(gets(), 2)
})

test('content that is known already is judged by the rules of each who asks', async () => {
  await using store = open()
  await content(store, request('/plain/qcow2', qcow2))
  const strict = request('/plain/qcow2', qcow2, {
    inspect: { declared: 'raw', permitted: ['raw', 'qcow2'], deep: true },
  })
  await assert.rejects(content(store, strict), /content is qcow2, but image_disk_format says raw/)
  const lax = { declared: null, permitted: ['raw'], deep: false }
  await content(store, request('/plain/overlay', null, { convertToRaw: false, inspect: lax }))
  const again = request('/plain/overlay', null, { convertToRaw: false })
  await assert.rejects(content(store, again), /names a backing file/)
})

test('an entry without a record does not exist', async () => {
  await mkdir(join(root, 'entries', hash(raw)), { recursive: true })
  await writeFile(join(root, 'entries', hash(raw), 'image'), raw.subarray(0, 100))
  await utimes(join(root, 'entries', hash(raw)), 0, 0)
  await using store = open()
  await assert.rejects(content(store, request('/plain/none', raw, { convertToRaw: false })), /404/)
})

test('work queues for its slot and says its place; progress counts bytes', async () => {
  await using store = open({ concurrency: 1 })
  const heard: StoreProgress[] = []
  const { promise: begun, resolve: begins } = Promise.withResolvers<void>()
  const first = store.withImage(request('/slow/raw', raw), async () => {}, { signal, onProgress: () => begins() })
  await begun
  const second = store.withImage(request('/plain/other', other), async () => {}, {
    signal,
    onProgress: progress => heard.push(progress),
  })
  await Promise.all([first, second])
  assert.deepEqual(heard[0], { phase: 'queued', bytes: 0, total_bytes: null, position: 1 })
  assert.deepEqual(
    heard.findLast(({ phase }) => phase === 'download'),
    { phase: 'download', bytes: other.length, total_bytes: other.length },
  )
})

/** The store's one child process that runs worker.ts. */
async function workerOf(parent: number): Promise<number> {
  for (let wait = 0; wait < 3000; wait += 1) {
    const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8').catch(() => '')
    for (const pid of children.trim().split(' ').filter(Boolean)) {
      if (
        (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes('worker.ts') &&
        (await leftovers().catch(() => [])).length > 0
      )
        return Number(pid)
    }
    await delay(20)
  }
  throw new Error('no worker was started')
}

async function lives(pid: number): Promise<boolean> {
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return state !== '' && !/\) Z /.test(state)
}
