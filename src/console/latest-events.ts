/** What has happened last, as pages for people: the newest first. What happens from now on is live.ts's. */
import { get } from './api.ts'
import type { LiveEvent } from './live.ts'

export interface LatestEvents {
  /** The newest first. */
  readonly events: readonly LiveEvent[]
  /** Number before which there are older ones; undefined: there are none. */
  readonly olderThan: number | undefined
}

/** The last `latest` events, of these kinds only where they are named. @throws ApiFault */
export async function latestEvents(
  query: { latest: number; kind?: readonly string[]; before?: number },
  signal: AbortSignal,
): Promise<LatestEvents> {
  const { events, next } = await get<{ events: LiveEvent[]; next?: string }>('/v1/events', { query, signal })
  const before = next === undefined ? null : new URL(next, location.origin).searchParams.get('before')
  return { events: events.toReversed(), olderThan: before === null ? undefined : Number(before) }
}
