/** The log of events over HTTP: pages, and a stream that misses nothing. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { appendEvent } from '#db/events.ts'
import { freshDatabase } from '#db/test-database.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { eventHub } from '../event-hub.ts'
import { startApi, type TestApi } from '../test-api.ts'

interface Told {
  id: number
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
