/**
 * Indicators: lights that show an operator which machine is meant. No management interface drives any yet, so the list
 * is empty and each single one is refused. Source: REST API reference, "Management".
 */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { mustFindNode } from '../find-node.ts'
import { word } from '../parameters.ts'

const components = ['chassis', 'system', 'disk', 'power', 'nic']
const path = '/v1/nodes/{node_ident}/management/indicators'

/** @throws InvalidInput: malformed, or one that is not there */
async function refuse(call: Call<{ node_ident: string; indicator: string }>): Promise<never> {
  const { node_ident, indicator } = call.params
  const node = await mustFindNode(call, node_ident)
  const shown = JSON.stringify(indicator.slice(0, 80))
  const [name, component, more] = indicator.split('@')
  if (!name || component === undefined || more !== undefined || !components.includes(component)) {
    throw new InvalidInput(`Cannot read the indicator ${shown}: expected NAME@COMPONENT, of ${components.join(', ')}`)
  }
  throw new InvalidInput(
    `Management interface ${node.management_interface} of node ${node.uuid} has no indicator ${shown}`,
  )
}

export const nodeIndicators: readonly Endpoint[] = [
  endpoint({
    id: 'node.listIndicators',
    method: 'GET',
    path,
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:get_indicator_state'],
    response: Type.Object({ indicators: Type.Array(Type.Object({ name: Type.String() })) }),
    async handle(call) {
      await mustFindNode(call, call.params.node_ident)
      return { json: '{"indicators":[]}' }
    },
  }),
  endpoint({
    id: 'node.getIndicator',
    method: 'GET',
    path: `${path}/{indicator}`,
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:get_indicator_state'],
    response: Type.Object({ state: Type.String() }),
    handle: refuse,
  }),
  endpoint({
    id: 'node.setIndicator',
    method: 'PUT',
    path: `${path}/{indicator}`,
    from: '1.1',
    status: 204,
    policy: ['baremetal:node:set_indicator_state'],
    args: { state: word(['off', 'on', 'blinking'], { required: true }) },
    response: null,
    handle: refuse,
  }),
]
