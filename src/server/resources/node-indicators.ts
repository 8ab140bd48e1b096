/**
 * Indicators: lights that show an operator which machine is meant. Where the management interface drives none the list is
 * empty. Source: REST API reference, "Management".
 */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import { type Indicator, indicatorComponents, indicatorStates } from '#protocol/management.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { mustFindNode } from '../find-node.ts'
import { word } from '../parameters.ts'

const path = '/v1/nodes/{node_ident}/management/indicators'

/** The component and name of NAME@COMPONENT. @throws InvalidInput when it is something else */
function parse(indicator: string): Pick<Indicator, 'component' | 'name'> {
  const [name, given, more] = indicator.split('@')
  const component = indicatorComponents.find(one => one === given)
  if (name && component && more === undefined) return { name, component }
  const shown = JSON.stringify(indicator.slice(0, 80))
  throw new InvalidInput(
    `Cannot read the indicator ${shown}: expected NAME@COMPONENT, of ${indicatorComponents.join(', ')}`,
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
      const node = await mustFindNode(call, call.params.node_ident)
      const found = await call.conductor.indicators(node)
      const indicators = found.map(({ name, component }) => ({ name: `${name}@${component}` }))
      return { json: JSON.stringify({ indicators }) }
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
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const wanted = parse(call.params.indicator)
      const found = await call.conductor.indicators(node)
      const light = found.find(one => one.name === wanted.name && one.component === wanted.component)
      if (light) return { json: JSON.stringify({ state: light.state }) }
      throw new InvalidInput(
        `Management interface ${node.management_interface} of node ${node.uuid} has no indicator ${JSON.stringify(call.params.indicator)}`,
      )
    },
  }),
  endpoint({
    id: 'node.setIndicator',
    method: 'PUT',
    path: `${path}/{indicator}`,
    from: '1.1',
    status: 204,
    policy: ['baremetal:node:set_indicator_state'],
    args: { state: word([...indicatorStates], { required: true }) },
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const state = indicatorStates.find(one => one === call.query.state) ?? 'off'
      await call.conductor.setIndicator(node, { ...parse(call.params.indicator), state }, call.caller)
      return undefined
    },
  }),
]
