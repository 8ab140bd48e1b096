import assert from 'node:assert/strict'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { linksOf } from './links.ts'

const cases: [name: string, headers: IncomingHttpHeaders, options: object, base: string][] = [
  ['what the request came to', { host: 'api:6385' }, {}, 'http://api:6385'],
  ['the configured URL', { host: 'api:6385' }, { publicEndpoint: 'https://pub' }, 'https://pub'],
  ['no headers of a proxy that is not trusted', { host: 'api', 'x-forwarded-host': 'evil' }, {}, 'http://api'],
  [
    'the headers of a trusted proxy, even before the configured URL',
    { host: 'api', 'x-forwarded-host': 'front, api', 'x-forwarded-proto': 'https', 'x-forwarded-prefix': '/metal/' },
    { proxied: true, publicEndpoint: 'https://pub' },
    'https://front/metal',
  ],
  [
    'the standard header, which makes the older ones void',
    { host: 'api', forwarded: 'for=192.0.2.1;proto=https;host="front:8443", for=192.0.2.2', 'x-forwarded-host': 'x' },
    { proxied: true },
    'https://front:8443',
  ],
  [
    'the request where the proxy says nothing',
    { host: 'api' },
    { proxied: true, publicEndpoint: 'https://p' },
    'http://api',
  ],
]

for (const [name, headers, options, base] of cases) {
  test(`links are built from ${name}`, () => {
    const request = { headers, socket: {} } as IncomingMessage // what links look at
    assert.equal(linksOf(request, { publicEndpoint: null, proxied: false, ...options }).base, base)
  })
}

test('links of a request over TLS say so', () => {
  const request = { headers: { host: 'api' }, socket: { encrypted: true } } as unknown as IncomingMessage
  assert.equal(linksOf(request, { publicEndpoint: null, proxied: false }).base, 'https://api')
})
