/** Brings one node to what a description wants of it, by requests of the API; in a plan it only says which. */
import { Fault } from '#lib/fault.ts'
import { ApiError, segment } from '../client.ts'
import type { Context, Item } from '../command.ts'
import { changesOf, nextVerb, type Operation } from './course.ts'
import type { WantedNode } from './description.ts'

export interface Applied {
  readonly node: string
  /** What was done, or would be: `create`, `set description`, `provide` … in this order. */
  readonly actions: readonly string[]
}

export interface HowToApply {
  readonly plan: boolean
  /** Send secrets again, which cannot be compared. */
  readonly secretsToo: boolean
}

/** The node cannot be brought to what is wanted, or did not arrive. */
export class NotApplied extends Fault {
  readonly status = 409
  readonly code = 'not-applied'
  readonly actions: readonly string[]

  constructor(message: string, actions: readonly string[]) {
    super(message)
    this.actions = actions
  }
}

type World = Pick<Context, 'api' | 'terminal'> & HowToApply

/** @throws NotApplied, and what the API refuses */
export async function applyNode(wanted: WantedNode, world: World): Promise<Applied> {
  const { api, plan } = world
  const actions: string[] = []
  const path = `/v1/nodes/${segment(wanted.name)}`
  const act = async (what: string, request: () => Promise<unknown>): Promise<void> => {
    actions.push(what)
    if (!plan) await request()
  }
  let node = await found(api, path)
  if (node === undefined) {
    const body = { ...withoutNulls(wanted.fields), name: wanted.name }
    await act('create', () => api.create('/v1/nodes', body))
    node = plan ? { ...body, provision_state: 'enroll', inspection_finished_at: null, traits: [] } : await api.get(path)
  } else await change(wanted, node, path, act, world)
  if (wanted.traits !== undefined && !sameSet(wanted.traits, node.traits)) {
    await act('set traits', () => api.put(`${path}/traits`, { traits: wanted.traits }))
  }
  await applyPorts(wanted, node, path, act, world)
  await lead(wanted, node, path, act, actions, world)
  return { node: wanted.name, actions }
}

type Act = (what: string, request: () => Promise<unknown>) => Promise<void>

async function change(wanted: WantedNode, node: Item, path: string, act: Act, world: World): Promise<void> {
  const operations = changesOf(wanted.fields, node, world)
  if (operations.length === 0) return
  const ofInstance = operations.filter(one => one.path.startsWith('/instance_info'))
  if (node.provision_state === 'active' && ofInstance.length > 0) {
    const fields = ofInstance.map(named).join(', ')
    throw new NotApplied(`what is deployed differs in ${fields}; "node rebuild" would write it anew`, [])
  }
  await act(`set ${operations.map(named).join(', ')}`, () => world.api.patch(path, operations))
}

async function applyPorts(
  wanted: WantedNode,
  node: Item,
  path: string,
  act: Act,
  { api, secretsToo }: World,
): Promise<void> {
  if (wanted.ports.length === 0) return
  const known = node.uuid === undefined ? [] : await api.list(`${path}/ports/detail`, 'ports', { query: {}, limit: 0 })
  for (const port of wanted.ports) {
    const address = String(port.address).toLowerCase()
    const there = known.find(one => one.address === address)
    if (there === undefined) {
      // A plan may tell of a node that is not there yet.
      await act(`create port ${address}`, () =>
        api.create('/v1/ports', { ...withoutNulls(port), node_uuid: node.uuid }),
      )
      continue
    }
    const operations = changesOf({ ...port, address }, there, { secretsToo })
    if (operations.length === 0) continue
    const what = `set ${operations.map(named).join(', ')} of port ${address}`
    await act(what, () => api.patch(`/v1/ports/${String(there.uuid)}`, operations))
  }
}

/** Verb after verb, until the node is in the wanted state. */
async function lead(
  wanted: WantedNode,
  before: Item,
  path: string,
  act: Act,
  actions: readonly string[],
  world: World,
): Promise<void> {
  let node = before
  if (!world.plan && node.target_provision_state) node = await rested(path, world)
  for (;;) {
    const next = nextVerb(wanted, node)
    if (next === undefined) return
    if ('refusal' in next) throw new NotApplied(next.refusal, actions)
    const { verb } = next
    const drive = verb === 'active' && wanted.configdrive !== undefined ? { configdrive: wanted.configdrive } : {}
    await act(verb === 'active' ? 'deploy' : verb, () =>
      world.api.put(`${path}/states/provision`, { target: verb, ...drive }),
    )
    node = world.plan ? { ...node, ...outcomes[verb] } : await rested(path, world)
    const state = String(node.provision_state)
    const failed = state === 'error' || state.endsWith(' failed') || (verb === 'manage' && state === 'enroll')
    if (failed) throw new NotApplied(`it came to rest in ${state}: ${String(node.last_error)}`, actions)
  }
}

/** How a plan goes on after a verb: as if it went well. */
const outcomes: Readonly<Record<string, Item>> = {
  manage: { provision_state: 'manageable' },
  inspect: { provision_state: 'manageable', inspection_finished_at: 'then' },
  provide: { provision_state: 'available' },
  active: { provision_state: 'active' },
}

const pollMs = 1000

/** The node, once nothing is under way on it. */
async function rested(path: string, { api, terminal }: World): Promise<Item> {
  for (;;) {
    const node = await api.get(path)
    const state = String(node.provision_state)
    const resting = !node.target_provision_state || state === 'error' || state.endsWith(' failed')
    if (resting && !node.reservation) return node
    await terminal.sleep(pollMs)
  }
}

async function found(api: Context['api'], path: string): Promise<Item | undefined> {
  try {
    return await api.get(path)
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined
    throw error
  }
}

/** A changed field by its path, never its value: `driver_info.redfish_address`. */
function named({ path }: Operation): string {
  return path.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~')
}

function withoutNulls(item: Item): Item {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => value !== null))
}

function sameSet(wanted: readonly string[], found: unknown): boolean {
  return Array.isArray(found) && found.length === wanted.length && wanted.every(one => found.includes(one))
}
