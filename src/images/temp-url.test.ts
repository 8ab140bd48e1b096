import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { containerOf } from './swift.ts'
import { signTempUrl, TempUrlCache } from './temp-url.ts'

test('a signature is over method, end and path', () => {
  const path = '/v1/AUTH_account/glance/object'
  // As the documentation of Swift makes one by hand: printf 'GET\n1400003600\n/v1/...' | openssl dgst -sha256 -hmac mykey
  const signature = createHmac('sha256', 'mykey').update(`GET\n1400003600\n${path}`).digest('hex')
  const signed = signTempUrl(path, { key: 'mykey', expires: 1400003600, digest: 'sha256' })
  assert.equal(signed, `${path}?temp_url_sig=${signature}&temp_url_expires=1400003600`)
  assert.match(signTempUrl(path, { key: 'mykey', expires: 1, digest: 'sha1' }), /temp_url_sig=[0-9a-f]{40}&/)
})

test('the cache hands out what is good for long enough, and forgets the rest', () => {
  const cache = new TempUrlCache()
  cache.set('a', { url: 'one', expires: 100 })
  assert.equal(cache.get('a', 100)?.url, 'one')
  assert.equal(cache.get('a', 101), undefined)
  assert.equal(cache.get('a', 1), undefined, 'it was dropped')
})

const image = 'fdae39a1-bac5-4238-aba4-69bcc726e848'
// The first three as the help of Glance's option swift_store_multiple_containers_seed says.
for (const [seed, expected] of [
  [0, 'glance'],
  [3, 'glance_fda'],
  [10, 'glance_fdae39a1-ba'],
  [13, 'glance_fdae39a1-bac5-'],
  [32, `glance_${image}`],
] as const) {
  test(`the container of an image with ${seed} characters of its ID: ${expected}`, () => {
    assert.equal(containerOf('glance', image, seed), expected)
  })
}
