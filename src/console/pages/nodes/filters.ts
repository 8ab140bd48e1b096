/** Which nodes the table shows, and how: read off the address, so that a link is a filter, and a filter has a name. */
import { type ProvisionState, provisionStates } from '#protocol/states.ts'
import { type Age, ageOf, ages, hasFailed, isBusy, isOverdue, type RunsByNode } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'

/** What filters look at besides the nodes. */
export interface World {
  readonly nowMs: number
  readonly runs: RunsByNode
}

/** What a filter by a word shows. */
export const views = {
  busy: { label: 'Under way', holds: isBusy },
  overdue: {
    label: 'Over their time',
    holds: (node: FleetNode, { nowMs, runs }: World) => isOverdue(node, runs.get(node.uuid), nowMs),
  },
  failed: { label: 'Failed', holds: hasFailed },
  maintenance: { label: 'In maintenance', holds: (node: FleetNode) => node.maintenance },
  fault: { label: 'With a fault', holds: (node: FleetNode) => node.fault !== null },
} as const satisfies Record<string, { label: string; holds: (node: FleetNode, world: World) => boolean }>
export type View = keyof typeof views

/** Fields that the address may name with the value they must have. */
export const equals = {
  power: { label: 'Power', of: (node: FleetNode) => node.power_state ?? 'unknown' },
  driver: { label: 'Driver', of: (node: FleetNode) => node.driver },
  class: { label: 'Resource class', of: (node: FleetNode) => node.resource_class ?? 'none' },
  conductor: { label: 'Conductor', of: (node: FleetNode) => node.conductor ?? 'none' },
  group: { label: 'Conductor group', of: (node: FleetNode) => node.conductor_group || 'none' },
  owner: { label: 'Owner', of: (node: FleetNode) => node.owner ?? 'none' },
} as const
export type Equal = keyof typeof equals

export interface Filters {
  /** Words that must all be found somewhere. */
  readonly q: string
  readonly states: readonly ProvisionState[]
  readonly age: Age | undefined
  readonly view: View | undefined
  readonly equal: readonly (readonly [Equal, string])[]
}

export function readFilters(query: URLSearchParams): Filters {
  const state = query.get('state')?.split(',') ?? []
  return {
    q: query.get('q') ?? '',
    states: provisionStates.filter(one => state.includes(one)),
    age: ages.find(one => one.id === query.get('age'))?.id,
    view: (Object.keys(views) as View[]).find(one => one === query.get('view')), // keys of the literal table above
    equal: (Object.keys(equals) as Equal[]).flatMap(name => {
      const value = query.get(name)
      return value === null ? [] : [[name, value] as const]
    }),
  }
}

export function holds({ q, states, age, view, equal }: Filters, node: FleetNode, world: World): boolean {
  if (states.length > 0 && !states.includes(node.provision_state)) return false
  if (view && !views[view].holds(node, world)) return false
  if (age && ageOf(node, world.nowMs) !== age) return false
  if (!equal.every(([name, value]) => equals[name].of(node) === value)) return false
  return q === '' || words(q).every(word => textOf(node).includes(word))
}

const words = (q: string) => q.toLowerCase().split(/\s+/).filter(Boolean)

/** Gathered once per node: the table asks for it with each letter that is typed. */
const texts = new WeakMap<FleetNode, string>()

function textOf(node: FleetNode): string {
  const known = texts.get(node)
  if (known !== undefined) return known
  const {
    uuid,
    name,
    provision_state,
    instance_uuid,
    instance_name,
    resource_class,
    driver,
    conductor,
    owner,
    last_error,
  } = node
  const all = [
    uuid,
    name,
    provision_state,
    instance_uuid,
    instance_name,
    resource_class,
    driver,
    conductor,
    owner,
    last_error,
  ]
  const text = all.filter(Boolean).join('\n').toLowerCase()
  texts.set(node, text)
  return text
}

/** Filters by name, in this browser. */
export interface SavedFilter {
  readonly name: string
  /** The query of the address. */
  readonly query: string
}

const storageKey = 'ferrite.filters'

export function savedFilters(): readonly SavedFilter[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(storageKey) ?? '[]')
    return Array.isArray(kept) ? (kept as SavedFilter[]) : [] // saveFilters() wrote it
  } catch {
    return []
  }
}

export function saveFilters(filters: readonly SavedFilter[]): void {
  localStorage.setItem(storageKey, JSON.stringify(filters))
}
