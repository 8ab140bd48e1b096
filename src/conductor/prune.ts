/** The periodic task that forgets old events and flows, by [ferrite] keep_events_days. */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import { type Bite, pruneEvents, pruneFlows } from '#db/pruning.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'

const dayMs = 86_400_000
const rowsInBite = 500

export interface PruneWorld {
  db: Db
  config: Pick<Config, 'ferrite'>
  clock: Clock
  log: Log
}

/** Removes what is older than the option says; other work gets its turn between two bites. */
export async function prune({ db, config, clock, log }: PruneWorld, signal: AbortSignal): Promise<void> {
  const days = config.ferrite.keep_events_days
  if (days === 0) return
  const beforeMs = clock.now() - days * dayMs
  const all = async (bite: typeof pruneEvents): Promise<number> => {
    let removed = 0
    for (let afterId: Bite['afterId'] = 0; afterId !== undefined && !signal.aborted; ) {
      const done = await bite(db, { beforeMs, afterId, limit: rowsInBite })
      removed += done.removed
      afterId = done.afterId
      await clock.sleep(1, signal).catch(() => {})
    }
    return removed
  }
  const events = await all(pruneEvents)
  const flows = await all(pruneFlows)
  if (events + flows > 0) log.info({ events, flows, days }, 'forgot old events and flows')
}
