/** Callers that look at a certificate and hang up, over real TLS. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { selfSigned } from '#lib/x509.ts'
import { watchDistrust } from './distrust.ts'

const hourMs = 3600_000

test('who does not trust is noticed, who asks is not', { timeout: 60_000 }, async t => {
  const times = { notBefore: new Date(Date.now() - hourMs), notAfter: new Date(Date.now() + hourMs) }
  const { certPem, keyPem } = selfSigned({ commonName: 'api', ipAddresses: ['127.0.0.1'], ...times })
  const server = createServer({ cert: certPem, key: keyPem }, (_, response) => response.end('hello'))
  const told: string[] = []
  watchDistrust(server, (address, reason) => told.push(`${address}: ${reason}`))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo // it listens on TCP
  const options = { host: '127.0.0.1', port, agent: false }

  const [answer] = await once(get({ ...options, ca: certPem }), 'response')
  answer.resume()
  await once(answer, 'close')
  await assert.rejects(once(get(options), 'response'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  while (told.length === 0) await new Promise(resolve => setTimeout(resolve, 10))
  assert.deepEqual(told, ['127.0.0.1: a caller at 127.0.0.1 saw the certificate and hung up without a request'])
})
