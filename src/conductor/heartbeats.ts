/**
 * Heartbeats that tell nothing new, folded: thousands of agents call every minute, and each call would be a write. They
 * are counted in memory and written once a second, all in one transaction. What is lost with the process is when an
 * agent was heard last, by a second; the next heartbeat makes it good.
 */
import { noteHeartbeats } from '#db/agents.ts'
import type { Db } from '#db/database.ts'
import type { Clock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'

const writeEveryMs = 1000
/** Writes in a transaction: so many that the event loop is free again soon. */
const bite = 200

export class Heartbeats {
  readonly #db: Db
  readonly #clock: Clock
  readonly #log: Log
  readonly #stop = new AbortController()
  /** By node and token: an agent of an earlier boot counts for nothing. */
  #noted = new Map<string, { nodeUuid: string; token: string; at: string; count: number }>()
  #writing: Promise<void> | undefined

  constructor({ db, clock, log }: { db: Db; clock: Clock; log: Log }) {
    this.#db = db
    this.#clock = clock
    this.#log = log
  }

  /** An agent called, with the token that is known of it. */
  note(nodeUuid: string, token: string): void {
    const key = `${nodeUuid} ${token}`
    const count = (this.#noted.get(key)?.count ?? 0) + 1
    this.#noted.set(key, { nodeUuid, token, at: timestamp(this.#clock.now()), count })
    this.#writing ??= this.#writeSoon()
  }

  /** Writes what is left. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#writing
  }

  async #writeSoon(): Promise<void> {
    await this.#clock.sleep(writeEveryMs, this.#stop.signal).catch(() => {}) // at the end: at once
    this.#writing = undefined
    const noted = [...this.#noted.values()]
    this.#noted = new Map()
    try {
      for (let from = 0; from < noted.length; from += bite) {
        await noteHeartbeats(this.#db, noted.slice(from, from + bite))
      }
    } catch (error) {
      this.#log.warn({ count: noted.length }, `heartbeats could not be written: ${messageOf(error)}`)
    }
  }
}
