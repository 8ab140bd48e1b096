/** Traits of a node. Source: REST API reference, "Traits". */
import { Type } from 'typebox'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { isTrait, maxTraits, Traits } from '#protocol/trait.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { holding, mustFindNode } from '../find-node.ts'

/** Body of a call that replaces all traits, and answer of one that lists them. */
export const TraitsBody = Type.Object({ traits: Traits }, { additionalProperties: false })

/** Each once, in order. @throws InvalidInput for one that is none, and for too many */
export function readTraits(traits: readonly string[]): string[] {
  const wrong = traits.find(one => !isTrait(one))
  if (wrong !== undefined) {
    const shown = JSON.stringify(wrong.slice(0, 80))
    throw new InvalidInput(`Cannot use the trait ${shown}: expected CUSTOM_ with A-Z 0-9 _, or a standard trait`)
  }
  const each = [...new Set(traits)].sort()
  if (each.length <= maxTraits) return each
  throw new InvalidInput(`Cannot set ${each.length} traits: expected at most ${maxTraits}`)
}

/** A call that names its trait in the path has nothing to say in its body. @throws InvalidInput */
export function checkNoBody(body: unknown): void {
  if (body === undefined || body === null) return
  if (typeof body === 'object' && !Array.isArray(body) && Object.keys(body).length === 0) return
  throw new InvalidInput('Cannot add the trait: found a body, expected none beside the trait in the path')
}

/** Changes the traits of the node that the path names, under its lease. `told`: the change in words, for its history. */
async function change(call: Call<{ node_ident: string }>, told: string, next: (now: readonly string[]) => string[]) {
  const node = await mustFindNode(call, call.params.node_ident)
  // What cannot be is refused before the node is waited for.
  next(node.traits)
  await holding(call, node, { purpose: 'traits', told }, held => held.write({ traits: next(held.node.traits) }))
}

const path = '/v1/nodes/{node_ident}/traits'

export const nodeTraits: readonly Endpoint[] = [
  endpoint({
    id: 'node.listTraits',
    method: 'GET',
    path,
    from: '1.37',
    below: 406,
    status: 200,
    policy: ['baremetal:node:traits:list'],
    response: TraitsBody,
    async handle(call) {
      const { traits } = await mustFindNode(call, call.params.node_ident)
      return { json: JSON.stringify({ traits }) }
    },
  }),
  endpoint({
    id: 'node.setTraits',
    method: 'PUT',
    path,
    from: '1.37',
    below: 405,
    status: 204,
    policy: ['baremetal:node:traits:set'],
    body: TraitsBody,
    response: null,
    async handle(call) {
      const traits = readTraits(call.body.traits)
      await change(call, `set the traits ${traits.join(', ') || '(none)'}`, () => traits)
      return undefined
    },
  }),
  endpoint({
    id: 'node.addTrait',
    method: 'PUT',
    path: `${path}/{trait}`,
    from: '1.37',
    below: 405,
    status: 204,
    policy: ['baremetal:node:traits:set'],
    body: Type.Unknown(),
    response: null,
    async handle(call) {
      const { trait, node_ident: node } = call.params
      checkNoBody(call.body)
      await change(call, `add the trait ${trait.slice(0, 255)}`, now => readTraits([...now, trait]))
      return { location: `${call.links.base}/v1/nodes/${node}/traits/${trait}` }
    },
  }),
  endpoint({
    id: 'node.removeAllTraits',
    method: 'DELETE',
    path,
    from: '1.37',
    status: 204,
    policy: ['baremetal:node:traits:delete'],
    response: null,
    async handle(call) {
      await change(call, 'remove all traits', () => [])
      return undefined
    },
  }),
  endpoint({
    id: 'node.removeTrait',
    method: 'DELETE',
    path: `${path}/{trait}`,
    from: '1.37',
    status: 204,
    policy: ['baremetal:node:traits:delete'],
    response: null,
    async handle(call) {
      const { trait, node_ident: node } = call.params
      await change(call, `remove the trait ${trait.slice(0, 255)}`, now => {
        if (now.includes(trait)) return now.filter(one => one !== trait)
        throw new NotFound(`Node ${node} does not have the trait ${trait.slice(0, 255)}.`)
      })
      return undefined
    },
  }),
]
