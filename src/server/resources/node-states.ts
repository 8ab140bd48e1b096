/**
 * What a node is asked to become: power and provision, and how it stands now. The order of the checks is part of the
 * contract; the conductor makes the last ones, under the lease.
 *
 * Source: REST API reference, "States" and "Verbs".
 */
import { childrenOf } from '#db/children.ts'
import { findNodeRow } from '#db/node-rows.ts'
import { findNode, type Node } from '#db/nodes.ts'
import { Conflict, Forbidden, InvalidInput, NotFound } from '#lib/fault.ts'
import { nodeFields } from '#protocol/node.ts'
import { type PowerTarget, powerTargets } from '#protocol/states.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { NotAcceptable } from '../faults.ts'
import { candidates, mustFindNode } from '../find-node.ts'
import { integer, text } from '../parameters.ts'
import { demand, demandSteps, seesNode } from '../policy/access.ts'
import { answerSchema } from '../schemas.ts'
import { viewOf } from '../view.ts'
import { lastError, maskerFor, ownership, revealed } from './node-view.ts'
import { type ProvisionOptions, provisionArguments, readProvision } from './provision.ts'
import { withRunbook } from './runbook-use.ts'

const names = [
  'console_enabled',
  'last_error',
  'power_state',
  'provision_state',
  'target_power_state',
  'target_provision_state',
  'provision_updated_at',
  'raid_config',
  'target_raid_config',
  'boot_mode',
  'secure_boot',
] as const
const statesFields = Object.fromEntries(names.map(name => [name, nodeFields[name]]))
const statesView = viewOf({
  fields: statesFields,
  key: 'uuid',
  always: ['owner', 'lessee'],
  short: names,
  computed: { last_error: lastError },
})

async function showStates(call: Call<{ node_ident: string }>): Promise<Answer> {
  const selection = statesView.full(call.version)
  for (const one of candidates(call.params.node_ident, call.version, 5)) {
    const row = await findNodeRow(call.db, selection, one)
    if (!row || !seesNode(call, ownership(row))) continue
    call.allow(ownership(row))
    const context = { base: '', masker: maskerFor(call.conductor.secretKeys()), ...revealed(call) }
    return { json: selection.print(row, context) }
  }
  throw new NotFound(`Node ${call.params.node_ident} could not be found.`)
}

type PowerQuery = { readonly target: string; readonly timeout: number | undefined }

async function setPower(call: Call<{ node_ident: string }, PowerQuery>): Promise<Answer> {
  const { query, version } = call
  const node = await mustFindNode(call, call.params.node_ident)
  const { target, timeout } = query
  if (!isPowerTarget(target)) {
    const expected = `expected one of ${Object.keys(powerTargets).join(', ')}`
    throw new InvalidInput(`Cannot change the power of node ${node.uuid} to ${JSON.stringify(target)}: ${expected}`)
  }
  if (target.startsWith('soft ') && version < 27) throw new NotAcceptable(`${target} needs version 1.27`)
  checkPower(node, target)
  await call.conductor.power(node, target, { timeoutS: timeout ?? null }, call.caller)
  return { location: statesUrl(call) }
}

function checkPower(node: Node, target: PowerTarget): void {
  const state = node.provision_state
  if (state === 'cleaning' || state === 'clean wait') {
    throw new InvalidInput(`Cannot change the power of node ${node.uuid} in state "${state}"`)
  }
  if (node.disable_power_off && powerTargets[target] === 'power off') {
    throw new Conflict(`Cannot power off node ${node.uuid}: its disable_power_off is set`)
  }
}

/** Options of a verb that need more than the verb. @throws Forbidden, NotFound */
export async function demandOptions(call: Call<unknown, ProvisionOptions>, node: Node): Promise<void> {
  const { clean_steps = [], deploy_steps = [], service_steps = [], runbook } = call.query
  if (runbook !== undefined) return
  if (clean_steps.length > 0) demand(call, ['baremetal:node:set_provision_state:clean_steps'], node)
  if (service_steps.length > 0) demand(call, ['baremetal:node:set_provision_state:service_steps'], node)
  demandSteps(call, [...deploy_steps, ...clean_steps, ...service_steps], node)
  // The same verb is asked of each contained node that is named.
  const steps = [...clean_steps, ...service_steps]
  const contained = steps.flatMap(step => step.limit_child_node_execution ?? [])
  for (const uuid of new Set(contained)) await mustFindNode(call, uuid)
  const onAll = steps.some(step => step.execute_on_child_nodes === true && !step.limit_child_node_execution)
  if (onAll) await demandChildren(call, node)
}

/** The same verb on every node that this one contains; the owner of one may have changed since it was put there. @throws Forbidden */
async function demandChildren(call: Call, node: Node): Promise<void> {
  for (const uuid of await childrenOf(call.db, node.uuid)) {
    const child = await findNode(call.db, uuid)
    if (!child || call.may('baremetal:node:set_provision_state', child)) continue
    throw new Forbidden(
      `Cannot run a step on all that node ${node.uuid} contains: not all of it is yours, ` +
        'expected limit_child_node_execution',
    )
  }
}

function isPowerTarget(text: string): text is PowerTarget {
  return Object.hasOwn(powerTargets, text)
}

function statesUrl(call: Call<{ node_ident: string }>): string {
  return `${call.links.base}/v1/nodes/${call.params.node_ident}/states`
}

const powerFrom = Object.fromEntries(
  Object.keys(powerTargets).map(target => [target, target.startsWith('soft ') ? '1.27' : '1.1']),
)

export const nodeStates: readonly Endpoint[] = [
  endpoint({
    id: 'node.states',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/states',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:get_states'],
    response: answerSchema(statesFields),
    handle: showStates,
  }),
  endpoint({
    id: 'node.setPower',
    method: 'PUT',
    path: '/v1/nodes/{node_ident}/states/power',
    from: '1.1',
    status: 202,
    policy: ['baremetal:node:set_power_state'],
    args: {
      target: text({ required: true, values: powerFrom }),
      timeout: integer({ from: '1.27', min: 1, doc: 'seconds' }),
    },
    response: null,
    handle: setPower,
  }),
  endpoint({
    id: 'node.setProvision',
    method: 'PUT',
    path: '/v1/nodes/{node_ident}/states/provision',
    from: '1.1',
    status: 202,
    policy: ['baremetal:node:set_provision_state'],
    bodySize: 'provision',
    args: provisionArguments,
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      await demandOptions(call, node)
      const { verb, request } = readProvision(call, node, call.query)
      const whole = await withRunbook(call, node, verb, request)
      await call.conductor.provision(node, verb, whole, call.caller)
      return { location: statesUrl(call) }
    },
  }),
]
