/** A file system without room for the image: what the operator reads, and that nothing of it stays. Needs root. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type FakeImageServer, startFakeImageServer } from './fake-image-server.ts'
import { ImageStoreFull } from './faults.ts'
import { imageInfo } from './instance.ts'
import { imageContext } from './test-context.ts'

const large = randomBytes(12 * 1024 * 1024)
const small = randomBytes(1024 * 1024)
const needsRoot = process.geteuid?.() === 0 ? false : 'only root can mount a small file system'

describe('a full disk', { skip: needsRoot }, () => {
  let directory: string
  let images: FakeImageServer
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ferrite-full-disk-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'ferrite-test', directory])
    images = await startFakeImageServer({ large, small })
  })
  after(async () => {
    await images[Symbol.asyncDispose]()
    execFileSync('umount', [directory])
    await rm(directory, { recursive: true })
  })

  const contextOf = (path: string, content: Uint8Array) =>
    imageContext(directory, {
      instance_info: {
        image_source: images.url + path,
        image_checksum: createHash('sha256').update(content).digest('hex'),
        image_disk_format: 'raw',
        image_download_source: 'local',
      },
    })

  for (const [how, path, message] of [
    ['is known before', '/plain/large', /it needs 12582912 bytes; \d+ bytes are free in .* no unused image is left/],
    ['shows while it is written', '/nolength/large', /the file system of .* is full/],
  ] as const) {
    test(`it ${how}: the error says so, nothing stays, and what fits is taken afterwards`, async () => {
      await using ctx = await contextOf(path, large)
      await assert.rejects(imageInfo(ctx), (error: Error) => {
        assert.ok(error instanceof ImageStoreFull)
        assert.match(error.message, message)
        return true
      })
      const store = ctx.config.pxe.instance_master_path
      assert.deepEqual(await readdir(join(store, 'entries')), [])
      assert.deepEqual(await readdir(join(store, 'work')), [])
      await using fitting = await contextOf('/plain/small', small)
      assert.equal((await imageInfo(fitting)).os_hash_algo, 'sha256')
      await rm(store, { recursive: true })
      await rm(ctx.config.pxe.images_path, { recursive: true })
    })
  }
})
