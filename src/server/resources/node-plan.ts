/**
 * What a verb would do to a node: the request of `PUT …/states/provision`, answered with a plan. What would refuse the
 * verb for the node's sake is part of the plan; a request that makes no sense is refused as it would be there.
 */
import { Type } from 'typebox'
import type { ProvisionRequest } from '#conductor/conductor.ts'
import type { Node } from '#db/nodes.ts'
import { Fault, Forbidden } from '#lib/fault.ts'
import { Plan, type Refusal } from '#protocol/plan.ts'
import { attemptTo, type Verb } from '#protocol/states.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { mustFindNode } from '../find-node.ts'
import { json, type ValuesOf } from '../parameters.ts'
import { demandOptions } from './node-states.ts'
import { type ProvisionOptions, provisionArguments, readProvision } from './provision.ts'
import { withRunbook } from './runbook-use.ts'

const { rescue_password: _, ...verbArguments } = provisionArguments
const planArguments = {
  ...verbArguments,
  instance_info: json(Type.Record(Type.String(), Type.Unknown()), {
    doc: 'plans as if the node had these entries besides its own; null takes one away',
  }),
}
type PlanOptions = Omit<ProvisionOptions, 'rescue_password'> & ValuesOf<Pick<typeof planArguments, 'instance_info'>>

async function plan(call: Call<{ node_ident: string }, PlanOptions>) {
  const { instance_info, ...options } = call.query
  const node = withInstance(await mustFindNode(call, call.params.node_ident), instance_info)
  const query: ProvisionOptions = { ...options, rescue_password: undefined }
  const { verb, request } = readProvision(call, node, query, 'plan')
  const refusals: Refusal[] = []
  const asked = async (check: () => void | Promise<void>) => {
    try {
      await check()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      refusals.push({ code: error.code, message: error.message })
    }
  }
  await asked(() => {
    if (call.may('baremetal:node:set_provision_state', node)) return
    throw new Forbidden(`Cannot ${attemptTo(verb, node.uuid)}: your roles do not allow it`)
  })
  await asked(() => demandOptions({ ...call, query }, node))
  let whole: ProvisionRequest = request
  await asked(async () => {
    whole = await withRunbook(call, node, verb, request)
  })
  const { runbook } = request
  const found = await planFor(call, node, { verb, request: whole, runbook })
  return { json: JSON.stringify({ ...found, refusals: [...refusals, ...found.refusals] } satisfies Plan) }
}

function withInstance(node: Node, given: Record<string, unknown> = {}): Node {
  const all = Object.entries({ ...node.instance_info, ...given })
  return { ...node, instance_info: Object.fromEntries(all.filter(([, value]) => value !== null)) }
}

function planFor(
  { conductor, caller }: Call,
  node: Node,
  { verb, request, runbook }: { verb: Verb; request: ProvisionRequest; runbook: string | undefined },
): Promise<Plan> {
  const { runbook: _, ...steps } = request
  return conductor.plan(node, verb, steps, { caller, runbook })
}

export const nodePlan: readonly Endpoint[] = [
  endpoint({
    id: 'node.plan',
    method: 'POST',
    path: '/v1/nodes/{node_ident}/plan',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:validate'],
    bodySize: 'provision',
    args: planArguments,
    response: Plan,
    doc: "Ferrite's own: what a verb would do, without doing it: steps, power changes, disks, image, duration, and every reason why it would be refused now.",
    handle: plan,
  }),
]
