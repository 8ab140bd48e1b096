/**
 * Wakes the hubs of all processes when one has appended events: a short message over the channel of the database, at most
 * some a second however much happens. What is heard says nothing; rows do. One that is lost costs the time to the next
 * look.
 */
import type { Channel } from '#db/channel.ts'
import { onAppended } from '#db/events.ts'
import type { EventHub } from './event-hub.ts'

const word = 'events'
/** Between two rings; the second of them finds what was not committed at the first. */
const pauseMs = 40

/** @param channel undefined: there are no other processes @returns what ends it */
export function ringBell(
  hub: Pick<EventHub, 'wake'>,
  channel: Pick<Channel, 'listen' | 'send'> | undefined,
): () => void {
  let pause: NodeJS.Timeout | undefined
  let isNew = false
  const ring = () => {
    hub.wake()
    channel?.send(word)
  }
  const onPause = () => {
    pause = undefined
    if (!isNew) return
    isNew = false
    ring()
    pause = setTimeout(onPause, pauseMs)
  }
  const end = onAppended(() => {
    // The transaction goes on: the ring after the pause is the one that counts, and this one may be in time.
    isNew = true
    if (pause) return
    ring()
    pause = setTimeout(onPause, pauseMs)
  })
  channel?.listen(message => {
    if (message === word) hub.wake()
  })
  return () => {
    end()
    clearTimeout(pause)
  }
}
