/** The log of events over HTTP: pages, and a stream that misses nothing. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { WebSocket as WsClient } from 'ws'
import { appendEvent } from '#db/events.ts'
import { insertFlow, updateFlow, writeProgress } from '#db/flows.ts'
import { keepPiece } from '#db/ramdisk-logs.ts'
import { freshDatabase } from '#db/test-database.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { eventHub } from '../event-hub.ts'
import { startApi, type TestApi } from '../test-api.ts'

interface Told {
  id: number
  type: string
  kind: string
  node_uuid: string | null
  data: Record<string, unknown>
}

let api: TestApi
let node: string
let other: string
before(async () => {
  api = await startApi()
  ;[node, other] = [await api.node({ name: 'one' }), await api.node({ name: 'two' })]
})
after(() => api[Symbol.asyncDispose]())

const happens = (kind: string, node_uuid: string | null = node) =>
  appendEvent(api.db, { nowMs: Date.now(), kind, ...(node_uuid ? { node_uuid } : {}), data: { kind } })

async function page(query: string): Promise<{ events: Told[]; next?: string }> {
  const { status, json, fault } = await api.call('GET', `/v1/events?${query}`)
  assert.equal(status, 200, fault)
  return json as { events: Told[]; next?: string } // held against the schema by the call
}

/** Follows the stream; `next` resolves with one event after the other. */
async function follow(query = '', headers: Record<string, string> = {}) {
  const stopped = new AbortController()
  const response = await fetch(`${api.url}/v1/events?${query}`, {
    headers: { Accept: 'text/event-stream', ...headers },
    signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(60_000)]),
  })
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
  const events = read(response)
  return {
    async next(): Promise<Told> {
      const { value, done } = await events.next()
      assert.ok(!done, 'the stream ended')
      return value
    },
    ended: async () => (await events.next()).done,
    stop: () => stopped.abort(),
  }
}

async function* read(response: Response): AsyncGenerator<Told> {
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1]
      text = text.slice(end + 2)
      if (data) yield JSON.parse(data)
    }
  }
}

test('pages: in their order, of a node, of kinds, after a number', async () => {
  for (const kind of ['a', 'b', 'a']) await happens(kind)
  await happens('a', other)
  await happens('stranger', null)
  const all = await page('')
  const ids = all.events.map(event => event.id)
  assert.deepEqual(
    ids,
    ids.toSorted((a, b) => a - b),
  )
  assert.equal(all.events.at(-1)?.node_uuid, null)
  const own = (await page('node=one')).events.filter(event => event.kind.length === 1)
  assert.deepEqual(
    own.map(event => event.kind),
    ['a', 'b', 'a'],
  )
  assert.deepEqual(
    (await page(`node=${node}&kind=b`)).events.map(event => event.data),
    [{ kind: 'b' }],
  )
  assert.equal((await page(`after=${ids.at(-2)}`)).events.length, 1)
  const seen: number[] = []
  for (let query: string | undefined = 'limit=2'; query !== undefined; ) {
    const { events, next } = await page(query)
    seen.push(...events.map(event => event.id))
    query = next?.split('?')[1]
  }
  assert.deepEqual(seen, ids)
})

test('what is asked wrongly', async () => {
  for (const query of ['after=-1', 'after=x', 'limit=0']) {
    assert.equal((await api.call('GET', `/v1/events?${query}`)).status, 400, query)
  }
  assert.equal((await api.call('GET', '/v1/events?node=nobody')).status, 404)
})

test('a stream tells what happens, of one node where it is asked for', async () => {
  const [all, own] = [await follow(), await follow(`node=${node}&follow=true`)]
  await happens('first', other)
  await happens('second')
  assert.deepEqual([(await all.next()).kind, (await all.next()).kind], ['first', 'second'])
  assert.equal((await own.next()).kind, 'second')
  for (const stream of [all, own]) stream.stop()
})

