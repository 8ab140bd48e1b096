/**
 * Which of a node's ports get a VIF where traits decide it: the rules of the traits that its instance asked for, in their
 * order, until one of them has something to do. Pure: rules and ports go in, what is to be done comes out.
 *
 * Source: ironic/common/trait_based_networking/plan.py, defaults.py (restated).
 */
import type { Node } from '#db/nodes.ts'
import type { Port } from '#db/ports.ts'
import type { Place } from '#db/vifs.ts'
import { defaultTrait, type NetworkRules, type PortAction, type TraitRule } from './network-rules.ts'
import { freePlaces, type WantedVif } from './places.ts'
import { type Pair, parseFilter } from './port-filter.ts'

/** One thing to do with the VIF. */
export type Attachment =
  | { readonly kind: 'place'; readonly place: Place }
  | { readonly kind: 'group'; readonly ports: readonly Port[] }

export type TraitPlan =
  | { readonly kind: 'attach'; readonly trait: string; readonly attachments: readonly Attachment[] }
  /** Why there is nothing to do. */
  | { readonly kind: 'nothing'; readonly found: string }

/** For nodes without another rule, where the file has none for them: any port, else any port group. */
const builtIn: NetworkRules = (['attach_port', 'attach_portgroup'] as const).map(action => ({
  trait: defaultTrait,
  actions: [{ action, filter: parseFilter('port.is_port || port.is_portgroup'), min_count: null, max_count: 1 }],
}))

export function planByTraits(
  { node, places, vif, rules }: { node: Node; places: readonly Place[]; vif: WantedVif; rules: NetworkRules },
  { usesDefault }: { usesDefault: boolean },
): TraitPlan {
  const traits = traitsOf(node)
  const own = rules.filter(({ trait }) => traits.includes(trait))
  const fallBack = rules.filter(({ trait }) => trait === defaultTrait)
  const applied = own.length > 0 ? own : usesDefault ? (fallBack.length > 0 ? fallBack : builtIn) : []
  if (applied.length === 0) {
    const asked = traits.length === 0 ? 'no traits' : `the traits ${traits.join(', ')}`
    return { kind: 'nothing', found: `instance_info has ${asked}, and no rule is for that` }
  }
  for (const rule of applied) {
    const attachments = attachmentsOf(rule, places, vif)
    if (attachments.length > 0) return { kind: 'attach', trait: rule.trait, attachments }
  }
  const tried = [...new Set(applied.map(({ trait }) => trait))].join(', ')
  return { kind: 'nothing', found: `none of its free ports fits the rules of ${tried}` }
}

function traitsOf({ instance_info: { traits } }: Node): string[] {
  return Array.isArray(traits) ? traits.filter(trait => typeof trait === 'string') : []
}

/** What one action takes the next one cannot have. */
function attachmentsOf(rule: TraitRule, places: readonly Place[], vif: WantedVif): Attachment[] {
  const network = { name: vif.name ?? null, tags: vif.tags ?? [] }
  // The newest first, as Ironic has it.
  let free = freePlaces(places)
    .toReversed()
    .map(place => ({ place, port: described(place, places) }))
  const attachments: Attachment[] = []
  for (const action of rule.actions) {
    const find = action.action === 'group_and_attach_ports' ? groupFor : placesFor
    const found = find(action, free, network)
    attachments.push(...found)
    const taken = new Set(found.flatMap(uuidsOf))
    free = free.filter(({ place }) => !taken.has(place.of.uuid))
  }
  return attachments
}

const uuidsOf = (one: Attachment) => (one.kind === 'place' ? [one.place.of.uuid] : one.ports.map(({ uuid }) => uuid))

/** A place, and what filters are told of it. */
interface Candidate {
  readonly place: Place
  readonly port: Pair['port']
}

function placesFor(action: PortAction, free: readonly Candidate[], network: Pair['network']): Attachment[] {
  const kind = action.action === 'attach_port' ? 'port' : 'portgroup'
  const fitting = free.filter(({ place, port }) => place.kind === kind && action.filter({ port, network }))
  if (fitting.length < (action.min_count ?? 1)) return []
  const most = action.min_count === null ? 1 : (action.max_count ?? fitting.length)
  return fitting.slice(0, most).map(({ place }) => ({ kind: 'place', place }))
}

/** Ports of one physical network that may become a group; whether that goes to the network its first port tells. */
function groupFor(action: PortAction, free: readonly Candidate[], network: Pair['network']): Attachment[] {
  const fitting = free.flatMap(({ place: { kind, of }, port }) =>
    kind === 'port' &&
    of.available_for_dynamic_portgroup &&
    of.portgroup_uuid === null &&
    action.filter({ port, network: null })
      ? [{ of, port }]
      : [],
  )
  const [first] = fitting
  if (!first || !action.filter({ port: first.port, network })) return []
  const alike = fitting.filter(({ of }) => of.physical_network === first.of.physical_network).map(({ of }) => of)
  if (alike.length < (action.min_count ?? 2)) return []
  return [{ kind: 'group', ports: alike.slice(0, action.max_count ?? alike.length) }]
}

/** The maker of a group is that of all its ports. */
function described({ kind, of }: Place, places: readonly Place[]): Pair['port'] {
  const { address, category, physical_network } = of
  const parts =
    kind === 'port'
      ? [of]
      : places.flatMap(one => (one.kind === 'port' && one.of.portgroup_uuid === of.uuid ? [one.of] : []))
  const vendors = [...new Set(parts.map(port => port.vendor))]
  return { kind, address, category, physical_network, vendor: vendors.length === 1 ? (vendors[0] ?? null) : null }
}
