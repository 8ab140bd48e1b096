/**
 * What a verb would do to a node, told without doing it. Verbs, steps and disks are chosen by the functions that choose
 * them when it happens (provisioning.ts, steps/plan.ts, flows/, protocol/root-device-hints.ts); what parts of the work do
 * to the power is declared beside the parts. It reads rows, asks drivers to validate and the image's source for its size;
 * it writes nothing, takes no lease, and asks no machine to change.
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { phaseTimes } from '#db/phase-times.ts'
import { type NodeContext, Unsupported } from '#drivers/driver.ts'
import type { Registry } from '#drivers/registry.ts'
import { imageFacts } from '#images/instance.ts'
import { listImages } from '#images/listing.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import type { InterfaceType } from '#protocol/interfaces.ts'
import type { Plan, PlannedImage } from '#protocol/plan.ts'
import { stateTarget, type Verb, verbs, verbTarget } from '#protocol/states.ts'
import { modelOfNode } from '#timeline/model.ts'
import type { Caller, ProvisionRequest } from '../conductor.ts'
import { withChosenDeploy } from '../deploy-choice.ts'
import { askedBy, flowFor } from '../provisioning.ts'
import { disksOf } from './disks.ts'
import { powerOf } from './power.ts'
import { refusalsOf } from './refusals.ts'
import { type ChosenSteps, stepsOfWork } from './steps.ts'

export interface PlanWorld {
  db: Db
  config: Config
  registry: Registry
  context(node: Node): Promise<NodeContext>
  /** What the last inspection found of a node's disks; undefined: nothing is kept. */
  inventory(nodeUuid: string): Promise<{ inventory: Record<string, unknown> } | undefined>
  /** @throws where no conductor serves the node */
  ownerOf(node: Node): string
}

/** @param runbook name or UUID of the one that the request's steps are of */
export async function planOf(
  world: PlanWorld,
  node: Node,
  { verb, request, caller, runbook }: { verb: Verb; request: ProvisionRequest; caller: Caller; runbook?: string },
): Promise<Plan> {
  const { provision_state: from } = node
  const to = verbTarget(from, verb) ?? null
  // A verb that is not possible now is planned as from a state where it is: somebody wants to know what is ahead.
  const flow = flowFor(from, verb) ?? (to === null ? flowFor(stateFor(verb), verb) : null)
  const chosen = flow === null ? node : await withChosenDeploy(await world.context(node), world.registry, flow)
  const ctx = await world.context(askedBy(caller, chosen))
  const notes: string[] = []
  const steps = await steadily(
    () => stepsOfWork(world.db, ctx, { flow, request, runbook: runbook !== undefined }),
    nothing,
  )
  if (steps.note) notes.push(steps.note)
  if (chosen.deploy_interface !== node.deploy_interface) {
    notes.push(`The deploy interface would be ${chosen.deploy_interface}, chosen for what instance_info asks for.`)
  }
  const power = await powerOf(ctx, flow, steps)
  if (flow !== null && node.power_state === null) notes.push('The power state of the machine is not known now.')
  const writes = flow === 'deploy' && steps.steps.some(({ step }) => writing.includes(step))
  const disks = await disksOf(world, ctx.node, { writes, steps: steps.steps })
  notes.push(...disks.notes)
  const image = writes ? await imageOf(ctx) : null
  return {
    node_uuid: node.uuid,
    node_name: node.name,
    verb,
    flow,
    from_state: from,
    to_state: to,
    ends_in: to === null ? null : (stateTarget(to) ?? to),
    refusals: await refusalsOf(world, ctx, { verb, flow, request }),
    validation: flow === null ? {} : await validationOf(ctx),
    steps: steps.steps.map(({ args, priority, abortable = false, ...step }) => ({
      interface: step.interface,
      step: step.step,
      priority: step.priorityKnown ? priority : null,
      side: step.side,
      wanted_by: step.wantedBy,
      args: Object.keys(args),
      abortable,
      known_from: step.knownFrom,
      power: step.power === null ? null : [...step.power],
    })),
    steps_complete: steps.complete,
    power: power.changes,
    boots: power.changes.filter(({ to: state }) => state !== 'power off').length,
    power_complete: power.complete,
    disks: disks.disks,
    root_device: disks.rootDevice,
    image: image && 'facts' in image ? image.facts : null,
    duration: flow === null ? null : await durationOf(world.db, node, flow),
    notes: [...notes, ...(image && 'note' in image ? [image.note] : [])],
  }
}

/** Steps that put an image on a disk. */
const writing: readonly string[] = ['write_image', 'install_container']
const nothing: ChosenSteps = { steps: [], complete: true, ramdisk: false, cleans: false, note: null }

/** A state from which the verb leads somewhere. */
function stateFor(verb: Verb): Node['provision_state'] {
  const { event } = verbs[verb]
  if (event === 'deploy') return 'available'
  if (event === 'inspect' || event === 'clean' || event === 'provide' || event === 'adopt') return 'manageable'
  if (event === 'manage') return 'enroll'
  if (event === 'unrescue') return 'rescue'
  return 'active'
}

/** What a fault leaves unknown is said among the refusals, by the same check. */
async function steadily<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Fault) return otherwise
    throw error
  }
}

async function validationOf(ctx: NodeContext): Promise<Plan['validation']> {
  const asked: InterfaceType[] = ['power', 'management', 'boot', 'deploy', 'network', 'storage']
  const entries = await Promise.all(
    asked.map(async type => {
      try {
        await ctx.interfaces[type].validate(ctx)
        return [type, { result: true }] as const
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        return [type, { result: error instanceof Unsupported ? null : false, reason: error.message }] as const
      }
    }),
  )
  return Object.fromEntries(entries)
}

/** What the image is; why that is not known, for people. */
async function imageOf(ctx: NodeContext): Promise<{ facts: PlannedImage } | { note: string }> {
  try {
    const { shown, format, sizeBytes, checksum, served, stored } = await imageFacts(ctx)
    const all = stored === null ? [] : await listImages(ctx.config.pxe.instance_master_path)
    const kept = all.find(({ id }) => id === stored)
    return {
      facts: {
        source: shown,
        format: kept?.format ?? format,
        size_bytes: kept ? kept.sizeBytes : sizeBytes,
        checksum: checksum && `${checksum.algo}:${checksum.value}`,
        fetched_by: served ? 'service' : 'agent',
        in_cache: kept !== undefined,
      },
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { note: `The image could not be looked at: ${messageOf(error)}` }
  }
}

/** By earlier runs of this model. */
async function durationOf(db: Db, node: Node, flow: string): Promise<Plan['duration']> {
  const model = await modelOfNode(db, node)
  const whole = (await phaseTimes(db, model, flow)).find(({ phase }) => phase === 'run')
  if (!whole || whole.samples.length === 0) return null
  const seconds = whole.samples.map(sample => sample.seconds).sort((a, b) => a - b)
  const at = (part: number) => seconds[Math.min(seconds.length - 1, Math.floor(part * seconds.length))] ?? 0
  return { seconds: at(0.5), seconds_p90: at(0.9), runs: seconds.length, model }
}
