/**
 * Queries on the logs of ramdisks. However much a machine tells, a boot takes no more room than it is given: what is
 * dropped is the middle, for a failure shows at the end and its cause often at the start.
 */
import { sql } from 'kysely'
import type { BootLog, LoggedBoot } from '#protocol/ramdisk-log.ts'
import { type Db, inTransaction, type Trx } from './database.ts'

/** Boots of a node whose logs are kept. */
const keptBoots = 3

export interface Piece {
  nodeUuid: string
  bootId: string
  piece: number
  text: string
  /** In the API's time. */
  at: string
}

/** Keeps a piece; one that came before is known already. */
export async function keepPiece(db: Db, { nodeUuid, bootId, piece, text, at }: Piece, limitBytes: number) {
  const row = { node_uuid: nodeUuid, boot_id: bootId, piece, came_at: at, size_bytes: Buffer.byteLength(text), text }
  await inTransaction(db, async trx => {
    const { numInsertedOrUpdatedRows: inserted } = await trx
      .insertInto('ramdisk_logs')
      .values(row)
      .onConflict(on => on.doNothing())
      .executeTakeFirstOrThrow()
    if (inserted === 0n) return
    await dropMiddle(trx, { nodeUuid, bootId, limitBytes })
    await dropOldBoots(trx, nodeUuid)
  })
}

/** Keeps a quarter of the room for the beginning, the rest for the end. */
async function dropMiddle(
  trx: Trx,
  { nodeUuid, bootId, limitBytes }: { nodeUuid: string; bootId: string; limitBytes: number },
): Promise<void> {
  const ofBoot = () => trx.selectFrom('ramdisk_logs').where('node_uuid', '=', nodeUuid).where('boot_id', '=', bootId)
  const rows = (await ofBoot().select(['piece', 'size_bytes']).orderBy('piece').execute()).map(row => ({
    piece: Number(row.piece),
    sizeBytes: Number(row.size_bytes),
  }))
  let tooMuch = rows.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - limitBytes
  let before = 0
  const dropped: number[] = []
  for (const { piece, sizeBytes } of rows) {
    if (tooMuch <= 0) break
    before += sizeBytes
    if (before <= limitBytes / 4) continue
    dropped.push(piece)
    tooMuch -= sizeBytes
  }
  if (dropped.length === 0) return
  await trx
    .deleteFrom('ramdisk_logs')
    .where('node_uuid', '=', nodeUuid)
    .where('boot_id', '=', bootId)
    .where('piece', 'in', dropped)
    .execute()
}

async function dropOldBoots(trx: Trx, nodeUuid: string): Promise<void> {
  const boots = (await bootsOf(trx, nodeUuid)).slice(keptBoots)
  if (boots.length === 0) return
  await trx
    .deleteFrom('ramdisk_logs')
    .where('node_uuid', '=', nodeUuid)
    .where(
      'boot_id',
      'in',
      boots.map(boot => boot.boot_id),
    )
    .execute()
}

/** The newest first. */
export async function bootsOf(db: Db | Trx, nodeUuid: string): Promise<LoggedBoot[]> {
  const rows = await db
    .selectFrom('ramdisk_logs')
    .where('node_uuid', '=', nodeUuid)
    .groupBy('boot_id')
    .select([
      'boot_id',
      sql<string>`MIN(came_at)`.as('began_at'),
      sql<string>`MAX(came_at)`.as('updated_at'),
      sql<number>`SUM(size_bytes)`.as('size_bytes'),
    ])
    .orderBy('began_at', 'desc')
    .orderBy('boot_id')
    .execute()
  return rows.map(row => ({ ...row, size_bytes: Number(row.size_bytes) }))
}

/** What came after a piece (-1: from the start); undefined where nothing of the boot is kept. */
export async function logOf(
  db: Db | Trx,
  { nodeUuid, bootId, after }: { nodeUuid: string; bootId: string; after: number },
): Promise<BootLog | undefined> {
  const rows = await db
    .selectFrom('ramdisk_logs')
    .where('node_uuid', '=', nodeUuid)
    .where('boot_id', '=', bootId)
    .select(['piece', 'text'])
    .orderBy('piece')
    .execute()
  if (rows.length === 0) return undefined
  let expected = after + 1
  let text = ''
  for (const row of rows) {
    const piece = Number(row.piece)
    if (piece <= after) continue
    if (piece > expected)
      text += `[... the log was too long: ${piece - expected} pieces of its middle are not kept ...]\n`
    text += row.text
    expected = piece + 1
  }
  return { boot_id: bootId, text, last_piece: expected > after + 1 ? expected - 1 : null }
}
