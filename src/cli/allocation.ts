/** `ferrite allocation ...`: wishes for a node, which the service answers with one that fits. */
import { Fault } from '#lib/fault.ts'
import { segment } from './client.ts'
import type { Commands, Context, Item } from './command.ts'
import { UsageError } from './parse.ts'
import { createCommand, type Resource, resourceCommands } from './resource.ts'

const pollMs = 1000

export const resource: Resource = {
  name: 'allocation',
  path: '/v1/allocations',
  key: 'allocations',
  detail: 'only',
  fields: async () => (await import('#protocol/allocation.ts')).allocationFields,
  differences: {
    traits: { option: 'trait', about: 'trait that the node must have' },
    candidate_nodes: { option: 'candidate-node', metavar: 'node', about: 'node that comes into question; default all' },
  },
  more: [{ option: 'node', field: 'node', holds: 'text', on: ['create'], about: 'node that has the instance already' }],
  filters: {
    node: { takes: 'text', parameter: 'node', about: 'of this node' },
    'resource-class': { takes: 'text', parameter: 'resource_class', about: 'of this resource class' },
    state: { takes: 'text', parameter: 'state', about: 'in this state' },
    owner: { takes: 'text', parameter: 'owner', about: 'of this owner' },
  },
  columns: ['uuid', 'name', 'resource_class', 'state', 'node_uuid'],
  longColumns: [
    'uuid',
    'name',
    'state',
    'owner',
    'node_uuid',
    'last_error',
    'resource_class',
    'traits',
    'candidate_nodes',
    'extra',
    'created_at',
    'updated_at',
  ],
}

/** No node was found for an allocation, or not in time. */
export class AllocationFailed extends Fault {
  readonly status = 409
  readonly code = 'allocation-failed'
}

export const commands: Commands = {
  ...resourceCommands(resource),
  create: createCommand(resource, {
    options: {
      wait: {
        takes: 'number?',
        metavar: 'seconds',
        about: 'wait for the node; 0 or no number waits as long as it takes',
      },
    },
    check({ options }) {
      if (options.node === undefined && options['resource-class'] === undefined) {
        throw new UsageError('Missing option --resource-class: it is required, except with --node')
      }
    },
    async after(created, { options }, context) {
      if (options.wait === undefined) return created
      return await waitForNode(created, Number(options.wait) * 1000, context)
    },
  }),
}

/** @param timeoutMs 0: as long as it takes */
async function waitForNode({ uuid }: Item, timeoutMs: number, { api, terminal }: Context): Promise<Item> {
  const began = terminal.now()
  const name = String(uuid)
  for (;;) {
    const found = await api.get(`${resource.path}/${segment(name)}`)
    if (found.state === 'active') return found
    if (found.state === 'error') throw new AllocationFailed(`Allocation ${name} got no node: ${found.last_error}`)
    if (timeoutMs > 0 && terminal.now() - began >= timeoutMs) {
      throw new AllocationFailed(
        `Stopped waiting for allocation ${name} after ${timeoutMs / 1000} s: it is ${found.state}`,
      )
    }
    await terminal.sleep(pollMs)
  }
}