test('who was away goes on after the last event it has', async () => {
  const before = await follow()
  await happens('seen')
  const { id } = await before.next()
  before.stop()
  for (let number = 0; number < 1200; number++) await happens(`missed ${number}`)
  const again = await follow('', { 'Last-Event-ID': String(id) })
  for (let number = 0; number < 1200; number++) assert.equal((await again.next()).kind, `missed ${number}`)
  await happens('now')
  assert.equal((await again.next()).kind, 'now')
  again.stop()
})

test('the stream ends with the service', async () => {
  const own = await startApi()
  const response = await fetch(`${own.url}/v1/events?follow=true`)
  const text = response.text()
  await own[Symbol.asyncDispose]()
  assert.match(await text, /^retry: /)
})

test('a number that is not there yet is waited for; one that never comes is not', async () => {
  const db = await freshDatabase()
  let offsetMs = 0
  const clock = { ...systemClock, now: () => Date.now() + offsetMs }
  const hub = eventHub({ db, clock, log: silent, holeMs: 5000 })
  const insert = (id: number) =>
    db
      .insertInto('events')
      .values({ id, at: new Date().toISOString(), kind: `number ${id}`, data: '{}' })
      .execute()
  const ids = async () => (await hub.after(0)).map(event => event.id)
  const never = new AbortController().signal
  await insert(1)
  await insert(3)
  await hub.news(0, never, 60_000)
  assert.deepEqual(await ids(), [1])
  await insert(2)
  await hub.news(1, never, 60_000)
  assert.deepEqual(await ids(), [1, 2, 3])
  await insert(5)
  await hub.news(3, never, 300)
  assert.deepEqual(await ids(), [1, 2, 3])
  offsetMs = 5001
  await hub.news(3, never, 60_000)
  assert.deepEqual(await ids(), [1, 2, 3, 5])
  await hub.close()
  await db.destroy()
})

/** Follows by a WebSocket; `next` resolves with one event after the other. */
async function socketTo(query = '', headers: Record<string, string> = {}) {
  const socket = new WsClient(`${api.url.replace('http', 'ws')}/v1/events?${query}`, { headers })
  const told: Told[] = []
  let heard = Promise.withResolvers<void>()
  socket.on('message', data => {
    told.push(JSON.parse(String(data)))
    heard.resolve()
    heard = Promise.withResolvers()
  })
  await once(socket, 'open')
  return {
    async next(): Promise<Told> {
      while (told.length === 0) await heard.promise
      return told.shift() as Told // there is one
    },
    close: () => socket.close(),
  }
}

test('a WebSocket at the same address tells the same, with the same filters', async () => {
  const before = (await page('latest=1')).events[0]?.id
  const [all, own] = [await socketTo(), await socketTo(`node=${node}&type=state,other&kind=provision%20state`)]
  await happens('power')
  await happens('provision state', other)
  await happens('provision state')
  assert.deepEqual([(await all.next()).kind, (await all.next()).node_uuid], ['power', other])
  const { kind, type } = await own.next()
  assert.deepEqual([kind, type], ['provision state', 'state'])
  const again = await socketTo(`after=${before}`)
  assert.equal((await again.next()).kind, 'power')
  const resumed = await socketTo('', { 'Last-Event-ID': String(before) })
  assert.equal((await resumed.next()).kind, 'power')
  for (const socket of [all, own, again, resumed]) socket.close()
})

test('a WebSocket that is asked for wrongly is refused as the page is', async () => {
  const refused = async (query: string) => {
    const socket = new WsClient(`${api.url.replace('http', 'ws')}/v1/events?${query}`)
    socket.on('error', () => {})
    const [, response] = await once(socket, 'unexpected-response')
    return response.statusCode
  }
  assert.equal(await refused('after=x'), 400)
  assert.equal(await refused('type=nonsense'), 400)
  assert.equal(await refused('type=log'), 400)
  assert.equal(await refused('node=nobody'), 404)
  assert.equal((await api.call('GET', '/v1/events?type=nonsense')).status, 400)
})

