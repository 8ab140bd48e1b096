/** Which conductor serves a node, as far as answers need it: a reading of the rows that is at most a second old. */
import type { Db } from '#db/database.ts'
import { type Fleet, readFleet } from '#db/fleet.ts'
import type { Clock } from '#lib/clock.ts'

const freshForMs = 1000

export interface FleetSource {
  read(): Promise<Fleet>
}

/** @param heartbeatTimeoutS a conductor silent for longer is not alive */
export function fleetSource(options: { db: Db; clock: Clock; heartbeatTimeoutS: number }): FleetSource {
  const { db, clock } = options
  let fleet: Fleet | undefined
  let readAtMs = 0
  return {
    async read() {
      const nowMs = clock.now()
      if (fleet && Math.abs(nowMs - readAtMs) < freshForMs) return fleet
      const oldestMs = nowMs - options.heartbeatTimeoutS * 1000
      fleet = await readFleet(db, one => one.online && one.updatedAtMs >= oldestMs)
      readAtMs = nowMs
      return fleet
    },
  }
}
