/** Ports as rows, for printing: chosen columns, one or a page, in one statement. */
import { sql } from 'kysely'
import type { Db, Trx } from './database.ts'
import { type RowColumn, readable } from './json-columns.ts'
import { contains } from './node-rows.ts'
import { type Page, type Paged, type RawRow, readPage } from './page.ts'

export interface PortFilters {
  node?: string | undefined
  address?: string | undefined
  portgroup?: string | undefined
  /** Shards of the node, any of, in any case. */
  shards?: readonly string[] | undefined
  /** Conductor groups of the node, any of. */
  conductorGroups?: readonly string[] | undefined
  descriptionContains?: string | undefined
  /** Owner or lessee of the node: there are no other ports for the caller. */
  project?: string | undefined
}

export async function listPortRows(
  db: Db | Trx,
  columns: readonly RowColumn[],
  filters: PortFilters,
  page: Page,
): Promise<Paged> {
  let query = db.selectFrom('ports').select(readable(db, 'ports', columns))
  if (filters.node !== undefined) query = query.where('ports.node_uuid', '=', filters.node)
  if (filters.address !== undefined) query = query.where('ports.address', '=', filters.address)
  if (filters.portgroup !== undefined) query = query.where('ports.portgroup_uuid', '=', filters.portgroup)
  if (filters.descriptionContains !== undefined) {
    query = query.where(contains('ports.description', filters.descriptionContains))
  }
  if (filters.shards !== undefined) query = query.where(ofNodes('ports', 'lower(shard)', filters.shards))
  if (filters.conductorGroups !== undefined)
    query = query.where(ofNodes('ports', 'conductor_group', filters.conductorGroups))
  const visible = filters.project === undefined ? undefined : ofProject('ports', filters.project)
  return readPage(db, query, { name: 'ports', key: 'uuid' }, { ...page, visible })
}

/** One port by UUID or name. */
export async function findPortRow(
  db: Db | Trx,
  columns: readonly RowColumn[],
  ident: string,
): Promise<RawRow | undefined> {
  const row = await db
    .selectFrom('ports')
    .select(readable(db, 'ports', columns))
    .where(where => where.or([where('ports.uuid', '=', ident), where('ports.name', '=', ident)]))
    .executeTakeFirst()
  return row as RawRow | undefined // columns of ports are texts and numbers
}

/** Whether a row's node has one of the values in an expression over its columns; both names are the program's own. */
export function ofNodes(table: 'ports' | 'portgroups', expression: string, values: readonly string[]) {
  const list = sql.join(values.length > 0 ? values : [''])
  return sql<boolean>`${sql.ref(`${table}.node_uuid`)} in (select uuid from nodes where ${sql.raw(expression)} in (${list}))`
}

type OfNodes = 'ports' | 'portgroups' | 'volume_connectors' | 'volume_targets'

/** Whether a row belongs to a node. */
export function ofNode(table: OfNodes, nodeUuid: string) {
  return sql<boolean>`${sql.ref(`${table}.node_uuid`)} = ${nodeUuid}`
}

/** Whether the node of a row belongs to, or is lent to, a project. */
export function ofProject(table: OfNodes, project: string) {
  return sql<boolean>`${sql.ref(`${table}.node_uuid`)} in (select uuid from nodes where owner = ${project} or lessee = ${project})`
}
