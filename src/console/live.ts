/**
 * What happens, as it happens: the service's event stream, told to whoever listens, and to the cache of what the pages
 * show. It comes back by itself after the last event that it has, so nothing is missed; while it is away, the masthead
 * says so.
 */
import type { QueryClient } from '@tanstack/react-query'
import { useEffect, useSyncExternalStore } from 'react'
import { send } from './api.ts'

export interface LiveEvent {
  readonly id: number
  readonly at: string
  readonly node_uuid: string | null
  readonly kind: string
  readonly data: Readonly<Record<string, unknown>>
}

type Listener = (event: LiveEvent) => void

const listeners = new Set<Listener>()
const watchers = new Set<() => void>()
let connected = false
const retryMs = { first: 1000, most: 15_000 }

/** Is the stream open? */
export function useConnected(): boolean {
  return useSyncExternalStore(
    watcher => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    () => connected,
  )
}

/** Hears every event while the component is shown. The listener should not change with each rendering. */
export function useEvents(listener: Listener): void {
  useEffect(() => {
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }, [listener])
}

/** Follows the stream until it is aborted; each event makes stale what the cache holds of its node, and `events`. */
export async function followEvents(cache: QueryClient, signal: AbortSignal): Promise<void> {
  const stale = staleNodes(cache, signal)
  const tell = (event: LiveEvent) => {
    if (event.node_uuid !== null) stale(event.node_uuid)
    for (const listener of listeners) listener(event)
  }
  let last: number | undefined
  let waitMs = retryMs.first
  while (!signal.aborted) {
    try {
      const query = { follow: true, ...(last === undefined ? {} : { after: last }) }
      const answer = await send('GET', '/v1/events', { query, signal }, 'text/event-stream')
      setConnected(true)
      waitMs = retryMs.first
      for await (const event of eventsOf(answer)) {
        last = event.id
        tell(event)
      }
    } catch {
      // Away for whatever reason: the wait below is the answer to each.
    }
    setConnected(false)
    await pause(waitMs, signal)
    waitMs = Math.min(waitMs * 2, retryMs.most)
  }
}

/** Server-sent events of an answer. Source: HTML standard, "Server-sent events". */
async function* eventsOf(answer: Response): AsyncGenerator<LiveEvent> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const read = await reader?.read()
    if (!read || read.done) return
    const blocks = (rest + read.value).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const data = block.split('\n').filter(line => line.startsWith('data: '))
      if (data.length > 0) yield JSON.parse(data.map(line => line.slice(6)).join('\n')) as LiveEvent // LoggedEvent of src/server
    }
  }
}

/** Gathers nodes for a moment: a deployment tells several things a second, and one look shows them all. */
function staleNodes(cache: QueryClient, signal: AbortSignal): (uuid: string) => void {
  const gathered = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const pass = () => {
    timer = undefined
    for (const uuid of gathered) void cache.invalidateQueries({ queryKey: ['node', uuid] })
    gathered.clear()
  }
  signal.addEventListener('abort', () => clearTimeout(timer))
  return uuid => {
    gathered.add(uuid)
    timer ??= setTimeout(pass, 300)
  }
}

function setConnected(now: boolean): void {
  if (connected === now) return
  connected = now
  for (const watcher of watchers) watcher()
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
