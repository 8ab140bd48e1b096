/**
 * Nodes as rows, for printing: chosen columns, with what the agent said and how far the running flow is, in one
 * statement for one node or a page of them. Whoever wants to decide something about a node reads it with nodes.ts.
 */
import { type CompiledQuery, type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely'
import type { Db, Trx } from './database.ts'
import { type RowColumn, readable } from './json-columns.ts'
import { type Page, type Paged, type RawRow, readPage } from './page.ts'
import type { Tables } from './tables.ts'

/** Columns of the agent and of the flow, as they are called beside the node's own. */
const joined = [
  'agents.url as agent_url',
  'agents.version as agent_version',
  'agents.verify_ca as agent_verify_ca',
  'agents.token as agent_token',
  'agents.token_pregenerated as agent_token_pregenerated',
  'agents.status as agent_status',
  'agents.status_message as agent_status_message',
  'agents.heartbeat_at as agent_heartbeat_at',
  'flows.progress as flow_progress',
] as const

export interface NodeColumns {
  /** Columns of nodes. */
  own: readonly RowColumn[]
  /** Also the agent's and the flow's. */
  joined: boolean
}

export interface NodeFilters {
  /** Equal to these, by column; null and undefined values are no condition. */
  equal?: Readonly<Record<string, string | number | undefined>>
  associated?: boolean | undefined
  sharded?: boolean | undefined
  /** Any of, in any case. */
  shards?: readonly string[] | undefined
  /** Owner or lessee: there are no other nodes for the caller. */
  project?: string | undefined
  descriptionContains?: string | undefined
  parent?: string | undefined
  /** Children are left out unless asked for. */
  includeChildren?: boolean | undefined
}

export async function listNodeRows(
  db: Db | Trx,
  columns: NodeColumns,
  filters: NodeFilters,
  page: Page,
): Promise<Paged> {
  const { project } = filters
  const visible =
    project === undefined ? undefined : sql<SqlBool>`(nodes.owner = ${project} or nodes.lessee = ${project})`
  return readPage(db, filtered(selected(db, columns), filters), { name: 'nodes', key: 'uuid' }, { ...page, visible })
}

/** One node by UUID or name. */
export async function findNodeRow(db: Db | Trx, columns: NodeColumns, ident: string): Promise<RawRow | undefined> {
  const query = compiledFor(db, columns)
  const parameters = query.parameters.map(one => (one === placeholder ? ident : one))
  const { rows } = await db.executeQuery({ ...query, parameters })
  return rows[0] as RawRow | undefined // columns of nodes are texts and numbers
}

/** The nodes that are named by UUID or name, in no order: plain columns, in one statement. */
export async function findNodeRows(
  db: Db | Trx,
  columns: readonly (keyof Tables['nodes'])[],
  idents: readonly string[],
): Promise<RawRow[]> {
  if (idents.length === 0) return []
  const rows = await db
    .selectFrom('nodes')
    .select(columns)
    .where(where => where.or([where('uuid', 'in', idents), where('name', 'in', idents)]))
    .execute()
  return rows as RawRow[] // columns of nodes are texts and numbers
}

/** Queries that differ in nothing but the identifier, compiled once for each set of columns. */
const compiled = new WeakMap<NodeColumns, CompiledQuery>()
const placeholder = '\0ident'

function compiledFor(db: Db | Trx, columns: NodeColumns): CompiledQuery {
  const known = compiled.get(columns)
  if (known) return known
  const query = selected(db, columns)
    .where(where => where.or([where('nodes.uuid', '=', placeholder), where('nodes.name', '=', placeholder)]))
    .compile()
  compiled.set(columns, query)
  return query
}

/** What is told of a node and stands in another table, by the name under which it is read. */
const derived: Readonly<Record<string, RawBuilder<unknown>>> = {
  allocation_uuid: sql`(select uuid from allocations where allocations.node_uuid = nodes.uuid)`,
}

type NodeQuery = SelectQueryBuilder<Tables, 'nodes' | 'agents' | 'flows', object>

function selected(db: Db | Trx, columns: NodeColumns): NodeQuery {
  const query = db.selectFrom('nodes').select(readable(db, 'nodes', columns.own, derived))
  // The types of the two branches differ by nullable joined columns, which no caller sees: rows leave as RawRow.
  if (!columns.joined) return query as unknown as NodeQuery
  return query
    .leftJoin('agents', 'agents.node_uuid', 'nodes.uuid')
    .leftJoin('flows', on =>
      on.onRef('flows.node_uuid', '=', 'nodes.uuid').on('flows.state', 'in', ['ready', 'running', 'waiting']),
    )
    .select(joined) as unknown as NodeQuery
}

function filtered(query: NodeQuery, filters: NodeFilters): NodeQuery {
  let out = query
  for (const [column, value] of Object.entries(filters.equal ?? {})) {
    if (value !== undefined) out = out.where(sql<boolean>`${sql.ref(`nodes.${column}`)} = ${value}`)
  }
  const { associated, sharded, shards, descriptionContains, parent } = filters
  if (associated !== undefined) out = out.where('nodes.instance_uuid', associated ? 'is not' : 'is', null)
  if (sharded !== undefined) out = out.where('nodes.shard', sharded ? 'is not' : 'is', null)
  if (shards !== undefined) out = out.where(sql<string>`lower(nodes.shard)`, 'in', shards.length > 0 ? shards : [''])
  if (descriptionContains !== undefined) out = out.where(contains('nodes.description', descriptionContains))
  if (parent !== undefined) out = out.where('nodes.parent_node', '=', parent)
  else if (filters.includeChildren !== true) out = out.where('nodes.parent_node', 'is', null)
  return out
}

/** No description is longer, and engines refuse patterns of some length. */
const longestSought = 4096

/**
 * The column holds the text, in any case; `%` and `_` of the text stand for themselves. As both engines lower our
 * columns, so is the text: the letters of ASCII alone.
 */
export function contains(column: string, text: string) {
  if (text.length > longestSought) return sql<boolean>`1 = 0`
  const lower = text.replace(/[A-Z]/g, letter => letter.toLowerCase())
  const pattern = `%${lower.replace(/[\\%_]/g, '\\$&')}%`
  return sql<boolean>`lower(${sql.ref(column)}) like ${pattern} escape '\\'`
}
