/**
 * The body of PUT states/provision: which verb, with which options. The checks stand in the order in which they are
 * made; a request that breaks several rules is told of the first.
 *
 * Source: REST API reference, "Verbs" and "Options of the body".
 */
import { type TSchema, Type } from 'typebox'
import type { ProvisionRequest } from '#conductor/conductor.ts'
import type { Node } from '#db/nodes.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import { Nullable, Uuid } from '#protocol/field.ts'
import { type Minor, minorOf } from '#protocol/microversion.ts'
import { attemptTo, type ProvisionState, type Verb, verbs, verbTarget } from '#protocol/states.ts'
import type { Call } from '../endpoint.ts'
import { NotAcceptable } from '../faults.ts'
import { boolean, json, text, type ValuesOf, word } from '../parameters.ts'

/** Steps, and nodes, that a request may name: each is looked for. */
const mostNamed = 1000

const StepInterface = Type.Enum(['vendor', 'power', 'management', 'firmware', 'deploy', 'bios', 'raid'])
const Place = Type.Union([Type.Integer({ minimum: 0 }), Type.String({ pattern: '^[0-9]+$' })])
const Args = Type.Record(Type.String(), Type.Unknown())
const step = <const P extends Record<string, TSchema>>(more: P) =>
  Type.Object(
    { interface: StepInterface, step: Type.String({ minLength: 1 }), ...more },
    { additionalProperties: false },
  )
const DeployStep = step({ args: Args, priority: Place })
const UserStep = step({
  args: Type.Optional(Args),
  order: Type.Optional(Place),
  execute_on_child_nodes: Type.Optional(Type.Boolean()),
  limit_child_node_execution: Type.Optional(Type.Array(Uuid, { maxItems: mostNamed })),
})
type NamedStep = { readonly interface: string; readonly step: string }
const ConfigDrive = Type.Union([
  Type.String(),
  Type.Object(
    {
      meta_data: Type.Optional(Args),
      network_data: Type.Optional(Args),
      user_data: Type.Optional(Type.Union([Args, Type.Array(Type.Unknown()), Nullable(Type.String())])),
      vendor_data: Type.Optional(Args),
    },
    { additionalProperties: false },
  ),
])

// The version of "undeploy" is not checked: clients of any version may say it for "deleted".
const verbsFrom = {
  ...Object.fromEntries(Object.entries(verbs).map(([verb, { from }]) => [verb, from])),
  undeploy: '1.1',
}

export const provisionArguments = {
  target: word(Object.keys(verbs) as Verb[], { required: true, values: verbsFrom }), // keys of the literal table
  configdrive: json(ConfigDrive, { doc: 'URL, base64 of a gzipped ISO, or its contents as an object' }),
  deploy_steps: json(Type.Array(DeployStep, { maxItems: mostNamed }), { from: '1.69' }),
  clean_steps: json(Type.Array(UserStep, { maxItems: mostNamed }), {}),
  service_steps: json(Type.Array(UserStep, { maxItems: mostNamed }), {}),
  rescue_password: text({}),
  disable_ramdisk: boolean({}),
  runbook: text({ from: '1.92' }),
}
export type ProvisionOptions = ValuesOf<typeof provisionArguments>
type Arguments = ProvisionOptions

/** @param purpose `plan`: nothing is to happen @throws InvalidInput, NotAcceptable, Conflict */
export function readProvision(
  call: Pick<Call, 'version' | 'config'>,
  node: Node,
  args: Arguments,
  purpose: 'start' | 'plan' = 'start',
): { verb: Verb; request: ProvisionRequest } {
  const { version, config } = call
  const verb = args.target
  const given = withoutEmpty(args)
  // abort, unhold and service come later in the order, after the checks of options.
  if (!['abort', 'unhold', 'service', 'undeploy'].includes(verb)) checkVersion(verb, version)
  // A plan tells what speaks against the verb, and does not end with it.
  if (purpose === 'start') {
    checkMaintenance(node, verb, config.conductor.allow_provisioning_in_maintenance)
    checkPossible(node, verb)
  }
  checkConfigDrive(verb, given.configdrive, version)
  checkRunbook(verb, given)
  checkDisableRamdisk(verb, given.disable_ramdisk, version)
  only('clean_steps', given.clean_steps, verb, ['clean'])
  only('deploy_steps', given.deploy_steps, verb, ['active', 'rebuild'])
  only('rescue_password', given.rescue_password, verb, ['rescue'])
  if (verb === 'abort' || verb === 'unhold') checkVersion(verb, version)
  if (verb === 'abort') checkAbort(node, version)
  only('service_steps', given.service_steps, verb, ['service'])
  if (verb === 'service') checkVersion(verb, version)
  checkMandatory(verb, purpose === 'plan' ? { ...given, rescue_password: 'not needed to plan' } : given)
  checkDisallowed(given.clean_steps, config.api.disallow_clean_steps)
  checkDisallowed(given.deploy_steps, config.api.disallow_deploy_steps)
  checkDisallowed(given.service_steps, config.api.disallow_service_steps)
  const { target: _, ...request } = given
  return { verb, request: request as ProvisionRequest } // undefined options were left out above
}

