import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { ImageInfo } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { defaultOptions } from '../options.ts'
import { readSettings } from '../settings.ts'
import { Store } from '../store.ts'
import { openImage } from './source.ts'

const content = randomBytes(300_000)
const seen = { server: 0, proxy: 0 }

let directory: string
let server: Server
let proxy: Server
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-source-'))
  server = createServer((request, response) => {
    seen.server += 1
    const refused = request.url?.startsWith('/refused')
    response.writeHead(refused ? 401 : 200, { 'content-length': refused ? 0 : content.length })
    response.end(refused ? undefined : content)
  })
  // What a forward proxy does: the whole URL is asked for.
  proxy = createServer((request, response) => {
    seen.proxy += 1
    const asked = httpRequest(request.url ?? '', { method: request.method, headers: request.headers }, answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    asked.end()
  })
  for (const one of [server, proxy]) await new Promise<void>(listening => one.listen(0, '127.0.0.1', listening))
})
after(async () => {
  for (const one of [server, proxy]) {
    one.closeAllConnections()
    await new Promise(closed => one.close(closed))
  }
  await rm(directory, { recursive: true, force: true })
})
beforeEach(() => Object.assign(seen, { server: 0, proxy: 0 }))

const urlOf = (one: Server) => `http://127.0.0.1:${(one.address() as AddressInfo).port}` // it listens on TCP

/** What an agent that was told this gets. */
async function fetched(info: Partial<ImageInfo> & { urls: string[] }): Promise<Buffer> {
  const agent: AgentContext = {
    options: { ...defaultOptions(), downloadRetries: 1, downloadRetryPauseMs: 10 },
    settings: readSettings(['--temp-dir', directory], {}),
    store: new Store(await mkdtemp(join(directory, 'agent-'))),
    log: { info() {}, warn() {}, error() {}, debug() {} },
    node: null,
  }
  const image = await openImage(agent, { id: 'image', ...info }, AbortSignal.timeout(60_000))
  const chunks: Uint8Array[] = []
  for await (const chunk of image.chunks()) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

test('an image comes through the proxy of its scheme, and past it from hosts that are excepted', async () => {
  const urls = [`${urlOf(server)}/image`]
  const proxies = { http: urlOf(proxy), https: 'http://127.0.0.1:1' }
  assert.deepEqual(await fetched({ urls, proxies }), content)
  assert.deepEqual(seen, { server: 1, proxy: 1 })
  for (const no_proxy of ['127.0.0.1', 'images.example, 127.0.0.1']) {
    assert.deepEqual(await fetched({ urls, proxies, no_proxy }), content)
  }
  assert.deepEqual(seen, { server: 3, proxy: 1 })
  assert.deepEqual(await fetched({ urls, proxies: { https: 'http://127.0.0.1:1' } }), content)
  assert.deepEqual(seen, { server: 4, proxy: 1 })
})

test('a proxy that is down is named, with the field that names it', async () => {
  const urls = [`${urlOf(server)}/image`]
  await assert.rejects(
    fetched({ urls, proxies: { http: 'http://user:secret@127.0.0.1:1' } }),
    (error: Error) =>
      /through the proxy http:\/\/127\.0\.0\.1:1 of driver_info image_http_proxy/.test(error.message) &&
      !error.message.includes('secret'),
  )
  assert.equal(seen.server, 0)
})

test('a proxy that lets the agent not through is named, and one that hands on a refusal is not', async () => {
  const answers: [status: number, headers: Record<string, string>][] = [
    [407, {}],
    [403, { 'x-squid-error': 'ERR_ACCESS_DENIED 0' }],
    [403, {}],
  ]
  let asked = 0
  const refusing = createServer((_, response) => {
    const [status, headers] = answers[asked++] ?? [500, {}]
    response.writeHead(status, headers).end()
  })
  await new Promise<void>(listening => refusing.listen(0, '127.0.0.1', listening))
  try {
    const refused = (message: RegExp) =>
      assert.rejects(fetched({ urls: [`${urlOf(server)}/image`], proxies: { http: urlOf(refusing) } }), { message })
    await refused(/answered 407 through the proxy http:\/\/127\.0\.0\.1:\d+ of driver_info image_http_proxy/)
    await refused(/answered 403 through the proxy/)
    await refused(/answered 403$/)
    assert.equal(asked, answers.length)
  } finally {
    refusing.closeAllConnections()
    await new Promise(closed => refusing.close(closed))
  }
})

test('a temporary URL that is refused tells whether it has ended', async () => {
  const refused = (expires: number) =>
    fetched({ urls: [`${urlOf(server)}/refused?temp_url_sig=abc&temp_url_expires=${expires}`] })
  const nowS = Math.floor(Date.now() / 1000)
  await assert.rejects(
    refused(nowS - 60),
    /answered 401: its temporary URL expired 6\d s ago; expected \[glance\] swift_/,
  )
  await assert.rejects(refused(nowS + 600), (error: Error) => {
    assert.match(error.message, /answered 401: its temporary URL is refused before its end/)
    assert.doesNotMatch(error.message, /abc/)
    return true
  })
  await assert.rejects(fetched({ urls: [`${urlOf(server)}/refused`] }), /answered 401$/)
  assert.equal(seen.server, 3, 'what is refused is not asked for again')
})
