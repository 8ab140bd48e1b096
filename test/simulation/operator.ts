/**
 * Who uses the conductors of a simulation: brings each node from state to state, asks again after failures, aborts now
 * and then, and reads nothing but what the API shows.
 */
import { findNode, type Node } from '#db/nodes.ts'
import { Fault } from '#lib/fault.ts'
import { maximum } from '#protocol/microversion.ts'
import { provision, type Verb, verbTarget } from '#protocol/states.ts'
import { checkPatchable } from '#server/resources/node-rules.ts'
import type { Chance } from '#sim/chance.ts'
import type { Process } from './host.ts'
import type { SimTime } from './time.ts'

export interface OperatorWorld {
  time: SimTime
  chance: Chance
  /** A conductor that answers; undefined when none does. */
  anyProcess(): Process | undefined
  note(text: string): void
  /** How long the pauses between two looks are; 1: seconds. */
  pace: number
  /** How likely it is that work is aborted, and that a held node is unlocked, at each look. */
  mood: { aborts(): number; unlocks(): number }
}

/** Where a node is to be brought, one after the other. */
export type Goal = 'manageable' | 'available' | 'active'

const caller = { user: 'operator', project: null, requestId: null }

/** Brings a node through its goals; returns when the last is reached. */
export async function operate(uuid: string, goals: readonly Goal[], world: OperatorWorld): Promise<void> {
  for (const [index, goal] of goals.entries()) {
    // A node that is to be where it was before goes through what lies between.
    if (goal === 'active' && goals[index - 1] === 'active') await again(uuid, world)
    await bring(uuid, goal, world)
    world.note(`${uuid.slice(-1)} is ${goal}`)
  }
}

async function again(uuid: string, world: OperatorWorld): Promise<void> {
  for (;;) {
    if ((await wish(world, uuid)) && (await tell(world, uuid, 'rebuild'))) return
    await world.time.sleep(5_000 * world.pace)
  }
}

async function bring(uuid: string, goal: Goal, world: OperatorWorld): Promise<void> {
  const { time, chance, pace, mood } = world
  for (;;) {
    await time.sleep(chance.within([200 + 1_000 * pace, 1_000 + 5_000 * pace]))
    const node = await look(world, uuid)
    if (!node) continue
    if (node.reservation !== null) {
      if (chance.happens(mood.unlocks())) await unlock(world, node)
      continue
    }
    if (node.provision_state === goal && node.target_power_state === null && !node.maintenance) return
    const { kind } = provision[node.provision_state]
    if (kind === 'wait' && chance.happens(mood.aborts())) {
      const mayDelete = verbTarget(node.provision_state, 'deleted') !== undefined
      const verb = chance.happens(0.3) && mayDelete ? 'deleted' : 'abort'
      if (await tell(world, uuid, verb)) world.note(`${verb} of ${uuid.slice(-1)} in "${node.provision_state}"`)
      continue
    }
    if (kind === 'transitional' || kind === 'wait') continue
    if (node.maintenance) {
      await endMaintenance(world, uuid)
      continue
    }
    const verb = next(node, goal)
    if (verb === undefined) throw new Error(`nobody knows how to get from ${node.provision_state} to ${goal}`)
    if (verb === 'active' && !(await wish(world, uuid))) continue
    await tell(world, uuid, verb)
  }
}

/** What an operator asks for to get nearer to the goal. */
function next(node: Node, goal: Goal): Verb | undefined {
  const wishes: readonly Verb[] =
    goal === 'active'
      ? ['active', 'provide', 'manage', 'deleted']
      : goal === 'available'
        ? ['deleted', 'provide', 'manage']
        : ['manage', 'deleted']
  return wishes.find(verb => verbTarget(node.provision_state, verb) !== undefined)
}

async function look({ anyProcess }: OperatorWorld, uuid: string): Promise<Node | undefined> {
  const process = anyProcess()
  if (!process) return undefined
  return Promise.race([findNode(process.db, uuid), process.died]).catch(() => undefined)
}

async function tell({ anyProcess, note }: OperatorWorld, uuid: string, verb: Verb): Promise<boolean> {
  const process = anyProcess()
  if (!process) return false
  const work = async () => {
    const node = await findNode(process.db, uuid)
    if (node) await process.conductor.provision(node, verb, {}, caller)
  }
  try {
    await Promise.race([work(), process.died])
    return true
  } catch (error) {
    if (error instanceof Fault && error.status >= 500 && error.code === 'internal') throw error
    note(`${verb} of ${uuid.slice(-1)}: ${String(error).slice(0, 120)}`)
    return false
  }
}

/**
 * Says which image is to come on the node: another than all before. Refused where the API refuses it: whoever does not
 * know that a deployment was begun would otherwise change the image while it is written.
 */
async function wish(world: OperatorWorld, uuid: string): Promise<boolean> {
  const process = world.anyProcess()
  if (!process) return false
  const patch = { instance_info: { image_source: `image at ${world.time.now()}` } }
  const work = process.conductor.withNode(uuid, 'update', async held => {
    checkPatchable(held.node, [], maximum)
    await held.write(patch)
  })
  return Promise.race([work, process.died]).then(
    () => true,
    () => false,
  )
}

async function unlock({ anyProcess, note }: OperatorWorld, node: Node): Promise<void> {
  const process = anyProcess()
  if (!process) return
  note(`unlock of ${node.uuid.slice(-1)}`)
  await Promise.race([process.conductor.unlock(node, caller), process.died]).catch(() => {})
}

async function endMaintenance({ anyProcess }: OperatorWorld, uuid: string): Promise<void> {
  const process = anyProcess()
  if (!process) return
  const patch = { maintenance: false, maintenance_reason: null, fault: null }
  const work = process.conductor.withNode(uuid, 'maintenance', held => held.write(patch))
  await Promise.race([work, process.died]).catch(() => {})
}