/** Empty lists count as absent. */
function withoutEmpty(args: Arguments): Arguments {
  const present = Object.entries(args).filter(
    ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
  )
  return Object.fromEntries(present) as Arguments // entries of args, fewer
}

function checkVersion(verb: Verb, version: Minor): void {
  const { from } = verbs[verb]
  if (version < minorOf(from)) throw new NotAcceptable(`The verb ${verb} needs version ${from}`)
}

/** What may be aborted grew state by state. */
const abortFrom: Partial<Record<ProvisionState, string>> = { 'inspect wait': '1.41', 'wait call-back': '1.110' }

function checkAbort({ provision_state: state }: Node, version: Minor): void {
  const from = abortFrom[state]
  if (from !== undefined && version < minorOf(from)) {
    throw new NotAcceptable(`The verb abort needs version ${from} in state "${state}"`)
  }
}

function checkMaintenance(node: Node, verb: Verb, byOption: boolean): void {
  if (!node.maintenance) return
  const rule = verbs[verb].inMaintenance
  if (rule === 'refused' || (rule === 'by option' && !byOption)) {
    throw new InvalidInput(`Cannot ${attemptTo(verb, node.uuid)} while it is in maintenance`)
  }
}

function checkPossible(node: Node, verb: Verb): void {
  if (verbTarget(node.provision_state, verb) !== undefined) return
  const message = `Cannot ${attemptTo(verb, node.uuid)} in provision state "${node.provision_state}"`
  // While somebody works on the node its state may soon be another one: worth another try.
  if (node.reservation !== null) throw new Conflict(`${message}: host ${node.reservation} is working on it`)
  throw new InvalidInput(message)
}

function checkConfigDrive(verb: Verb, drive: Arguments['configdrive'], version: Minor): void {
  if (drive === undefined) return
  only('configdrive', drive, verb, ['active', 'rebuild'])
  if (verb === 'rebuild' && version < 35) throw new InvalidInput('configdrive with rebuild needs version 1.35')
  if (typeof drive === 'string') {
    if (/^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(drive) || /^[A-Za-z0-9+/=\s]*$/.test(drive)) return
    throw new InvalidInput('Cannot read configdrive: expected a URL or base64 of a gzipped ISO')
  }
  if (version < 56) throw new InvalidInput('configdrive as an object needs version 1.56')
  if ('vendor_data' in drive && version < 59) throw new InvalidInput('configdrive.vendor_data needs version 1.59')
}

function checkRunbook(verb: Verb, { runbook, clean_steps, service_steps }: Arguments): void {
  if (runbook === undefined) return
  only('runbook', runbook, verb, ['clean', 'service'])
  if (clean_steps ?? service_steps) throw new InvalidInput('Cannot take both a runbook and steps; expected one of them')
}

function checkDisableRamdisk(verb: Verb, value: boolean | undefined, version: Minor): void {
  only('disable_ramdisk', value, verb, ['clean', 'service'])
  if (value === undefined) return
  const from = verb === 'clean' ? '1.70' : '1.108'
  if (version < minorOf(from)) throw new NotAcceptable(`disable_ramdisk with ${verb} needs version ${from}`)
}

function only(name: string, value: unknown, verb: Verb, allowed: readonly Verb[]): void {
  if (value === undefined || allowed.includes(verb)) return
  throw new InvalidInput(`${name} is not an option of "${verb}"; it belongs to ${allowed.join(' and ')}`)
}

function checkMandatory(verb: Verb, given: Arguments): void {
  if (verb === 'clean' && !given.clean_steps && given.runbook === undefined) {
    throw new InvalidInput('"clean" needs clean_steps or a runbook')
  }
  if (verb === 'service' && !given.service_steps && given.runbook === undefined) {
    throw new InvalidInput('"service" needs service_steps or a runbook')
  }
  if (verb === 'rescue' && (given.rescue_password ?? '').trim() === '') {
    throw new InvalidInput('"rescue" needs a rescue_password that is not blank')
  }
}

/** Steps that the operator allows nobody to ask for. @throws InvalidInput */
export function checkDisallowed(steps: readonly NamedStep[] | undefined, disallowed: readonly string[]): void {
  for (const { interface: type, step: name } of steps ?? []) {
    if (disallowed.includes(`${type}.${name}`)) throw new InvalidInput(`The step ${type}.${name} is disallowed here`)
  }
}
