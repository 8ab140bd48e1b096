/**
 * Which conductors live and what they drive, as far as answers need it: a snapshot of rows, read again when it is a
 * second old. It holds nothing that the rows do not.
 */
import { listConductors, listInterfaces } from '#db/conductors.ts'
import type { Db } from '#db/database.ts'
import type { Clock } from '#lib/clock.ts'

const freshForMs = 1000

export interface Fleet {
  /** The live conductor that serves a node; null when none fits. */
  conductorOf(node: { uuid: string; driver: string; conductor_group: string }): string | null
}

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
      const alive = (await listConductors(db)).filter(one => one.online && one.updatedAtMs >= oldestMs)
      const drives = new Set((await listInterfaces(db)).map(one => `${one.hostname} ${one.hardware_type}`))
      readAtMs = nowMs
      fleet = {
        conductorOf: node =>
          nearest(
            node.uuid,
            alive
              .filter(
                one => one.conductor_group === node.conductor_group && drives.has(`${one.hostname} ${node.driver}`),
              )
              .map(one => one.hostname),
          ),
      }
      return fleet
    },
  }
}

/**
 * Rendezvous hashing: every node has its own order of the hosts and takes the first, so that a host that leaves moves
 * only its own nodes.
 */
function nearest(uuid: string, hosts: readonly string[]): string | null {
  let best: string | null = null
  let bestWeight = -1
  for (const host of hosts) {
    const weight = hosts.length === 1 ? 0 : hash(`${host} ${uuid}`)
    if (weight > bestWeight) [best, bestWeight] = [host, weight]
  }
  return best
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
