/** Images for a BMC by HTTP; shares are tried by `npm run interop:redfish`. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fetchMedia, MediaUnreachable } from './media.ts'

test('an image is fetched whole, with a login where there is one, or nothing is left of it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-media-'))
  const server = createServer((request, response) => {
    if (request.url === '/none.iso') response.writeHead(404).end('no such thing')
    else response.end(`an image for ${Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64')}`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on TCP
    const file = join(folder, 'boot.iso')
    await fetchMedia(`${url}/boot.iso`, file, { username: 'u', password: 'p' })
    assert.equal(await readFile(file, 'utf8'), 'an image for u:p')
    await fetchMedia(`${url}/boot.iso`, file)
    assert.equal(await readFile(file, 'utf8'), 'an image for ')

    const refused: [string, RegExp][] = [
      [`${url}/none.iso`, /Cannot insert the image http:.*none\.iso: HTTP status 404, expected 200/],
      ['ftp://127.0.0.1/boot.iso', /expected a URL of http, https, nfs, cifs or smb/],
      ['boot.iso', /expected a URL of http/],
      ['cifs://127.0.0.1/share', /expected cifs:\/\/HOST\/SHARE\/FILE/],
    ]
    for (const [image, message] of refused) {
      await assert.rejects(fetchMedia(image, join(folder, 'other.iso')), (error: Error) => {
        assert.ok(error instanceof MediaUnreachable)
        assert.match(error.message, message)
        return true
      })
    }
    assert.deepEqual(await readdir(folder), ['boot.iso'])
  } finally {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true, force: true })
  }
})
