/**
 * The periodic tasks that forget: old events and flows, by [ferrite] keep_events_days, and what nodes have too much of in
 * their history, by [conductor] node_history_*. Other work gets its turn between two bites.
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import { type Bite, nodesAfter, pruneEvents, pruneFlows, pruneHistory } from '#db/pruning.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'

const dayMs = 86_400_000
const rowsInBite = 500
const nodesInBite = 500

export interface PruneWorld {
  db: Db
  config: Pick<Config, 'ferrite' | 'conductor'>
  clock: Clock
  log: Log
}

/** Removes what is older than the option says. */
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

/** Keeps of each node's history the latest entries, as many as the option says, and all that are not old enough to go. */
export async function pruneHistories({ db, config, clock, log }: PruneWorld, signal: AbortSignal): Promise<void> {
  const {
    node_history_max_entries: keep,
    node_history_minimum_days: days,
    node_history_cleanup_batch_count: limit,
  } = config.conductor
  if (limit === 0) return
  // Entries of this very moment count as old where no day is to be kept.
  const beforeMs = clock.now() - days * dayMs + 1
  let removed = 0
  for (let last: string | undefined = ''; last !== undefined && !signal.aborted; ) {
    const nodes: string[] = await nodesAfter(db, last, nodesInBite)
    for (const uuid of nodes) {
      for (let bite = limit; bite === limit && !signal.aborted; removed += bite) {
        bite = await pruneHistory(db, uuid, { keep, beforeMs, limit })
        await clock.sleep(1, signal).catch(() => {})
      }
    }
    last = nodes.at(-1)
  }
  if (removed > 0) log.info({ entries: removed, keep, days }, 'forgot old entries of node histories')
}
