/**
 * All that a service tells of its nodes and what belongs to them, by its public API: read page by page, each object as it
 * was answered. What only newer services have is empty for an older one.
 */
import { minorOf } from '#protocol/microversion.ts'
import type { Takeover } from '#protocol/takeover.ts'
import { type Api, ApiError, type Query, segment } from '../client.ts'
import type { Item } from '../command.ts'

export interface Fleet {
  readonly chassis: readonly Item[]
  readonly nodes: readonly Item[]
  readonly ports: readonly Item[]
  readonly portgroups: readonly Item[]
  readonly volume_connectors: readonly Item[]
  readonly volume_targets: readonly Item[]
  readonly allocations: readonly Item[]
  readonly deploy_templates: readonly Item[]
  readonly runbooks: readonly Item[]
  readonly inspection_rules: readonly Item[]
}

type Kind = keyof Fleet

interface List {
  readonly path: string
  readonly key?: string
  readonly from: string
  readonly query?: Query
  /** What a newer version must be asked besides. */
  readonly later?: { readonly from: string; readonly query: Query }
}

/** Where each kind is listed with all its fields, from which version on. */
const lists: Readonly<Record<Kind, List>> = {
  chassis: { path: '/v1/chassis/detail', from: '1.1' },
  // From 1.83 on nodes inside of others are listed on request only.
  nodes: { path: '/v1/nodes/detail', from: '1.1', later: { from: '1.83', query: { include_children: 'True' } } },
  ports: { path: '/v1/ports/detail', from: '1.1' },
  portgroups: { path: '/v1/portgroups/detail', from: '1.23' },
  volume_connectors: {
    path: '/v1/volume/connectors',
    key: 'connectors',
    from: '1.32',
    query: { detail: 'True' },
  },
  volume_targets: { path: '/v1/volume/targets', key: 'targets', from: '1.32', query: { detail: 'True' } },
  allocations: { path: '/v1/allocations', from: '1.52' },
  deploy_templates: { path: '/v1/deploy_templates', from: '1.55', query: { detail: 'True' } },
  runbooks: { path: '/v1/runbooks', from: '1.92', query: { detail: 'True' } },
  inspection_rules: { path: '/v1/inspection_rules', from: '1.96', query: { detail: 'True' } },
}

/** @param newest the newest version of the service */
export async function readFleet(api: Api, newest: string, kinds = Object.keys(lists) as Kind[]): Promise<Fleet> {
  const found: Partial<Record<Kind, Item[]>> = {}
  for (const kind of Object.keys(lists) as Kind[]) {
    // the literal keys above
    const { path, key = kind, from, query: always = {}, later } = lists[kind]
    const has = kinds.includes(kind) && minorOf(from) <= minorOf(newest)
    const query = later && minorOf(later.from) <= minorOf(newest) ? { ...always, ...later.query } : always
    found[kind] = has ? await api.list(path, key, { query, limit: 0 }) : []
  }
  return found as Fleet // every kind was set just now
}

/** What is kept beside a node's own fields: BIOS settings, firmware, inventory. */
export async function readHardware(
  api: Api,
  newest: string,
  uuid: string,
): Promise<Required<Pick<Takeover, 'bios' | 'firmware' | 'inventory'>>> {
  const path = `/v1/nodes/${segment(uuid)}`
  const has = (from: string) => minorOf(from) <= minorOf(newest)
  const detail = has('1.74') ? { detail: 'True' } : {}
  const bios = has('1.40') ? await orNone(api.list(`${path}/bios`, 'bios', { query: detail, limit: undefined })) : []
  const firmware = has('1.86')
    ? await orNone(api.list(`${path}/firmware`, 'firmware', { query: {}, limit: undefined }))
    : []
  const inventory = has('1.81') ? await orNone(api.get(`${path}/inventory`)) : undefined
  return {
    bios: bios ?? [],
    firmware: firmware ?? [],
    inventory: (inventory as Takeover['inventory']) ?? null, // the service that takes it checks it
  }
}

/** Undefined where the service has nothing of the kind: never inspected, an interface that cannot tell. */
async function orNone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return undefined
    throw error
  }
}

/** Objects by the node they belong to. */
export function byNode(items: readonly Item[]): ReadonlyMap<string, readonly Item[]> {
  return Map.groupBy(items, ({ node_uuid }) => String(node_uuid))
}
