/**
 * Verbs and their flows: which flow a verb starts, what it needs beforehand, and what it is given. Reads rows and asks
 * drivers to validate; it takes no lease and starts nothing.
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Node, NodePatch } from '#db/nodes.ts'
import { wantsFastTrack } from '#drivers/agent/fast-track.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { Conflict, type Fault, Forbidden, InvalidInput, NodeLocked } from '#lib/fault.ts'
import { shaCrypt } from '#lib/sha-crypt.ts'
import {
  attemptTo,
  type ProvisionState,
  provision,
  stepFieldOf,
  type Verb,
  verbs,
  verbTarget,
} from '#protocol/states.ts'
import type { Caller, ProvisionRequest } from './conductor.ts'
import { chosenPatch } from './deploy-choice.ts'
import type { Args } from './flow-definition.ts'
import { templateSteps } from './flows/deploy-templates.ts'
import { type AskedStep, own, planDeploy } from './steps/plan.ts'

/** The flow of each event that starts work. */
const flowOfEvent: Readonly<Record<string, string>> = {
  deploy: 'deploy',
  rebuild: 'deploy',
  delete: 'undeploy',
  inspect: 'inspect',
  provide: 'clean',
  clean: 'clean',
  adopt: 'adopt',
  rescue: 'rescue',
  unrescue: 'unrescue',
  service: 'service',
}

/** The flow that a verb starts in this state; null where it only moves the node, or ends what waits on it. */
export function flowFor(state: ProvisionState, verb: Verb): string | null {
  const { event } = verbs[verb]
  if (event === 'manage') return verbTarget(state, verb) === 'verifying' ? 'verify' : null
  // A failure is over: no flow is left that could be aborted, and undoing it is work of its own.
  if (event === 'abort') return provision[state].kind === 'failed' ? 'service abort' : null
  return flowOfEvent[event] ?? null
}

/**
 * May this verb start on this node? Checks that need no driver and no lease.
 * @throws InvalidInput, NodeLocked, Forbidden, Conflict
 */
export function checkVerb(node: Node, verb: Verb, config: Config): void {
  const [first] = objections(node, verb, config)
  if (first) throw first
}

/** All that speaks against it, in the order in which it would be told. */
export function* objections(node: Node, verb: Verb, config: Config): Generator<Fault> {
  const { inMaintenance } = verbs[verb]
  const cannot = `Cannot ${attemptTo(verb, node.uuid)}`
  const byOption = inMaintenance === 'by option' && !config.conductor.allow_provisioning_in_maintenance
  if (node.maintenance && (inMaintenance === 'refused' || byOption)) {
    yield new InvalidInput(`${cannot} while it is in maintenance`)
  }
  if (verbTarget(node.provision_state, verb) === undefined) {
    const message = `${cannot} in provision state "${node.provision_state}"`
    // While somebody works on it another try may help; in a state at rest it will not.
    if (node.reservation !== null) yield new NodeLocked(`${message}: host ${node.reservation} is working on it`)
    else yield new InvalidInput(message)
  }
  if (node.protected && (verb === 'deleted' || verb === 'undeploy' || verb === 'rebuild')) {
    const reason = node.protected_reason ? ` (${node.protected_reason})` : ''
    yield new Forbidden(`${cannot}: it is protected${reason}; expected protected to be unset first`)
  }
  if (verb === 'provide' && node.retired) yield new InvalidInput(`${cannot}: it is retired`)
  if (node.maintenance && flowFor(node.provision_state, verb) === 'service abort') {
    yield new Conflict(
      `Cannot abort the servicing of node ${node.uuid} while it is in maintenance; expected maintenance to be lifted first`,
    )
  }
}

/** Drivers that will be needed say so now, while somebody listens. @throws InvalidInput, Unsupported, HardwareFault */
export async function validateFor(ctx: NodeContext, db: Db, kind: string, request: ProvisionRequest): Promise<void> {
  for (const check of validations(ctx, db, kind, request)) await check()
}

/** What that asks, one thing after the other. */
export function validations(
  ctx: NodeContext,
  db: Db,
  kind: string,
  request: ProvisionRequest,
): (() => void | Promise<void>)[] {
  const { interfaces, config, node } = ctx
  // Adopting touches no power, and aborting must not fail for something that is to be mended by it.
  if (kind === 'adopt' || kind === 'service abort') return []
  const power = () => interfaces.power.validate(ctx)
  switch (kind) {
    case 'deploy':
      return [
        power,
        () => void wantsFastTrack(ctx),
        () => checkBootMode(ctx),
        () => interfaces.deploy.validate(ctx),
        () => checkDeploySteps(ctx, db, request),
      ]
    case 'inspect':
      return [power, () => interfaces.inspect.validate(ctx)]
    case 'rescue':
      return [power, () => interfaces.rescue.validate(ctx)]
    case 'service':
      return [power, () => interfaces.network.validate(ctx)]
    case 'clean': {
      if (request.disable_ramdisk) return [power]
      // Cleaning boots the ramdisk: what is missing for that is better heard of now than from a failed cleaning.
      const boots = node.automated_clean ?? config.conductor.automated_clean
      return [power, () => interfaces.network.validate(ctx), ...(boots ? [() => interfaces.boot.validate(ctx)] : [])]
    }
    default:
      return [power]
  }
}

