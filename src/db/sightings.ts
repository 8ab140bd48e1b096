/**
 * What Ferrite sees of machines that boot: hops, what went wrong on the way, and machines that no port knows. Written
 * down as events, read back as the record of one boot. Whoever boots in a loop, or asks under ever new addresses, fills
 * no database: the same is written once in a while only.
 */
import type { Clock } from '#lib/clock.ts'
import type { BootRecord, Hop, Outage, Stranger, Trouble } from '#protocol/boot.ts'
import { timestamp } from '#protocol/field.ts'
import type { Db } from './database.ts'
import { appendEvent } from './events.ts'
import { type Port, portsByAddress, portsOf } from './ports.ts'
import { bootsOf, logOf } from './ramdisk-logs.ts'

/** The same trouble, or stranger, is written this often. */
const againMs = 30_000
/** How many different ones are written a minute. */
const perMinute = 120
/** The boot device is set, and read again, so long before power comes, at most. */
const preparingMs = 120_000
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

  /** A caller at this address does not trust our certificate; nothing is written of one that no boot took. */
  async distrusted(address: string, reason: string): Promise<void> {
    const nodeUuid = await this.#nodeAt(address.replace(/^::ffff:/, ''))
    if (nodeUuid !== undefined) await this.trouble({ nodeUuid }, { what: 'api distrusted', reason })
  }

  /** What serves boots ends, or serves again. */
  async outage(outage: Omit<Outage, 'at'>): Promise<void> {
    await appendEvent(this.#db, { nowMs: this.#clock.now(), kind: 'boot service', data: { ...outage } })
  }

  /** Whose boot took the address last. */
  async #nodeAt(ip: string): Promise<string | undefined> {
    const rows = await this.#db
      .selectFrom('events')
      .select(['node_uuid', 'data'])
      .where('kind', '=', 'boot hop')
      .orderBy('id', 'desc')
      .limit(mostEvents)
      .execute()
    return rows.find(({ data }) => JSON.parse(data).ip === ip)?.node_uuid ?? undefined
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
    .where('at', '>=', timestamp(Date.parse(since) - preparingMs))
    .execute()
  // By number, not by time: of what belongs to no node there may be much that is old.
  const unknown = await latest.where('node_uuid', 'is', null).execute()
  const strangers = unknown.filter(({ kind, at }) => kind === 'stranger' && at >= since).slice(0, mostStrangers)
  const events = rows.reverse().map(({ at, kind, data }) => ({ at, kind, data: JSON.parse(data) }))
  const otherMacs = ports.filter(port => !port.pxe_enabled).map(port => port.address)
  const isOther = (data: { mac?: string }) => data.mac !== undefined && otherMacs.includes(data.mac)
  const seen = events.filter(({ kind, at }) => kind === 'boot hop' && at >= since)
  const isOfBoot = ({ kind, at, data }: (typeof events)[number]) =>
    kind === 'boot trouble' && (at >= since || data.what === 'boot device lost')
  return {
    since,
    macs: ports.filter(port => port.pxe_enabled).map(port => port.address),
    otherMacs,
    switchPorts: ports.filter(port => port.pxe_enabled).flatMap(switchPortOf),
    hops: seen.filter(({ data }) => !isOther(data)).map(({ at, data }) => ({ at, hop: data.hop, data })),
    askedInVain: seen.filter(({ data }) => isOther(data)).map(({ at, data }) => ({ at, mac: data.mac })),
    troubles: events.filter(isOfBoot).map(({ at, data }) => ({ ...data, at })),
    strangers: strangers.reverse().map(({ at, data }) => ({ ...JSON.parse(data), at })),
    outage: await outageSince(db, since),
    lastWords: (await troubledLines(db, nodeUuid, since)).slice(-mostWords),
  }
}

function switchPortOf({ address: mac, local_link_connection: link }: Port): BootRecord['switchPorts'] {
  const [name, portName] = [link.switch_info || link.switch_id, link.port_id]
  return typeof name === 'string' && typeof portName === 'string' && portName !== ''
    ? [{ mac, switchName: name, portName }]
    : []
}

/** The last outage, where it is not over or was not when the machine was switched on. */
async function outageSince(db: Db, since: string): Promise<Outage | null> {
  const rows = await db
    .selectFrom('events')
    .select(['at', 'data'])
    .where('node_uuid', 'is', null)
    .where('kind', '=', 'boot service')
    .orderBy('id', 'desc')
    .limit(2)
    .execute()
  const [last, before] = rows.map(({ at, data }): Outage => ({ ...JSON.parse(data), at }))
  if (last?.state !== 'up') return last ?? null
  return last.at >= since && before?.state === 'down' ? before : null
}

const mostWords = 5
const mostLines = 200
const telling = /error|warn|fail|cannot|refus|panic|out of memory|killed|not found|unreachable/i

/** Lines of the ramdisk's log that tell of trouble, the last ones. @param since when the machine was switched on */
export async function troubledLines(db: Db, nodeUuid: string, since: string): Promise<string[]> {
  const boot = (await bootsOf(db, nodeUuid)).find(({ began_at }) => began_at >= since)
  const log = boot && (await logOf(db, { nodeUuid, bootId: boot.boot_id, after: -1 }))
  if (!log) return []
  const lines = log.text.split('\n').filter(line => telling.test(line))
  return lines.slice(-mostLines).map(line => line.slice(0, 300))
}

/** What was found out at the end of the flow's last boot that nothing was heard of; null: nothing. */
export async function keptDiagnosis(
  db: Db,
  { id, node_uuid }: { id: number; node_uuid: string },
): Promise<Record<string, unknown> | null> {
  const row = await db
    .selectFrom('events')
    .select('data')
    .where('node_uuid', '=', node_uuid)
    .where('flow_id', '=', id)
    .where('kind', '=', 'boot diagnosis')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? JSON.parse(row.data) : null
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

/**
 * When a flow last switched the machine on or reset it, in the API's time; null: not since events are kept. It counts from
 * when the BMC was asked: firmware may be heard of before the BMC reports that the power is there.
 */
export async function lastPowerOn(db: Db, nodeUuid: string): Promise<string | null> {
  const rows = await db
    .selectFrom('events')
    .select(['at', 'data'])
    .where('node_uuid', '=', nodeUuid)
    .where('kind', 'in', ['power', 'power asked'])
    .orderBy('id', 'desc')
    .limit(20)
    .execute()
  const changes = rows.map(({ at, data }): { at: string; state: string } => ({ at, ...JSON.parse(data) }))
  const last = changes.findIndex(({ state }) => state !== 'power off')
  const [first, before] = changes.slice(last, last + 2)
  if (last < 0 || !first) return null
  return before && before.state === first.state ? before.at : first.at
}
