import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { createServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { InvalidInput } from './fault.ts'
import { type Curve, selfSigned } from './x509.ts'

const hour = 3600_000
const window = () => ({ notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + 30 * 24 * hour) })

for (const curve of ['p256', 'p384', 'p521'] satisfies Curve[]) {
  test(`a ${curve} certificate is what the agent protocol describes`, () => {
    const { certPem, keyPem } = selfSigned({
      commonName: 'node-17',
      ipAddresses: ['10.0.0.5', 'fe80::1%eth0', '::ffff:192.0.2.7', '2001:db8::7'],
      dnsNames: ['bmc.example'],
      ...window(),
      curve,
    })
    const cert = new X509Certificate(certPem)
    assert.equal(cert.subject, 'CN=node-17')
    assert.equal(cert.issuer, 'CN=node-17')
    assert.equal(cert.ca, false)
    assert.equal(cert.verify(cert.publicKey), true)
    assert.equal(cert.checkIP('10.0.0.5'), '10.0.0.5')
    assert.equal(cert.checkIP('fe80::1'), 'fe80::1')
    assert.equal(cert.checkIP('2001:db8::7'), '2001:db8::7')
    assert.equal(cert.checkIP('10.0.0.6'), undefined)
    assert.equal(cert.checkHost('bmc.example'), 'bmc.example')
    assert.equal(cert.publicKey.asymmetricKeyType, 'ec')
    assert.match(cert.serialNumber, /^[4-7][0-9A-F]{31}$/)
    assert.match(keyPem, /^-----BEGIN PRIVATE KEY-----/)
    // The name extension is marked critical: OID 2.5.29.17, then TRUE.
    assert.ok(cert.raw.includes(Buffer.from('0603551d110101ff', 'hex')))
  })
}

test('dates before and after 2050 are written in the form each needs', () => {
  const { certPem } = selfSigned({
    commonName: 'x',
    ipAddresses: ['127.0.0.1'],
    notBefore: new Date('2049-12-31T23:59:59Z'),
    notAfter: new Date('2051-02-03T04:05:06Z'),
  })
  const cert = new X509Certificate(certPem)
  assert.equal(cert.validFrom, 'Dec 31 23:59:59 2049 GMT')
  assert.equal(cert.validTo, 'Feb  3 04:05:06 2051 GMT')
})

test('a client that pins the certificate reaches the server, with name checking, over TLS 1.3', async t => {
  const mine = selfSigned({ commonName: 'lab', ipAddresses: ['127.0.0.1'], ...window() })
  const other = selfSigned({ commonName: 'lab', ipAddresses: ['127.0.0.2'], ...window() })
  const answerWith = async ({ certPem, keyPem }: typeof mine, ca: string) => {
    const server = createServer({ cert: certPem, key: keyPem, minVersion: 'TLSv1.3' }, (_, res) => res.end('yes'))
    t.after(() => server.close())
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo // listening on TCP, so not a pipe name
    return await new Promise<string>((resolve, reject) => {
      get({ host: '127.0.0.1', port, ca, agent: false }, res => resolve(`${res.statusCode}`)).on('error', reject)
    })
  }
  assert.equal(await answerWith(mine, mine.certPem), '200')
  await assert.rejects(answerWith(mine, other.certPem), /self-signed certificate/)
  await assert.rejects(answerWith(other, other.certPem), /IP: 127.0.0.1 is not in the cert's list/)
})

test('a certificate for nothing, or for what is no address, is refused', () => {
  assert.throws(() => selfSigned({ commonName: 'x', ...window() }), InvalidInput)
  assert.throws(() => selfSigned({ commonName: 'x', ipAddresses: ['10.0.0'], ...window() }), /"10.0.0" is not an IP/)
})