test('pages by type', async () => {
  await happens('boot hop')
  const { events: own } = await page('latest=1')
  const after = own[0]?.id ?? 0
  await happens('step started', other)
  await happens('power')
  await happens('sensor health')
  const kindsOf = async (query: string) => (await page(query)).events.map(event => event.kind)
  assert.deepEqual(await kindsOf(`after=${after}&type=boot,step`), ['step started'])
  // The last ones, whatever else there is.
  assert.deepEqual(await kindsOf('latest=2&type=boot,step'), ['boot hop', 'step started'])
  assert.deepEqual(await kindsOf('latest=2&type=other,power'), ['power', 'sensor health'])
  assert.deepEqual(await kindsOf('latest=1&kind=power'), ['power'])
  assert.deepEqual(await kindsOf(`latest=1&node=two&type=step`), ['step started'])
  assert.deepEqual(await kindsOf(`latest=1&before=${after + 1}`), ['boot hop'])
})

test('the last ones page by page, back to the first', async () => {
  const all = (await page('')).events.map(event => event.id)
  const seen: number[] = []
  let query: string | undefined = 'latest=500'
  for (; query !== undefined; ) {
    const { events, next } = await page(query)
    seen.unshift(...events.map(event => event.id))
    query = next?.split('?')[1]
    if (query !== undefined) assert.match(query, /latest=500/)
  }
  assert.ok(all.length === 1000 && seen.length > 1000, `${seen.length} events`)
  assert.deepEqual(seen.slice(0, 1000), all)
})

test('the last ones of a kind are not looked for in years of others', async () => {
  await using own = await startApi()
  const insert = (id: number, kind: string) =>
    own.db.insertInto('events').values({ id, at: new Date().toISOString(), kind, data: '{}' }).execute()
  for (const id of [1, 100_001, 100_002]) await insert(id, 'rare')
  await insert(100_003, 'other')
  const ids = async (query: string) => {
    const { json } = await own.call('GET', `/v1/events?${query}`)
    return (json as { events: Told[] }).events.map(({ id }) => id)
  }
  assert.deepEqual(await ids('latest=5&kind=rare'), [100_001, 100_002])
  assert.deepEqual(await ids('latest=5&kind=rare&before=100000'), [1])
  assert.deepEqual(await ids('latest=5'), [1, 100_001, 100_002, 100_003])
})

test('progress and lines of logs are told to who asks for them', async () => {
  const stream = await socketTo(`node=${node}&type=progress,log`)
  const flow = { node_uuid: node, kind: 'deploy', args: {}, conductor: 'host-1', lease_token: 1, nowMs: Date.now() }
  const id = await insertFlow(api.db, { ...flow, requested_by: null, requested_project: null, request_id: null })
  const at = (ms: number) => new Date(Date.now() + ms).toISOString().replace('Z', '000+00:00')
  const progress = { step: 'deploy.write_image', phase: 'write', total_bytes: 100, rate_bytes_per_s: 5, eta_s: 9 }
  await writeProgress(api.db, id, { ...progress, bytes: 10, updated_at: at(0) })
  const first = await stream.next()
  assert.deepEqual([first.id, first.kind, first.data.bytes, first.data.flow], [null, 'progress', 10, 'deploy'])
  await writeProgress(api.db, id, { ...progress, bytes: 20, updated_at: at(1) })
  assert.equal((await stream.next()).data.bytes, 20)
  const piece = { nodeUuid: node, bootId: 'b1', piece: 0, text: '[ 0.00] Linux\n', at: at(0) }
  await keepPiece(api.db, piece, 1000)
  await keepPiece(api.db, { ...piece, piece: 1, text: 'more\n', at: at(5) }, 1000)
  const [one, two] = [await stream.next(), await stream.next()]
  assert.deepEqual([one.kind, one.data.text, two.data.text], ['log lines', '[ 0.00] Linux\n', 'more\n'])
  stream.close()
  await updateFlow(api.db, id, { state: 'done' })
})
