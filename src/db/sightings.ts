/**
 * What Ferrite sees of machines that boot: hops, what went wrong on the way, and machines that no port knows. Written
 * down as events, read back as the record of one boot. Whoever boots in a loop, or asks under ever new addresses, fills
 * no database: the same is written once in a while only.
 */
import type { Clock } from '#lib/clock.ts'
import type { BootRecord, Hop, Stranger, Trouble } from '#protocol/boot.ts'
import type { Db } from './database.ts'
import { appendEvent } from './events.ts'
import { portsByAddress, portsOf } from './ports.ts'

/** The same trouble, or stranger, is written this often. */
const againMs = 30_000
/** How many different ones are written a minute. */
const perMinute = 120
/** Of a boot, at most; the last ones. */
const mostEvents = 500
const mostStrangers = 20

export class Sightings {
  readonly #db: Db
  readonly #clock: Pick<Clock, 'now'>
  readonly #written = new Map<string, number>()

  constructor({ db, clock }: { db: Db; clock: Pick<Clock, 'now'> }) {
    this.#db = db
    this.#clock = clock
  }

  /** A hop of the machine with this MAC address or UUID. One that asks for an address and has no port is a stranger. */
  async hop(seen: { hop: Hop; mac?: string; nodeUuid?: string; data?: Record<string, unknown> }): Promise<void> {
    const { hop, mac } = seen
    const node_uuid = await this.#nodeOf(seen)
    if (node_uuid === undefined) {
      if (mac !== undefined && hop === 'dhcp discover') await this.stranger('dhcp', [mac])
      return
    }
    const data = { hop, ...(mac ? { mac } : {}), ...seen.data }
    await appendEvent(this.#db, { nowMs: this.#clock.now(), node_uuid, kind: 'boot hop', data })
  }

  /** What went wrong for the machine with this MAC address or UUID; nothing is written of others. */
  async trouble(of: { mac?: string; nodeUuid?: string }, trouble: Trouble): Promise<void> {
    const node_uuid = await this.#nodeOf(of)
    if (node_uuid === undefined || !this.#isNew(JSON.stringify([node_uuid, trouble]))) return
    const data = { ...trouble }
    await appendEvent(this.#db, { nowMs: this.#clock.now(), node_uuid, kind: 'boot trouble', data })
  }

  /** A machine asked that no port knows. */
  async stranger(asked: Stranger['asked'], macs: readonly string[]): Promise<void> {
    if (!this.#isNew(`${asked} ${macs.join()}`)) return
    await appendEvent(this.#db, {
      nowMs: this.#clock.now(),
      kind: 'stranger',
      data: { asked, macs: macs.slice(0, 16) },
    })
  }

  async #nodeOf({ mac, nodeUuid }: { mac?: string; nodeUuid?: string }): Promise<string | undefined> {
    return nodeUuid ?? (mac === undefined ? undefined : (await portsByAddress(this.#db, [mac]))[0]?.node_uuid)
  }

  /** Whether it is to be written: not the same as a moment ago, nor one of too many. */
  #isNew(what: string): boolean {
    const nowMs = this.#clock.now()
    for (const [key, atMs] of this.#written) {
      if (nowMs - atMs < againMs) break
      this.#written.delete(key)
    }
    if (this.#written.has(what) || this.#written.size >= (perMinute * againMs) / 60_000) return false
    this.#written.set(what, nowMs)
    return true
  }
}

/** What was seen of the boot of a node that was switched on at `since`, in the API's time. */
export async function bootRecord(db: Db, nodeUuid: string, since: string): Promise<BootRecord> {
  const ports = await portsOf(db, nodeUuid)
  const latest = db.selectFrom('events').select(['at', 'kind', 'data']).orderBy('id', 'desc').limit(mostEvents)
  const rows = await latest
    .where('node_uuid', '=', nodeUuid)
    .where('kind', 'in', ['boot hop', 'boot trouble'])
    .where('at', '>=', since)
    .execute()
  // By number, not by time: of what belongs to no node there may be much that is old.
  const unknown = await latest.where('node_uuid', 'is', null).execute()
  const strangers = unknown.filter(({ kind, at }) => kind === 'stranger' && at >= since).slice(0, mostStrangers)
  const events = rows.reverse().map(({ at, kind, data }) => ({ at, kind, data: JSON.parse(data) }))
  return {
    since,
    macs: ports.filter(port => port.pxe_enabled).map(port => port.address),
    otherMacs: ports.filter(port => !port.pxe_enabled).map(port => port.address),
    hops: events.filter(({ kind }) => kind === 'boot hop').map(({ at, data }) => ({ at, hop: data.hop, data })),
    troubles: events.filter(({ kind }) => kind === 'boot trouble').map(({ at, data }) => ({ ...data, at })),
    strangers: strangers.reverse().map(({ at, data }) => ({ ...JSON.parse(data), at })),
  }
}

/** When the last hop was seen since a time of the API, in milliseconds since 1970; null when there was none. */
export async function lastHopMs(db: Db, nodeUuid: string, since: string): Promise<number | null> {
  const row = await db
    .selectFrom('events')
    .select('at')
    .where('node_uuid', '=', nodeUuid)
    .where('kind', '=', 'boot hop')
    .where('at', '>=', since)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? Date.parse(row.at) : null
}

/** When a flow last switched the machine on or reset it, in the API's time; null: not since events are kept. */
export async function lastPowerOn(db: Db, nodeUuid: string): Promise<string | null> {
  const rows = await db
    .selectFrom('events')
    .select(['at', 'data'])
    .where('node_uuid', '=', nodeUuid)
    .where('kind', '=', 'power')
    .orderBy('id', 'desc')
    .limit(10)
    .execute()
  return rows.find(({ data }) => JSON.parse(data).state !== 'power off')?.at ?? null
}
