/** `ferrite node maintenance ...`: nodes that an operator works on and the service leaves alone. */
import { type Commands, command } from './command.ts'
import { nodePath, nodes } from './node-path.ts'
import { forEach } from './report.ts'

const maintenanceSet = command({
  about: 'Put nodes into maintenance',
  args: { nodes },
  options: { reason: { takes: 'text', about: 'why' } },
  async run({ args, options }, { api }) {
    const body = { reason: options.reason ?? null }
    await forEach(args.nodes, 'begin the maintenance of node', name => api.put(`${nodePath(name)}/maintenance`, body))
    return undefined
  },
})

const maintenanceUnset = command({
  about: 'Take nodes out of maintenance',
  args: { nodes },
  options: {},
  async run({ args }, { api }) {
    await forEach(args.nodes, 'end the maintenance of node', name => api.delete(`${nodePath(name)}/maintenance`))
    return undefined
  },
})

export const commands: Commands = { set: maintenanceSet, unset: maintenanceUnset }
