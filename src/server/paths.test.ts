import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { linksOf } from './links.ts'
import { normalPath } from './paths.ts'

test('paths get their version, and lose the slashes at their end', () => {
  for (const [url, path] of [
    ['/', '/'],
    ['', '/'],
    ['//?x=1', '/?x=1'],
    ['/nodes/', '/v1/nodes'],
    ['/v1/nodes//?a=/b/', '/v1/nodes?a=/b/'],
    ['/v1', '/v1'],
    ['/openapi.json', '/openapi.json'],
  ] as const) {
    assert.equal(normalPath(url, new Set(['/openapi.json'])), path, url)
  }
})

/** Anybody may send these, before anybody asks who they are. Far longer than a request may be, so that slow is slow. */
test('no path and no header of a proxy takes long to read', () => {
  const slashes = '/'.repeat(300_000)
  const blanks = ' '.repeat(300_000)
  const proxied = (headers: Record<string, string>) =>
    linksOf({ headers, socket: {} } as unknown as IncomingMessage, { publicEndpoint: null, proxied: true }) // what links look at
  const began = process.cpuUsage()
  assert.equal(normalPath(`/v1/${slashes}x`), `/v1/${slashes}x`)
  proxied({ host: 'h', 'x-forwarded-prefix': `${slashes}x` })
  proxied({ host: 'h', forwarded: `host=${blanks}"x` })
  const { user, system } = process.cpuUsage(began)
  assert.ok(user + system < 5_000_000, `${(user + system) / 1e6} s of a processor`)
})
