/** What commands on nodes share: the argument, the path, and requests that are the same for each of several nodes. */
import { segment } from './client.ts'
import { type AnyCommand, command } from './command.ts'
import { forEach } from './report.ts'

export const node = { about: 'name or UUID of the node' }
export const nodes = { metavar: 'node', many: true, about: 'names or UUIDs of the nodes' } as const

/** Where they may also be chosen by options. */
export const anyNodes = { ...nodes, optional: true } as const

export function nodePath(name: string): string {
  return `/v1/nodes/${segment(name)}`
}

/**
 * A command that sends the same PUT for every node.
 * @param attempt completes "Cannot ... NAME"
 */
export function putCommand(about: string, attempt: string, path: string, body: unknown): AnyCommand {
  return command({
    about,
    args: { nodes },
    options: {},
    async run({ args }, { api }) {
      await forEach(args.nodes, attempt, name => api.put(`${nodePath(name)}/${path}`, body))
      return undefined
    },
  })
}
