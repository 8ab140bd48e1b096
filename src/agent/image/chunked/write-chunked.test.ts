/** Chunked images from the conductor's own maker and file server, over a network that breaks, onto loop devices. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { chunkImage } from '#images/chunked/chunk-image.ts'
import { type ChunkedFacts, dataFile, finishForm } from '#images/chunked/stored-form.ts'
import { type FileServer, startFileServer } from '#images/file-server.ts'
import { silent } from '#lib/log.ts'
import { type ChunkedImage, chunkBytes } from '#protocol/chunked-image.ts'
import { bundleAgent } from '#ramdisk/agent-bundle.ts'
import { startAgent } from '../../agent-process.ts'
import { startFakeIronic } from '../../fake-ironic.ts'
import { fakePrograms } from '../../fake-programs.ts'
import { needsRoot } from '../../loop-disk.ts'
import { type Bench, dir, MIB, partitions, setUp, startOf } from '../test-setup.ts'

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})
// Node 26 at times goes round for ever while it takes its environment down, after all tests and all handlers: at the
// end of the handlers it is left without that.
process.on('exit', code => process.exit(code))

describe('chunked images on loop devices', { skip: needsRoot }, () => {
  test('what holds data arrives, the rest reads as zeros whatever was there', async () => {
    const image = sparseImage(60, [0, 5, 6, 20])
    const { bench, served } = await make(image)
    execFileSync('dd', ['if=/dev/urandom', `of=${bench.disk.device}`, 'bs=1M', 'count=80', 'status=none'])
    const text = await bench.write(served.info)
    assert.match(text, /^image \(disk.img\) written to device \S+ root_uuid=0x1badb002$/)
    assertWritten(bench, image)
    // Four chunks hold data; the last piece of a range that is empty belongs to no chunk.
    assert.equal(served.facts.dataBytes, 4 * chunkBytes)
    assert.ok(served.sent() < served.facts.storedBytes + served.facts.manifestBytes + 1, String(served.sent()))
    const last = bench.reports.at(-1)
    assert.deepEqual([last?.phase, last?.bytes, last?.total_bytes], ['write', image.length, image.length])
    assert.match(last?.detail ?? '', /: 6 MiB received, 8 MiB written$/)
    assert.equal(bench.server.requests.length, 0, 'nobody fetched the plain image')
  })

  test('on a device that cannot forget, and with sectors of 4096 bytes, it is the same', async () => {
    const image = sparseImage(31, [0, 3])
    const { bench, served } = await make(image, { sectorBytes: 4096 })
    await bench.write(served.info)
    assertWritten(bench, image)
  })

  for (const [what, sizeMib, data, questions] of [
    ['all of it with the little data between', 60, [0, 5], 1],
    ['each of its ranges, where much lies between', 20, [0, 2, 4, 6, 8], 5],
  ] as const) {
    test(`a device that says it made zeros, and did not, is sent them; it was asked for ${what}`, async () => {
      const image = sparseImage(sizeMib, data)
      const { bench, served } = await make(image)
      execFileSync('dd', ['if=/dev/urandom', `of=${bench.disk.device}`, 'bs=1M', `count=${sizeMib}`, 'status=none'])
      const liars = await fakePrograms()
      cleanUps.push(() => liars.remove())
      for (const name of ['fallocate', 'blkdiscard']) liars.add(name, () => '')
      await bench.write(served.info)
      assertWritten(bench, image)
      assert.equal(liars.calls.length, questions)
    })
  }

  test('twenty broken connections and two restarts of the server: right content, little sent twice', async () => {
    const image = sparseImage(160, range(0, 64))
    const { bench, served } = await make(image)
    let cuts = 0
    const between = served.facts.storedBytes / 22
    served.onBytes = total => {
      if (cuts >= 20 || total < (cuts + 1) * between) return
      cuts++
      served.cut()
      if (cuts % 9 === 0) void served.restart()
    }
    await bench.write(served.info)
    assertWritten(bench, image)
    assert.equal(cuts, 20)
    const twice = served.sent() / (served.facts.storedBytes + served.facts.manifestBytes) - 1
    assert.ok(twice < 0.05, `${(100 * twice).toFixed(1)} % were sent twice`)
  })

  test('a command that broke off is taken up by the next one, unless the disk was changed meanwhile', async () => {
    const image = sparseImage(60, range(0, 20))
    const { bench, served } = await make(image)
    served.onBytes = total => {
      if (total > 0.8 * served.facts.storedBytes) void served.stop()
    }
    await assert.rejects(bench.write(served.info), { type: 'ImageDownloadError', message: /3 times in a row/ })
    assertUnbootable(bench)
    served.onBytes = () => {}
    await served.start()
    const before = served.sent()
    const handle = openSync(bench.disk.device, 'r+')
    writeSync(handle, randomBytes(512), 0, 512, 2 * chunkBytes)
    closeSync(handle)
    await bench.write(served.info)
    assertWritten(bench, image)
    assert.ok(served.sent() - before < 0.6 * served.facts.storedBytes, 'only what is missing is fetched')
  })

  test('an agent that is killed in mid-chunk: the disk does not boot; asked again it writes the whole image', async () => {
    const image = sparseImage(120, range(0, 40))
    const { bench, served } = await make(image)
    const bundle = join(dir, 'agent.mjs')
    await bundleAgent({ outFile: bundle })
    const ironic = await startFakeIronic()
    cleanUps.push(() => ironic.close())
    const agent = startAgent(bundle, ironic, { devices: [bench.disk.device] })
    cleanUps.push(() => agent.remove())
    await ironic.heartbeat(1)
    const half = Promise.withResolvers<void>()
    served.onBytes = total => {
      if (total < served.facts.storedBytes / 2) return
      served.onBytes = () => {}
      half.resolve(agent.kill())
    }
    const node = { uuid: 'u', properties: { root_device: { name: bench.disk.device } }, instance_info: {} }
    const image_info = { id: 'disk.img', urls: [bench.server.url], disk_format: 'raw', ...served.info }
    const step = { step: 'write_image', interface: 'deploy', args: { image_info, configdrive: null } }
    const write = () => agent.command('deploy.execute_deploy_step', { step, node, ports: [] })
    await write()
    await half.promise
    const beats = ironic.heartbeats.length
    agent.start()
    await ironic.heartbeat(beats + 1)
    assertUnbootable(bench)
    await write()
    const { command_status, command_error } = await agent.ended()
    assert.equal(command_status, 'SUCCEEDED', JSON.stringify(command_error))
    assertWritten(bench, image)
  })

  test('another image is not mixed with what was written of the one before', async () => {
    const { bench, served } = await make(sparseImage(60, range(0, 20)))
    served.onBytes = total => {
      if (total > served.facts.storedBytes / 2) void served.stop()
    }
    await assert.rejects(bench.write(served.info), { type: 'ImageDownloadError' })
    const other = sparseImage(50, [0, 9, 10])
    await bench.write((await serve(other)).info)
    assertWritten(bench, other)
  })

  test('a chunk that is wrong is asked for again; one that stays wrong ends in a clear failure', async () => {
    const image = sparseImage(20, [0, 2, 4])
    const { bench, served } = await make(image)
    const right = readFileSync(served.dataPath)
    const wrong = Buffer.from(right)
    wrong[right.length - 100] = (right.at(-100) ?? 0) ^ 1
    writeFileSync(served.dataPath, wrong)
    await assert.rejects(bench.write(served.info), {
      type: 'ImageChecksumError',
      message: /^Chunk 4 of image disk.img came 3 times and was wrong each time: the sha256 of what came is /,
    })
    assertUnbootable(bench)
    const { log } = bench.context
    const warnings: string[] = []
    log.warn = message => {
      warnings.push(message)
      if (/is wrong/.test(message)) writeFileSync(served.dataPath, right)
    }
    await bench.write(served.info)
    assertWritten(bench, image)
    assert.match(warnings.join(), /Chunk 4 of image disk.img is wrong and is asked for again/)
  })

  test('chunks that become fewer while they are served: a clear failure, no half image', async () => {
    const { bench, served } = await make(sparseImage(40, range(0, 15)))
    served.onBytes = total => {
      if (total > served.facts.storedBytes / 4) truncateSync(served.dataPath, served.facts.storedBytes / 2)
    }
    await assert.rejects(bench.write(served.info), {
      type: 'ImageDownloadError',
      message: /has \d+ bytes, the manifest's chunks have \d+: it was changed on the server|answered 416/,
    })
    assertUnbootable(bench)
  })

  test('a disk that is smaller is refused before a byte is written', async () => {
    const { bench, served } = await make(sparseImage(40, [0]), { sizeMib: 16 })
    execFileSync('mkfs.vfat', ['-I', bench.disk.device])
    const before = startOf(bench.disk.device, MIB)
    await assert.rejects(bench.write(served.info), {
      type: 'ImageWriteError',
      message: /nothing was written; expected a smaller image/,
    })
    assert.ok(startOf(bench.disk.device, MIB).equals(before))
  })

  test('without the chunked form, or with one that nobody vouches for, the plain image is written', async () => {
    const image = sparseImage(20, [0, 2])
    const { bench, served } = await make(image)
    const offered = served.info.ferrite_chunked
    for (const broken of [
      { ...offered, manifest_url: `${offered.manifest_url}.gone` },
      { ...offered, manifest_sha256: '0'.repeat(64) },
    ]) {
      bench.server.requests.length = 0
      await bench.write({ ...served.info, ferrite_chunked: broken })
      assertWritten(bench, image)
      assert.equal(bench.server.requests.length, 1)
    }
  })

  test('a disk that fails: a clear failure', async () => {
    const { bench, served } = await make(sparseImage(60, range(0, 20)))
    useFailingDisk(bench, { sizeMib: 80, goodMib: 12 })
    await assert.rejects(bench.write(served.info), {
      type: 'ImageWriteError',
      message: /^Writing chunk \d+ of image disk.img failed: (EIO|ENOSPC)/,
    })
    assertUnbootable(bench)
  })
})

/** An MBR with two partitions, random content (one half of each chunk compressible) where `chunks` says, else zeros. */
function sparseImage(sizeMib: number, chunks: readonly number[]): Buffer {
  const file = join(dir, `sparse-${sizeMib}`)
  writeFileSync(file, '')
  truncateSync(file, sizeMib * MIB)
  const image = Buffer.alloc(sizeMib * MIB)
  for (const index of chunks) randomBytes(chunkBytes).copy(image, index * chunkBytes)
  // Mostly empty first chunks are the rule.
  image.fill(0, 0, chunkBytes)
  writeFileSync(file, image)
  const script = 'label: dos\nlabel-id: 0x1badb002\nstart=2048, size=8192\nstart=10240\n'
  execFileSync('sfdisk', ['--quiet', file], { input: script })
  return readFileSync(file)
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

interface Served {
  info: { os_hash_algo: string; os_hash_value: string; ferrite_chunked: ChunkedImage }
  facts: ChunkedFacts
  dataPath: string
  /** Bytes that the file server handed to the network. */
  sent(): number
  /** Told how many bytes have passed the network. */
  onBytes: (total: number) => void
  /** Breaks all connections. */
  cut(): void
  stop(): Promise<void>
  start(): Promise<void>
  restart(): Promise<void>
}

async function make(
  image: Buffer,
  options: Parameters<typeof setUp>[1] = {},
): Promise<{ bench: Bench; served: Served }> {
  const bench = await setUp(image, { sizeMib: image.length / MIB + 20, ...options })
  cleanUps.push(() => bench.remove())
  return { bench, served: await serve(image) }
}

async function serve(image: Buffer): Promise<Served> {
  const root = mkdtempSync(join(dir, 'served-'))
  const from = join(root, 'image')
  writeFileSync(from, image)
  const { manifest, hashes } = await chunkImage({ from, to: dataFile(root), shown: 'image', algorithms: [] })
  const facts = await finishForm(root, manifest, 'image')

  let sent = 0
  let passed = 0
  let backend: FileServer | null = null
  const sockets = new Set<Socket>()
  const front = createServer(client => {
    const server = connect({ host: '127.0.0.1', port: backend?.port ?? 1 })
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.pipe(server)
    server.on('data', chunk => {
      passed += chunk.length
      served.onBytes(passed)
    })
    server.pipe(client)
  })
  await new Promise<void>(resolve => front.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}` // TCP, so not a pipe's name
  const served: Served = {
    info: {
      os_hash_algo: 'sha256',
      os_hash_value: hashes.sha256 ?? '',
      ferrite_chunked: {
        manifest_url: `${url}/manifest.json`,
        manifest_sha256: facts.manifestSha256,
        data_url: `${url}/chunks`,
      },
    },
    facts,
    dataPath: dataFile(root),
    sent: () => sent,
    onBytes: () => {},
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    stop: async () => {
      const stopped = backend
      backend = null
      served.cut()
      await stopped?.[Symbol.asyncDispose]()
    },
    start: async () => {
      backend = await startFileServer({
        host: '127.0.0.1',
        port: 0,
        root,
        log: silent,
        onTransfer: ({ bytes }) => {
          sent += bytes
        },
      })
    },
    restart: async () => {
      await served.stop()
      await sleep(5)
      await served.start()
    },
  }
  await served.start()
  cleanUps.push(async () => {
    await served.stop()
    front.close()
  })
  return served
}

function assertWritten({ disk }: Bench, image: Buffer): void {
  const found = startOf(disk.device, image.length)
  if (found.equals(image)) return
  const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  const wrong = range(0, Math.ceil(image.length / chunkBytes)).filter(index => {
    const [from, to] = [index * chunkBytes, (index + 1) * chunkBytes]
    return sha(found.subarray(from, to)) !== sha(image.subarray(from, to))
  })
  assert.fail(`chunks ${wrong.join(', ')} are not what the image has`)
}

/** Puts a disk in place of the bench's whose medium takes no more than so much. */
function useFailingDisk({ disk, context }: Bench, { sizeMib, goodMib }: { sizeMib: number; goodMib: number }): void {
  const mount = mkdtempSync(join(dir, 'full-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${goodMib}M`, 'none', mount])
  cleanUps.push(() => void execFileSync('umount', [mount]))
  const file = join(mount, 'disk')
  writeFileSync(file, '')
  truncateSync(file, sizeMib * MIB)
  const good = disk.device
  disk.device = execFileSync('losetup', ['--find', '--show', '--partscan', file]).toString().trim()
  context.settings.onlyDevices.push(disk.device)
  cleanUps.push(() => {
    execFileSync('losetup', ['--detach', disk.device])
    disk.device = good
  })
}

/** After a failure nothing on the disk may look like something to boot. */
function assertUnbootable({ disk }: Bench): void {
  assert.ok(startOf(disk.device, MIB).every(byte => byte === 0))
  assert.equal(partitions(disk.device), 0)
}
