/** How far events have been delivered, and who delivers them: a guarded row, so that two processes never do at once. */
import type { Db } from './database.ts'
import { newestEventId } from './event-feed.ts'

export interface Sink {
  position: number
  failures: number
}

/**
 * Takes the sink for a while, from whoever lets it go; undefined: somebody else has it, or it is not time to try again. A
 * sink that is new begins with what happens now.
 */
export async function takeSink(
  db: Db,
  name: string,
  { holder, nowMs, forMs }: { holder: string; nowMs: number; forMs: number },
): Promise<Sink | undefined> {
  const known = await db.selectFrom('event_sinks').select('name').where('name', '=', name).executeTakeFirst()
  if (!known) {
    const position = await newestEventId(db)
    await db
      .insertInto('event_sinks')
      .values({ name, position })
      .onConflict(on => on.doNothing())
      .execute()
  }
  const row = await db
    .updateTable('event_sinks')
    .set({ holder, until_ms: nowMs + forMs })
    .where('name', '=', name)
    .where('retry_at_ms', '<=', nowMs)
    .where(where => where.or([where('holder', '=', holder), where('until_ms', '<=', nowMs)]))
    .returning(['position', 'failures'])
    .executeTakeFirst()
  return row && { position: Number(row.position), failures: Number(row.failures) }
}

/** All up to `position` was delivered. False: somebody else has the sink by now. */
export async function delivered(db: Db, name: string, holder: string, position: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('event_sinks')
    .set({ position, failures: 0, retry_at_ms: 0 })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** All up to `position` is left out. False: somebody else has the sink by now. */
export async function giveUp(db: Db, name: string, holder: string, position: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('event_sinks')
    .set({ position })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

export async function notDelivered(
  db: Db,
  name: string,
  holder: string,
  { failures, retryAtMs }: { failures: number; retryAtMs: number },
): Promise<void> {
  await db
    .updateTable('event_sinks')
    .set({ failures, retry_at_ms: retryAtMs })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .execute()
}
