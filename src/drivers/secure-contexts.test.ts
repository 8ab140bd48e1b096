import assert from 'node:assert/strict'
import { test } from 'node:test'
import { selfSigned } from '#lib/x509.ts'
import { secureContextOf, type Trust } from './secure-contexts.ts'

function certificate(commonName: string): string {
  const nowMs = Date.now()
  const dates = { notBefore: new Date(nowMs - 60_000), notAfter: new Date(nowMs + 60_000) }
  return selfSigned({ commonName, ipAddresses: ['127.0.0.1'], ...dates, curve: 'p256' }).certPem
}

test('those who trust the same share a context; nobody else does', () => {
  const [one, other] = [certificate('one'), certificate('other')]
  const context = secureContextOf({ ca: [one], minVersion: 'TLSv1.2' })
  assert.equal(secureContextOf({ ca: [one], minVersion: 'TLSv1.2' }), context)
  const others: Trust[] = [
    { ca: [other], minVersion: 'TLSv1.2' },
    { ca: [one, other], minVersion: 'TLSv1.2' },
    { ca: [one], minVersion: 'TLSv1.3' },
    { ca: [one], minVersion: 'TLSv1.2', ciphers: 'ECDHE+AESGCM' },
    { minVersion: 'TLSv1.2' },
  ]
  for (const trust of others) assert.notEqual(secureContextOf(trust), context)
})
