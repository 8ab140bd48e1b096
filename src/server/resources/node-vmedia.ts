/**
 * Virtual media: images that a BMC shows the machine as a drive. Requests are checked as they will be; then no
 * management interface can serve one yet, and says so. Source: REST API reference, "Virtual media".
 */
import { Type } from 'typebox'
import type { Node } from '#db/nodes.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { PowerFailed } from '../faults.ts'
import { mustFindNode } from '../find-node.ts'
import { list } from '../parameters.ts'

const path = '/v1/nodes/{node_ident}/vmedia'
const deviceTypes = ['cdrom', 'disk', 'floppy'] as const
const schemes = ['http', 'https', 'nfs', 'cifs', 'smb']

const Attachment = Type.Object(
  {
    device_type: Type.Enum([...deviceTypes]),
    image_url: Type.String({ minLength: 1 }),
    image_download_source: Type.Optional(Type.Enum(['http', 'local', 'swift'])),
  },
  { additionalProperties: false },
)

/** @throws InvalidInput */
function checkUrl(url: string): void {
  const [scheme = ''] = url.split('://', 1)
  if (url.includes('://') && schemes.includes(scheme.toLowerCase())) return
  // The URL itself is not repeated: it may carry a password.
  throw new InvalidInput(`Cannot attach the image: expected image_url to begin with one of ${schemes.join(', ')}`)
}

/** @throws PowerFailed, InvalidInput: always, until a management interface can do it */
function unsupported(node: Node): never {
  if (node.maintenance && node.fault === 'power failure') {
    throw new PowerFailed(`Node ${node.uuid} is in maintenance: its BMC fails`)
  }
  throw new InvalidInput(
    `Management interface ${node.management_interface} of node ${node.uuid} does not support virtual media`,
  )
}

export const nodeVmedia: readonly Endpoint[] = [
  endpoint({
    id: 'node.getVmedia',
    method: 'GET',
    path,
    from: '1.93',
    status: 200,
    policy: ['baremetal:node:vmedia:get'],
    response: Type.Array(Type.Object({ media_types: Type.Array(Type.String()), inserted: Type.Boolean() })),
    handle: async call => unsupported(await mustFindNode(call, call.params.node_ident)),
  }),
  endpoint({
    id: 'node.attachVmedia',
    method: 'POST',
    path,
    from: '1.89',
    status: 204,
    policy: ['baremetal:node:vmedia:attach'],
    body: Attachment,
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      checkUrl(call.body.image_url)
      return unsupported(node)
    },
  }),
  endpoint({
    id: 'node.detachVmedia',
    method: 'DELETE',
    path,
    from: '1.89',
    status: 204,
    policy: ['baremetal:node:vmedia:detach'],
    args: { device_types: list({ doc: `of ${deviceTypes.join(', ')}; all without it` }) },
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const wrong = call.query.device_types?.find(type => !deviceTypes.some(known => known === type))
      if (wrong !== undefined) {
        const found = JSON.stringify(wrong.slice(0, 80))
        throw new InvalidInput(`Cannot detach ${found}: expected ${deviceTypes.join(', ')}`)
      }
      return unsupported(node)
    },
  }),
]
