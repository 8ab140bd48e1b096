/**
 * Keeps what runs took that have ended well, for the estimates of those that come. It reads the log of events from where
 * it is: what ended while no process looked is not counted, and what two processes count at once may count as one. Of
 * thousands that end at a time only some are looked at; they are much the same.
 */
import { type Db, inTransaction } from '#db/database.ts'
import { newestEventId } from '#db/event-feed.ts'
import { findNode } from '#db/nodes.ts'
import { addPhaseTimes } from '#db/phase-times.ts'
import { endedRuns } from '#db/timeline-rows.ts'
import type { Clock } from '#lib/clock.ts'
import type { Stretch } from './attribute.ts'
import { phasesSpent } from './measured.ts'
import { milestonesOf } from './milestones.ts'
import { modelOfNode } from './model.ts'
import { attributed } from './timeline.ts'

/** Runs that are looked at in one round. */
const most = 50
/** Of what is not known to belong anywhere nothing is to be learnt. */
const mostUnattributed = 0.1

export class RunMemory {
  readonly #db: Db
  readonly #clock: Pick<Clock, 'now'>
  /** Events up to here are known; undefined before the first round. */
  #lastId: number | undefined

  constructor({ db, clock }: { db: Db; clock: Pick<Clock, 'now'> }) {
    this.#db = db
    this.#clock = clock
  }

  /** Keeps what has ended since the last round, of flows that `isOurs`. @param signal ends it between two runs */
  async round({ isOurs, signal }: { isOurs(conductor: string | null): boolean; signal: AbortSignal }): Promise<void> {
    const newest = await newestEventId(this.#db)
    const afterId = this.#lastId ?? newest
    this.#lastId = newest
    if (newest === afterId) return
    for (const run of await endedRuns(this.#db, { afterId, limit: most })) {
      if (signal.aborted) return
      if (isOurs(run.conductor)) await this.#keep(run)
    }
  }

  async #keep(run: Awaited<ReturnType<typeof endedRuns>>[number]): Promise<void> {
    const nowMs = this.#clock.now()
    const node = await findNode(this.#db, run.node_uuid)
    const [told] = await attributed(this.#db, run.node_uuid, [run], nowMs)
    if (!node || !told) return
    tellPhases(run.kind, told.stretches)
    const { workS, milestones } = milestonesOf(told.stretches)
    const lost = told.stretches.filter(({ phase }) => phase === 'unattributed')
    const lostS = lost.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0) / 1000
    if (lostS > workS * mostUnattributed) return
    const model = await modelOfNode(this.#db, node)
    const phases = milestones.map(({ phase, occurrence, seconds, leftS, bytes }) => ({
      phase,
      occurrence,
      sample: { seconds, leftS, bytes },
    }))
    const whole = { phase: 'run', occurrence: 0, sample: { seconds: workS, leftS: 0, bytes: null } }
    await inTransaction(this.#db, trx => addPhaseTimes(trx, { model, kind: run.kind, nowMs }, [whole, ...phases]))
  }
}

/** A phase that comes several times in a run is told once, with all of its time. */
function tellPhases(flow: string, stretches: readonly Stretch[]): void {
  if (!phasesSpent.isHeard) return
  for (const [phase, all] of Map.groupBy(stretches, stretch => stretch.phase)) {
    const durationMs = all.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0)
    phasesSpent.tell({ flow, phase, durationMs })
  }
}
