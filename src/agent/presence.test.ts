import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { selfSigned } from '#lib/x509.ts'
import { bundleAgent } from '#ramdisk/agent-bundle.ts'
import { startAgent } from './agent-process.ts'
import { startFakeIronic } from './fake-ironic.ts'
import { needsRoot } from './loop-disk.ts'

const bundle = join(mkdtempSync(join(tmpdir(), 'ferrite-bundle-')), 'agent.mjs')
before(() => bundleAgent({ outFile: bundle }))
after(() => rmSync(dirname(bundle), { recursive: true }))

/** The first heartbeat of an agent with these options in its configuration file. */
async function firstHeartbeat(version: string, configured: string) {
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-presence-'))
  const own = selfSigned({
    commonName: 'of-the-site',
    ipAddresses: ['127.0.0.1'],
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3600_000),
  })
  writeFileSync(join(dir, 'site.crt'), own.certPem)
  writeFileSync(join(dir, 'site.key'), own.keyPem)
  mkdirSync(join(dir, 'ironic-python-agent.d'))
  writeFileSync(join(dir, 'ironic-python-agent.d/x.conf'), `[DEFAULT]\n${configured.replaceAll('DIR', dir)}\n`)
  const ironic = await startFakeIronic()
  ironic.version = version
  const agent = startAgent(bundle, ironic, { flags: ['--etc-dir', dir] })
  try {
    const body = await ironic.heartbeat(1)
    const { pathname, port, protocol } = new URL(body.callback_url)
    assert.equal(pathname, '/')
    const plain = await new Promise(resolve => {
      get(`http://127.0.0.1:${port}/v1/status`, answer => resolve(answer.statusCode)).on('error', () =>
        resolve('refused'),
      )
    })
    if (protocol === 'https:') {
      const certPem = body.agent_verify_ca ?? own.certPem
      ironic.heartbeats[0] = { ...body, agent_verify_ca: certPem, at: 0, version }
      assert.equal((await agent.call('GET', '/v1/status')).status, 200)
    }
    return { protocol, plain, ca: body.agent_verify_ca, isOfSite: body.agent_verify_ca === undefined }
  } finally {
    await agent.remove()
    await ironic.close()
    rmSync(dir, { recursive: true })
  }
}

test('a certificate of its own, told with the heartbeat, where the API takes one', async () => {
  const { protocol, plain, ca } = await firstHeartbeat('1.68', '')
  assert.deepEqual([protocol, plain], ['https:', 'refused'])
  assert.match(ca ?? '', /^-----BEGIN CERTIFICATE-----/)
})

test('plain HTTP for an API that is too old for that, and where it is switched off', async () => {
  for (const [version, configured] of [
    ['1.67', ''],
    ['1.115', 'enable_auto_tls = false'],
  ] as const) {
    const found = await firstHeartbeat(version, configured)
    assert.deepEqual(found, { protocol: 'http:', plain: 200, ca: undefined, isOfSite: true })
  }
})

test('the certificate of a configuration file is served, and not told', async () => {
  const files = 'listen_tls = true\ntls_cert_file = DIR/site.crt\ntls_key_file = DIR/site.key\n'
  const found = await firstHeartbeat('1.115', files)
  assert.deepEqual([found.protocol, found.plain, found.isOfSite], ['https:', 'refused', true])
})

test('a new address brings a new certificate and URL; the old ones stay as long as the old address', {
  skip: needsRoot,
}, () => {
  const file = fileURLToPath(new URL('presence-probe.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync('unshare', ['--net', process.execPath, file], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  assert.equal(status, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), {
    first: ['192.0.2.5', true],
    isKept: true,
    moved: ['192.0.2.6', true],
    isNew: true,
  })
})
