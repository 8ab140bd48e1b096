/**
 * A runbook in place of listed steps: finds it, checks that the caller may use it and that the node fits it, and puts
 * its steps into the request. Source: REST API reference, "Options of the body", "Runbooks".
 */
import type { ProvisionRequest } from '#conductor/conductor.ts'
import type { Node } from '#db/nodes.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Verb } from '#protocol/states.ts'
import type { Call } from '../endpoint.ts'
import { demand, demandSteps } from '../policy/access.ts'
import { checkDisallowed } from './provision.ts'
import { runbookResource } from './runbooks.ts'

interface RunbookStep {
  interface: string
  step: string
  order: number
  args?: Record<string, unknown>
}

/** @throws NotFound, Forbidden, InvalidInput */
export async function withRunbook(
  call: Call,
  node: Node,
  verb: Verb,
  request: ProvisionRequest,
): Promise<ProvisionRequest> {
  const { runbook: ident, ...rest } = request
  if (ident === undefined) return request
  const found = await runbookResource.find(call, ident)
  const { owner, public: isPublic, traits, name, disable_ramdisk } = found
  if (!isPublic) demand(call, ['baremetal:runbook:use'], { of: 'runbook', owner })
  const steps = found.steps as RunbookStep[] // checked against their schema when they were stored
  // What only its owner may see was not looked through by whoever restricts steps.
  if (owner !== null && !isPublic) demandSteps(call, steps, node)
  checkTraits(call, node, name, traits)
  const { disallow_clean_steps, disallow_service_steps } = call.config.api
  checkDisallowed(steps, verb === 'clean' ? disallow_clean_steps : disallow_service_steps)
  const ordered = [...steps].sort((a, b) => a.order - b.order).map(({ order, ...step }) => step)
  return { ...rest, disable_ramdisk, [verb === 'clean' ? 'clean_steps' : 'service_steps']: ordered }
}

/** From 1.112 on a runbook has traits of its own; before, its name was its trait. */
function checkTraits({ version }: Pick<Call, 'version'>, node: Node, name: string, traits: readonly string[]): void {
  const wanted = version >= 112 ? traits : [name]
  if (wanted.length === 0) {
    throw new InvalidInput(`Cannot use runbook ${name}: it has no traits, expected those of the nodes it is meant for`)
  }
  if (wanted.some(trait => node.traits.includes(trait))) return
  throw new InvalidInput(
    `Cannot use runbook ${name} on node ${node.uuid}: the node has the traits ${node.traits.join(', ') || '(none)'}; ` +
      `expected ${wanted.join(' or ')}`,
  )
}
