/**
 * A small disk image behind HTTP, for deployments that need one and have none. Its bytes follow from
 * the seed; it has a partition table, so that whoever looks inside takes it for a whole-disk image.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Chance } from './chance.ts'

export interface ServedImage {
  url: string
  sizeBytes: number
  sha256: string
  close(): Promise<void>
}

const SECTOR_BYTES = 512

/** @param options.sizeBytes a multiple of 1 MiB; `address` default: the loopback */
export async function serveImage(options: { sizeBytes: number; seed: number; address?: string }): Promise<ServedImage> {
  const { sizeBytes, seed, address = '127.0.0.1' } = options
  const image = imageOf(sizeBytes, seed)
  const server = createServer((request, response) => {
    if (new URL(request.url ?? '/', 'http://image').pathname !== '/image.raw') {
      response.writeHead(404).end()
      return
    }
    const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': image.length }
    response.writeHead(200, { ...headers, 'Last-Modified': 'Thu, 01 Jan 2026 00:00:00 GMT' })
    response.end(request.method === 'HEAD' ? undefined : image)
  })
  // A machine that writes slowly still reads long after all of it was sent.
  server.keepAliveTimeout = 600_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address, resolve)
  })
  const { port } = server.address() as AddressInfo // it listens on TCP, so it is one
  return {
    url: `http://${address}:${port}/image.raw`,
    sizeBytes,
    sha256: createHash('sha256').update(image).digest('hex'),
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

/** One block of noise over and over: a raw image with a master boot record and one partition. */
function imageOf(sizeBytes: number, seed: number): Buffer {
  const chance = new Chance(seed)
  const noise = Buffer.from(Array.from({ length: 4096 }, () => Math.floor(chance.next() * 256)))
  const image = Buffer.alloc(sizeBytes, noise)
  image.fill(0, 0, SECTOR_BYTES)
  image.writeUInt32LE(seed >>> 0, 440) // disk signature
  const entry = 446
  image[entry] = 0x80 // bootable
  image[entry + 4] = 0x83 // Linux
  image.writeUInt32LE(2048, entry + 8)
  image.writeUInt32LE(sizeBytes / SECTOR_BYTES - 2048, entry + 12)
  image.writeUInt16LE(0xaa55, 510)
  return image
}