/** Steps that the node has without asking an agent are checked before anything is touched. */
async function checkDeploySteps(ctx: NodeContext, db: Db, request: ProvisionRequest): Promise<void> {
  const asked = (request.deploy_steps ?? []) as unknown as AskedStep[] // checked against their schema by the API
  const templates = await templateSteps({ db, node: ctx.node })
  const { deploysByAgent, usesAgent } = ctx.interfaces.deploy
  const complete = !(deploysByAgent ?? usesAgent)
  planDeploy(own(ctx, 'deploy'), { asked, templates }, { complete })
}

function checkBootMode({ node, config }: NodeContext): void {
  const mode = node.boot_mode ?? node.properties.boot_mode
  const refused: readonly unknown[] = config.conductor.disallowed_deployment_boot_modes
  if (!refused.includes(mode)) return
  throw new InvalidInput(
    `Cannot deploy node ${node.uuid}: its boot mode is ${mode}, which [conductor] disallowed_deployment_boot_modes has`,
  )
}

/** What the flow is given. */
export async function argsOf(kind: string, request: ProvisionRequest, config: Config): Promise<Args> {
  const { configdrive, deploy_steps, clean_steps, service_steps, rescue_password, disable_ramdisk } = request
  switch (kind) {
    case 'deploy':
      return { ...(configdrive === undefined ? {} : { configdrive }), ...(deploy_steps ? { deploy_steps } : {}) }
    case 'clean':
      return clean_steps ? { clean_steps, ...(disable_ramdisk ? { disable_ramdisk } : {}) } : {}
    case 'service':
      return { service_steps, ...(disable_ramdisk ? { disable_ramdisk } : {}) }
    case 'rescue': {
      const clear = rescue_password ?? '' // not blank, says the API
      const hash = await shaCrypt(clear, config.conductor.rescue_password_hash_algorithm)
      return { secret: config.conductor.require_rescue_password_hashed ? { hash } : { hash, clear } }
    }
    default:
      return {}
  }
}

/** Fields that starting a flow by `event` writes besides the state. */
export function startPatch(
  event: string,
  caller: Caller,
  { conductor }: Config,
  chosen: Node,
): (node: Node) => NodePatch {
  return now => {
    const choice = chosenPatch(now, chosen)
    if (event !== 'deploy' && event !== 'rebuild') return choice
    const node = askedBy(caller, { ...now, ...choice })
    const { display_name: name } = node.instance_info
    // Whose machine it is was settled by the deployment that is now made again.
    const lessee = event === 'deploy' && node.lessee === null ? lesseeOf(node, caller, conductor) : null
    return {
      ...choice,
      ...(node.driver_internal_info === now.driver_internal_info
        ? {}
        : { driver_internal_info: node.driver_internal_info }),
      ...(node.instance_name === null && typeof name === 'string' ? { instance_name: name } : {}),
      ...(lessee === null
        ? {}
        : { lessee, driver_internal_info: { ...node.driver_internal_info, automatic_lessee: true } }),
    }
  }
}

/** The node with a note of whether an administrator wants the deployment: then any image of Glance will do. */
export function askedBy({ admin = false }: Caller, node: Node): Node {
  const { asked_by_admin: noted = false, ...others } = node.driver_internal_info
  if (noted === admin) return node
  return { ...node, driver_internal_info: admin ? { ...others, asked_by_admin: true } : others }
}

/** The project that a deployment lends the node to. Source: ironic/conductor/deployments.py (apply_automatic_lessee). */
function lesseeOf(node: Node, caller: Caller, options: Config['conductor']): string | null {
  const { automatic_lessee: lends, automatic_lessee_source: source } = options
  if (!lends || source === 'none') return null
  if (source === 'request') return caller.project
  const { project_id: project } = node.instance_info
  return typeof project === 'string' && project !== '' ? project : null
}

/** May the node's flow be cut off where it is, or does a step run that must be seen to its end? */
export function cuttable(node: Node): boolean {
  const field = stepFieldOf(node.provision_state)
  const step: Record<string, unknown> = field ? node[field] : {}
  return !('step' in step) || step.abortable !== false
}
