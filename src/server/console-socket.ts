/**
 * A node's serial console as a WebSocket, `/v1/nodes/{node_ident}/states/console/stream`: bytes both ways. Who asks is
 * authorised by the policy for switching the console, since who is there may type.
 */
import { createWebSocketStream } from 'ws'
import { NotFound } from '#lib/fault.ts'
import { maximum } from '#protocol/microversion.ts'
import { mustFindNode } from './find-node.ts'
import { requireAny } from './policy/policy.ts'
import type { SocketPath } from './sockets.ts'

const path = /^\/v1\/nodes\/([^/]+)\/states\/console\/stream$/
const policies = ['baremetal:node:set_console_state']

export const consoleSocket: SocketPath = {
  path,
  async open({ world, policy, identity, request }) {
    const ident = decodeURIComponent(path.exec(request.url?.split('?', 1)[0] ?? '')?.[1] ?? '')
    const node = await mustFindNode(
      {
        db: world.db,
        version: maximum,
        may: (name, target) => policy.allows(identity, name, target),
        allow: target => requireAny(policy, identity, policies, target),
      },
      ident,
    )
    const attach = await world.conductor.consoleStream(node)
    if (!attach) {
      throw new NotFound(
        `Cannot connect to the console of node ${node.uuid}: ` +
          'it is switched off, or another conductor offers it; GET its states/console tells',
      )
    }
    return socket => {
      const stream = createWebSocketStream(socket)
      // A client that breaks the protocol, or goes without a word.
      stream.on('error', () => stream.destroy())
      attach(stream)
    }
  },
}
