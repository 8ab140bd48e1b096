import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { loadConfig } from '#config/load.ts'
import { systemClock } from '#lib/clock.ts'
import { type Log, silent } from '#lib/log.ts'
import { selfSigned } from '#lib/x509.ts'
import { openTls } from './tls.ts'

const directory = await mkdtemp(join(tmpdir(), 'ferrite-tls-'))
after(() => rm(directory, { recursive: true, force: true }))
const cert_file = join(directory, 'api.crt')
const key_file = join(directory, 'api.key')

function pairFor(commonName: string) {
  const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)]
  return selfSigned({ commonName, ipAddresses: ['127.0.0.1'], notBefore, notAfter, curve: 'p256' })
}

async function put(pair: { certPem: string; keyPem: string }): Promise<void> {
  await writeFile(cert_file, pair.certPem)
  await writeFile(key_file, pair.keyPem)
}

const configured = (api: object = {}) =>
  loadConfig({ overrides: { api: { enable_ssl_api: true, cert_file, key_file, ...api } } })

/** A server that follows the files, and what it logged. */
async function serving(api: object = {}) {
  const logged: string[] = []
  const note = (data: object, message: string) => void logged.push(`${message} ${JSON.stringify(data)}`)
  const log: Log = { ...silent, info: note, warn: note, error: note }
  const tls = await openTls({ config: await configured(api), log, everyMs: 3_600_000 })
  assert.ok(tls)
  const server = createServer(tls.options, (_, response) => response.end('ok'))
  server.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const following = tls.follow(server, systemClock)
  const { port } = server.address() as AddressInfo // it listens on TCP
  return {
    logged,
    following,
    port,
    async open(options: object = {}): Promise<TLSSocket> {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
      return socket
    },
    async name(): Promise<string> {
      const socket = await this.open()
      const { CN } = socket.getPeerCertificate().subject
      socket.destroy()
      return String(CN)
    },
    async [Symbol.asyncDispose]() {
      await following[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Sends a request over an open connection and tells the first line of the answer. */
async function ask(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  const data = await new Promise<Buffer>(resolve => socket.once('data', resolve))
  return data.toString().split('\r\n', 1)[0] ?? ''
}

test('a new certificate counts for new connections, and those that are open go on', async () => {
  await put(pairFor('first'))
  await using server = await serving()
  const open = await server.open()
  assert.equal(await ask(open), 'HTTP/1.1 200 OK')
  await put(pairFor('second'))
  await server.following.check()
  assert.equal(await server.name(), 'second')
  assert.equal(await ask(open), 'HTTP/1.1 200 OK')
  open.destroy()
})

test('a pair that is only half written leaves the old one in use until the other half is there', async () => {
  const [old, fresh] = [pairFor('old'), pairFor('fresh')]
  await put(old)
  await using server = await serving()
  await writeFile(cert_file, fresh.certPem)
  await server.following.check()
  assert.equal(await server.name(), 'old')
  assert.match(
    server.logged.at(-1) ?? '',
    /key_file .*api\.key is not that of the certificate.* the certificate in use stays/,
  )
  await writeFile(cert_file, fresh.certPem.slice(0, 100))
  await server.following.check()
  assert.equal(await server.name(), 'old')
  const before = server.logged.length
  await server.following.check()
  assert.equal(server.logged.length, before, 'said once')
  await put(fresh)
  await server.following.check()
  assert.equal(await server.name(), 'fresh')
})

test('a link that is turned to other files counts as a change', async () => {
  const [old, fresh] = [pairFor('link 1'), pairFor('link 2')]
  for (const [name, pair] of Object.entries({ old, fresh })) {
    await writeFile(join(directory, `${name}.crt`), pair.certPem)
    await writeFile(join(directory, `${name}.key`), pair.keyPem)
  }
  const links = { cert_file: join(directory, 'link.crt'), key_file: join(directory, 'link.key') }
  const turn = async (name: string) => {
    for (const [link, end] of [
      [links.cert_file, 'crt'],
      [links.key_file, 'key'],
    ] as const) {
      await unlink(link).catch(() => {})
      await symlink(`${name}.${end}`, link)
    }
  }
  await turn('old')
  await using server = await serving(links)
  assert.equal(await server.name(), 'link 1')
  await turn('fresh')
  await server.following.check()
  assert.equal(await server.name(), 'link 2')
})

test('versions and ciphers are those of the options', async () => {
  await put(pairFor('versions'))
  await using newest = await serving()
  await assert.rejects(newest.open({ maxVersion: 'TLSv1.2' }))
  await using older = await serving({ tls_minimum_version: '1.2', tls_ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' })
  const twelve = await older.open({ maxVersion: 'TLSv1.2' })
  assert.equal(twelve.getCipher().name, 'ECDHE-ECDSA-AES256-GCM-SHA384')
  twelve.destroy()
  const thirteen = await older.open()
  assert.equal(thirteen.getProtocol(), 'TLSv1.3')
  thirteen.destroy()
})

test('with ca_file only clients with a certificate come in', async () => {
  const [server, client] = [pairFor('server'), pairFor('client')]
  await put(server)
  const ca_file = join(directory, 'ca.crt')
  await writeFile(ca_file, client.certPem)
  const config = await loadConfig({
    overrides: { api: { enable_ssl_api: true, cert_file, key_file }, ssl: { ca_file } },
  })
  const tls = await openTls({ config, log: silent })
  assert.ok(tls)
  const listening = createServer(tls.options, (_, response) => response.end('ok'))
  await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve))
  const { port } = listening.address() as AddressInfo // it listens on TCP
  const call = (options: object) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
      socket.once('error', reject).once('close', () => reject(new Error('closed')))
      socket.once('secureConnect', () => ask(socket).then(resolve, reject))
    })
  await assert.rejects(call({}))
  assert.equal(await call({ cert: client.certPem, key: client.keyPem }), 'HTTP/1.1 200 OK')
  listening.closeAllConnections()
  await new Promise(resolve => listening.close(resolve))
})

test('what is wrong at the start is told with option and file', async () => {
  const pair = pairFor('x')
  const cases: [prepare: () => Promise<void>, said: RegExp][] = [
    [() => unlink(cert_file), /\[api\] cert_file .*api\.crt: .*ENOENT.*; expected a certificate in PEM/],
    [() => unlink(key_file), /\[api\] key_file .*api\.key: .*ENOENT.*; expected its private key in PEM/],
    [() => writeFile(cert_file, 'hello'), /\[api\] cert_file .*api\.crt: it is not usable/],
    [() => writeFile(key_file, 'hello'), /\[api\] key_file .*api\.key: it is not usable/],
    [() => writeFile(key_file, pairFor('y').keyPem), /\[api\] key_file .*api\.key is not that of the certificate/],
  ]
  for (const [prepare, said] of cases) {
    await put(pair)
    await prepare()
    const fault = await openTls({ config: await configured(), log: silent }).catch(error => error)
    assert.match(fault.message, said)
    assert.ok(!fault.message.includes(pair.keyPem.split('\n')[1]))
  }
  await put(pair)
  await assert.rejects(
    async () => openTls({ config: await configured({ tls_ciphers: 'NONSENSE' }), log: silent }),
    /tls_ciphers/,
  )
  await assert.rejects(
    loadConfig({ overrides: { api: { enable_ssl_api: true } } }),
    /enable_ssl_api: found true without cert_file/,
  )
})

test('plain HTTP on the port of TLS, and a client that never shakes hands, harm nobody', async () => {
  await put(pairFor('plain'))
  await using server = await serving()
  const refused = new Promise<string>(resolve => {
    get({ port: server.port, host: '127.0.0.1' }, () => resolve('answered')).once('error', () => resolve('refused'))
  })
  assert.equal(await refused, 'refused')
  assert.equal(await server.name(), 'plain')
})
