/**
 * How processes on one PostgreSQL hear of each other: short messages that only wake, and a lock that is held for as long
 * as a process lives, so that the others see at once when it was killed. Both hang on one connection, which is made anew
 * when it breaks; what was said meanwhile is lost, which costs nothing but time.
 */
import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { Clock } from '#lib/clock.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { readConnection } from './connection.ts'
import { postgresClient } from './postgres.ts'

export interface Channel {
  /** Hands every message to `hear` as well from now on, our own included. */
  listen(hear: (message: string) => void): void
  /** Sends a message to all, if it can. At most 7000 bytes. */
  send(message: string): void
  /** Which of these processes live, by their locks; undefined while that cannot be told. */
  living(names: readonly string[]): Promise<ReadonlySet<string> | undefined>
  /** What the server's clock says, in milliseconds since 1970; undefined while that cannot be told. */
  serverNowMs?(): Promise<number | undefined>
  close(): Promise<void>
}

const name = 'ferrite'
/** Marks our locks among the advisory locks of the database. */
const lockClass = 7_263_552
const reconnectMs = 500
/** How long the server may take to notice that a process with our name was killed. */
const formerLifeMs = 15_000
/** A machine that lost power says no farewell: the server asks after so many seconds, and gives up soon. */
const keepalive = 'SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3'

/**
 * Opens the channel of a process; undefined where the database is SQLite, which has one process only.
 * @throws InvalidInput when a process of this name lives already
 */
export async function openChannel(
  connection: string,
  options: { process: string; clock: Clock; log: Log },
): Promise<Channel | undefined> {
  const address = readConnection(connection)
  if (address.engine === 'sqlite') return undefined
  const { process, clock, log } = options
  let client: pg.Client | undefined
  let closed = false
  const hearers: ((message: string) => void)[] = []
  /** A connection does one thing at a time: what is asked of it meanwhile waits here. */
  let busy: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(ask: () => Promise<T>): Promise<T> => {
    const turn = busy.then(ask)
    busy = turn.catch(() => {})
    return turn
  }

  const connect = async () => {
    const made = postgresClient(address)
    made.on('error', () => {}) // 'end' follows
    made.on('notification', message => {
      for (const hear of hearers) hear(message.payload ?? '')
    })
    await made.connect()
    try {
      await made.query(keepalive)
      await occupy(made)
      await made.query(`LISTEN ${name}`)
    } catch (error) {
      await made.end().catch(() => {})
      throw error
    }
    made.on('end', () => {
      client = undefined
      if (!closed) void reconnect()
    })
    client = made
  }
  /** Takes the lock of this process; that of a former life may take a moment to go. */
  const occupy = async (made: pg.Client) => {
    const until = clock.now() + formerLifeMs
    for (;;) {
      const { rows } = await made.query<{ free: number }>('SELECT pg_try_advisory_lock($1, $2) AS free', [
        lockClass,
        keyOf(process),
      ])
      if (rows[0]?.free) return
      if (clock.now() >= until) {
        throw new InvalidInput(
          `Cannot start as "${process}": a process of that name is at work on this database; set [DEFAULT] host`,
        )
      }
      await clock.sleep(reconnectMs)
    }
  }
  const reconnect = async () => {
    while (!closed && !client) {
      await clock.sleep(reconnectMs)
      await connect().catch(error => log.warn({ reason: messageOf(error) }, 'the channel to the others is broken'))
    }
  }

  await connect()
  return {
    listen(hear) {
      hearers.push(hear)
    },
    send(message) {
      inTurn(async () => client?.query('SELECT pg_notify($1, $2)', [name, message])).catch(() => {})
    },
    async living(names) {
      const locks = await inTurn(async () =>
        client?.query<{ key: number }>(
          `SELECT objid::bigint AS key FROM pg_locks
            WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2 AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
          [lockClass],
        ),
      )
      if (!locks) return undefined
      const held = new Set(locks.rows.map(row => row.key))
      return new Set(names.filter(one => held.has(keyOf(one))))
    },
    async serverNowMs() {
      const answer = await inTurn(async () =>
        client?.query<{ ms: string }>('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms'),
      )
      return answer && Number(answer.rows[0]?.ms)
    },
    async close() {
      closed = true
      await client?.end().catch(() => {})
    },
  }
}

/** A number from 0 to 2^31 for a name. */
function keyOf(process: string): number {
  return createHash('sha256').update(process).digest().readUInt32BE() >>> 1
}
