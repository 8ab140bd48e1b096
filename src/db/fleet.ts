/** Which conductors live and what they drive, and so which of them serves a node: one reading of the rows. */
import { nearest } from '#lib/nearest.ts'
import { type ConductorRow, drivenTypes, listConductors } from './conductors.ts'
import type { Db, Trx } from './database.ts'

/** What decides which conductor serves a node. */
export interface Served {
  uuid: string
  driver: string
  conductor_group: string
}

export interface Fleet {
  /** All that ever were here and were not forgotten. */
  readonly conductors: readonly ConductorRow[]
  /** The live conductor that serves a node: of its group, driving its hardware type; null when none fits. */
  conductorOf(node: Served): string | null
}

/** @param isAlive which of the conductors count */
export async function readFleet(db: Db | Trx, isAlive: (conductor: ConductorRow) => boolean): Promise<Fleet> {
  const conductors = await listConductors(db)
  const alive = conductors.filter(isAlive)
  const drives = new Set((await drivenTypes(db)).map(one => `${one.hostname} ${one.hardware_type}`))
  const fitting = new Map<string, string[]>()
  return {
    conductors,
    conductorOf({ uuid, driver, conductor_group: group }) {
      const kind = `${group} ${driver}`
      let hosts = fitting.get(kind)
      if (!hosts) {
        const fits = alive.filter(one => one.conductor_group === group && drives.has(`${one.hostname} ${driver}`))
        hosts = fits.map(one => one.hostname)
        fitting.set(kind, hosts)
      }
      return nearest(uuid, hosts) ?? null
    },
  }
}
