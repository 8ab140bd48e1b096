/**
 * What may be asked of a node in its present state: read off the protocol's table of states, which the API's own checks
 * read, too. What a verb needs besides is said here, so that a form can ask for it.
 */
import { type PowerTarget, type ProvisionState, type Verb, verbs, verbTarget } from '#protocol/states.ts'
import { ask, part } from './api.ts'
import type { FleetNode } from './fleet.ts'

export type Actionable = Pick<
  FleetNode,
  'uuid' | 'name' | 'provision_state' | 'maintenance' | 'power_state' | 'target_power_state' | 'protected'
>

/** An action on nodes, as buttons and menus have it. */
export interface Action {
  readonly id: string
  /** On the button. */
  readonly label: string
  /** For "Could not …" and the title of the question. */
  readonly verb: string
  /** What it does, for the question before it. */
  readonly about: string
  /** It ends what somebody uses, or cannot be undone. */
  readonly isDestructive?: true
  /** What the form asks for. */
  readonly asks?: 'steps' | 'password' | 'reason'
  /** Why it cannot be asked of this node now; undefined where it can. */
  refusal(node: Actionable): string | undefined
  run(node: Actionable, answer: string): Promise<unknown>
}

interface Told {
  readonly label: string
  readonly about: string
  readonly isDestructive?: true
  readonly asks?: Action['asks']
  /** Fields of the request besides the target. */
  readonly body?: (answer: string) => object
}

/** The verbs as people see them; of two for one event the one that newer clients use. */
const told: Partial<Record<Verb, Told>> = {
  deploy: { label: 'Deploy', about: 'Writes the image of its instance_info to its disk and boots it.' },
  provide: {
    label: 'Make available',
    about: 'Cleans it, where automated cleaning is on, and offers it for deployment.',
  },
  manage: { label: 'Manage', about: 'Checks its BMC and takes it under management, out of what can be deployed.' },
  inspect: { label: 'Inspect', about: 'Finds out what the machine is made of.' },
  clean: {
    label: 'Clean …',
    about: 'Runs steps of cleaning on it.',
    asks: 'steps',
    isDestructive: true,
    body: answer => ({ clean_steps: steps(answer) }),
  },
  service: {
    label: 'Service …',
    about: 'Runs steps on it while its instance stays.',
    asks: 'steps',
    body: answer => ({ service_steps: steps(answer) }),
  },
  rescue: {
    label: 'Rescue …',
    about: 'Boots a rescue system on it, with this password.',
    asks: 'password',
    body: answer => ({ rescue_password: answer }),
  },
  unrescue: { label: 'End rescue', about: 'Boots its instance again.' },
  rebuild: { label: 'Rebuild', about: 'Writes the image anew; what is on its root disk is lost.', isDestructive: true },
  undeploy: {
    label: 'Undeploy',
    about: 'Ends its instance and cleans it; what is on its disks is lost.',
    isDestructive: true,
  },
  abort: { label: 'Abort', about: 'Breaks off what waits; the node is left as failed.', isDestructive: true },
  unhold: { label: 'Go on', about: 'Goes on with the steps that a hold step stopped.' },
  adopt: { label: 'Adopt', about: 'Takes it over as active, with the instance that runs on it.' },
}

/** @throws SyntaxError when the text is no JSON */
function steps(answer: string): unknown {
  return JSON.parse(answer)
}

export const provisionActions: readonly Action[] = Object.entries(told).map(
  ([name, { label, about, isDestructive, asks, body }]) => {
    const verb = name as Verb // the keys of the table above are verbs
    return {
      id: verb,
      label,
      verb: label.replace(' …', '').toLowerCase(),
      about,
      ...(isDestructive ? { isDestructive } : {}),
      ...(asks ? { asks } : {}),
      refusal: node => refusalOf(verb, node),
      run: (node, answer) =>
        ask('PUT', `/v1/nodes/${part(node.uuid)}/states/provision`, { body: { target: verb, ...body?.(answer) } }),
    }
  },
)

function refusalOf(
  verb: Verb,
  { provision_state, maintenance, protected: isProtected }: Actionable,
): string | undefined {
  if (verbTarget(provision_state, verb) === undefined) return `not possible in "${provision_state}"`
  if (maintenance && verbs[verb].inMaintenance === 'refused') return 'it is in maintenance'
  if (isProtected && ['rebuild', 'undeploy'].includes(verb)) return 'it is protected'
  return undefined
}

/** Where a verb leads, for a hint on its button. */
export function leadsTo(state: ProvisionState, action: Action): ProvisionState | undefined {
  return Object.hasOwn(verbs, action.id) ? verbTarget(state, action.id as Verb) : undefined
}

const powers: readonly { target: PowerTarget; label: string; about: string; isDestructive?: true }[] = [
  { target: 'power on', label: 'Power on', about: 'Switches it on.' },
  {
    target: 'power off',
    label: 'Power off',
    about: 'Switches it off at once, whatever runs on it.',
    isDestructive: true,
  },
  { target: 'soft power off', label: 'Shut down', about: 'Asks its operating system to shut down.' },
  {
    target: 'rebooting',
    label: 'Reboot',
    about: 'Switches it off and on at once, whatever runs on it.',
    isDestructive: true,
  },
  { target: 'soft rebooting', label: 'Restart', about: 'Asks its operating system to restart.' },
]

export const powerActions: readonly Action[] = powers.map(({ target, label, about, isDestructive }) => ({
  id: target,
  label,
  verb: label.toLowerCase(),
  about,
  ...(isDestructive ? { isDestructive } : {}),
  refusal: node => {
    if (node.target_power_state !== null) return `its power is being changed to "${node.target_power_state}"`
    return node.power_state === target ? 'it is so already' : undefined
  },
  run: node => ask('PUT', `/v1/nodes/${part(node.uuid)}/states/power`, { body: { target } }),
}))

export const maintenanceActions: readonly Action[] = [
  {
    id: 'maintenance on',
    label: 'Set maintenance …',
    verb: 'set maintenance',
    about: 'Takes it out of automatic care.',
    asks: 'reason',
    refusal: node => (node.maintenance ? 'it is in maintenance already' : undefined),
    run: (node, reason) => ask('PUT', `/v1/nodes/${part(node.uuid)}/maintenance`, { body: { reason } }),
  },
  {
    id: 'maintenance off',
    label: 'End maintenance',
    verb: 'end maintenance',
    about: 'Gives it back to automatic care.',
    refusal: node => (node.maintenance ? undefined : 'it is not in maintenance'),
    run: node => ask('DELETE', `/v1/nodes/${part(node.uuid)}/maintenance`),
  },
]
