/** Kills one conductor for good while it has hundreds of deployments in its hands, and sees how the others take them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../../src/db/database.ts'
import { busiest, takenOver } from '../takeover.ts'
import type { Conductors } from './conductors.ts'

export interface Takeover {
  /** That the dead one had. */
  flows: number
  /** From the kill until the others had all of them. */
  tookMs: number
}

/** @throws when no conductor ever holds so many flows before the signal, or when the others do not take them in time */
export async function killHolding(
  conductors: Conductors,
  options: { database: string; flows: number; say(line: string): void; signal: AbortSignal },
): Promise<Takeover> {
  const db = await openDatabase(options.database)
  try {
    for (;;) {
      if (options.signal.aborted) throw new Error(`no conductor ever had ${options.flows} deployments in its hands`)
      const victim = await busiest(db)
      if (victim && victim.flows >= options.flows) {
        await conductors.kill(victim.conductor)
        const tookMs = await takenOver(db, victim.conductor)
        options.say(`${victim.conductor} was killed with ${victim.flows} deployments in its hands`)
        return { flows: victim.flows, tookMs }
      }
      await sleep(100)
    }
  } finally {
    await db.destroy()
  }
}
