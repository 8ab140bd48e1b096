/**
 * Fifty simulated machines are deployed with one new image at once: it is fetched once and converted once, and all of
 * them run it.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { brisk } from '../src/sim/settings.ts'
import { openSite } from './simulated-site.ts'

const nodes = 50
let directory: string
let qcow2: Buffer
let rawSha256: string
const path = process.env.PATH

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-one-image-'))
  const raw = randomBytes(4 * 2 ** 20)
  raw.writeUInt16LE(0xaa55, 510)
  rawSha256 = createHash('sha256').update(raw).digest('hex')
  await writeFile(join(directory, 'image.raw'), raw)
  const files = [join(directory, 'image.raw'), join(directory, 'image.qcow2')]
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...files])
  qcow2 = await readFile(join(directory, 'image.qcow2'))
  // The service finds this one first: it notes what it was asked for, and has the real one do it.
  const real = execFileSync('sh', ['-c', 'command -v qemu-img'], { encoding: 'utf8' }).trim()
  await writeFile(join(directory, 'qemu-img'), `#!/bin/sh\necho "$1" >> ${directory}/asked\nexec ${real} "$@"\n`)
  await chmod(join(directory, 'qemu-img'), 0o755)
  process.env.PATH = `${directory}${delimiter}${path}`
})
after(async () => {
  process.env.PATH = path
  await rm(directory, { recursive: true, force: true })
})

test(`${nodes} nodes that want the same new image at once: one download, one conversion`, async () => {
  const asked = { HEAD: 0, GET: 0, bytes: 0 }
  const server = createServer((request, response) => {
    asked[request.method === 'HEAD' ? 'HEAD' : 'GET'] += 1
    response.writeHead(200, { 'Content-Length': qcow2.length, 'Last-Modified': 'Thu, 01 Jan 2026 00:00:00 GMT' })
    if (request.method === 'HEAD') return response.end()
    asked.bytes += qcow2.length
    return response.end(qcow2)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  try {
    await using operator = await openSite({ nodes, settings: brisk })
    const instance = {
      image_source: `http://127.0.0.1:${port}/new.qcow2`,
      image_download_source: 'local',
      image_checksum: createHash('sha256').update(qcow2).digest('hex'),
    }
    for (const machine of operator.machines) {
      await operator.enrol(machine)
      await operator.patch(machine, { '/automated_clean': false, '/instance_info': instance })
    }
    await operator.bring('manage', 'manageable')
    await operator.bring('provide', 'available')
    await operator.bring('active', 'active')
    for (const machine of operator.machines) {
      await operator.instanceRuns(machine)
      assert.equal(machine.disk?.digest, `sha256:${rawSha256}`)
    }
    const conversions = (await readFile(join(directory, 'asked'), 'utf8'))
      .split('\n')
      .filter(what => what === 'convert')
    assert.deepEqual([asked.GET, asked.bytes, conversions.length], [1, qcow2.length, 1])
  } finally {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
})
