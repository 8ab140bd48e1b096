/**
 * What the service tells of its own work, for whoever measures it: a channel of Node's per kind of work. Where nobody
 * listens, telling costs one look at a flag; so code that runs thousands of times a second asks `isHeard` before it
 * reads a clock. Nothing is kept here, and what a listener does must be quick: it runs within the work that tells.
 *
 * Source: Node.js, "Diagnostics Channel".
 */
import { channel } from 'node:diagnostics_channel'

export interface Measure<T extends object> {
  readonly isHeard: boolean
  tell(value: T): void
  /** @returns ends it */
  listen(hear: (value: T) => void): () => void
}

/** @param name `ferrite:<part>:<what>`, of which each process has one */
export function measure<T extends object>(name: string): Measure<T> {
  const told = channel(name)
  return {
    get isHeard() {
      return told.hasSubscribers
    },
    tell(value) {
      told.publish(value)
    },
    listen(hear) {
      const subscriber = (value: unknown) => hear(value as T) // only this measure's tell() publishes here
      told.subscribe(subscriber)
      return () => void told.unsubscribe(subscriber)
    },
  }
}
