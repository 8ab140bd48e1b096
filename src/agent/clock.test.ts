import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createPlainServer, type RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { selfSigned } from '#lib/x509.ts'
import { correctClock } from './clock.ts'
import type { AgentContext } from './context.ts'
import { Failure, type FakePrograms, fakePrograms } from './fake-programs.ts'
import { defaultOptions, type Options } from './options.ts'
import { readSettings } from './settings.ts'
import { Store } from './store.ts'

let dir: string
let fakes: FakePrograms
let close: () => void = () => {}
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ferrite-clock-'))
  fakes = await fakePrograms()
  fakes.add('date', () => '')
})
afterEach(async () => {
  close()
  await fakes.remove()
  rmSync(dir, { recursive: true })
})

/** A server that says this time, over TLS with a certificate for these years where there are some. */
async function serve(saysMs: number | null, years?: [number, number]): Promise<Partial<Options>> {
  const handle: RequestListener = (_request, response) => {
    response.sendDate = false
    response.writeHead(200, saysMs === null ? {} : { Date: new Date(saysMs).toUTCString() }).end()
  }
  const [from, to] = years ?? [2000, 2000]
  const pair = selfSigned({
    commonName: 'api',
    ipAddresses: ['127.0.0.1'],
    notBefore: new Date(Date.UTC(from, 0)),
    notAfter: new Date(Date.UTC(to, 0)),
  })
  const server = years ? createServer({ cert: pair.certPem, key: pair.keyPem }, handle) : createPlainServer(handle)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  close = () => server.close()
  writeFileSync(join(dir, 'ca.pem'), pair.certPem)
  const { port } = server.address() as AddressInfo // TCP, so not a pipe's name
  return { apiUrls: [`${years ? 'https' : 'http'}://127.0.0.1:${port}`], caFile: join(dir, 'ca.pem') }
}

async function correct(options: Partial<Options>, flags: string[] = []): Promise<string[]> {
  const context: AgentContext = {
    options: { ...defaultOptions(), ...options },
    settings: readSettings(flags, {}),
    store: new Store(dir),
    log: { info() {}, warn() {}, error() {}, debug() {} },
    node: null,
  }
  const before = fakes.calls.length
  await correctClock(context)
  close()
  return fakes.calls.slice(before)
}

const future = Date.UTC(2090, 5, 1, 12, 30, 5)
const nextYear = new Date().getUTCFullYear() + 1

test('a clock that is years behind is set by an API whose certificate is not valid yet', async () => {
  assert.deepEqual(await correct(await serve(future, [2089, 2091])), ['date -u -s 2090-06-01 12:30:05'])
})

test('one that is years ahead, by an API whose certificate seems to have expired', async () => {
  // Now is ahead of both.
  const saysMs = Date.UTC(2026, 0, 2)
  assert.deepEqual(await correct(await serve(saysMs, [2020, nextYear - 1])), ['date -u -s 2026-01-02 00:00:00'])
})

test('plain HTTP is believed, too; a minute more or less is not worth it', async () => {
  assert.deepEqual(await correct(await serve(future)), ['date -u -s 2090-06-01 12:30:05'])
  assert.deepEqual(await correct(await serve(Date.now() - 30_000)), [])
})

test('not believed: a time before this agent was written, no time, a certificate of somebody else, a guest', async () => {
  assert.deepEqual(await correct(await serve(Date.UTC(2019, 0), [2018, 2020])), [])
  assert.deepEqual(await correct(await serve(null)), [])
  assert.deepEqual(await correct({ ...(await serve(future, [2000, 2091])), caFile: null }), [])
  assert.deepEqual(await correct({ apiUrls: ['http://127.0.0.1:1'] }), [])
  assert.deepEqual(await correct(await serve(future), ['--guest']), [])
})

test('a time server that is named is asked first, and the API when it does not answer', async () => {
  fakes.add('chronyd', () => '')
  const options = { ...(await serve(future)), ntpServer: 'time.example' }
  assert.deepEqual(await correct(options), ['chronyd -u root -q -t 20 server time.example iburst'])
  fakes.add('chronyd', () => {
    throw new Failure('no reply')
  })
  assert.equal((await correct({ ...(await serve(future)), ntpServer: 'time.example' })).length, 2)
})
