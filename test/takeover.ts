/** How work goes from a conductor that is gone to the others: who has it, as the database tells. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../src/db/database.ts'

/** The others are to have what a dead conductor held within this time. */
export const takeoverLimitMs = 10_000

/** Who runs the flows that have not ended, and how many: by conductor, null for nobody. */
export async function atWork(db: Db): Promise<Map<string | null, number>> {
  const rows = await db.selectFrom('flows').select('conductor').where('ended_at', 'is', null).execute()
  const groups = Map.groupBy(rows, row => row.conductor)
  return new Map([...groups].map(([conductor, flows]) => [conductor, flows.length]))
}

/** The conductor with the most work, which is the one to lose; undefined when nobody works. */
export async function busiest(db: Db): Promise<{ conductor: string; flows: number } | undefined> {
  const work = [...(await atWork(db))].flatMap(([conductor, flows]) => (conductor === null ? [] : { conductor, flows }))
  return work.sort((a, b) => b.flows - a.flows)[0]
}

/**
 * Waits until the others have all that a conductor had; how long that took, in milliseconds.
 * @throws when they do not within the limit
 */
export async function takenOver(db: Db, from: string): Promise<number> {
  const began = performance.now()
  for (;;) {
    const work = await atWork(db)
    const held = await db.selectFrom('nodes').select('uuid').where('lease_holder', '=', from).execute()
    const tookMs = performance.now() - began
    if (!work.has(from) && !work.has(null) && held.length === 0) return tookMs
    if (tookMs > takeoverLimitMs) {
      throw new Error(`after ${takeoverLimitMs} ms ${from} holds ${held.length} nodes: ${JSON.stringify([...work])}`)
    }
    await sleep(50)
  }
}
