/**
 * Virtual media: images that a BMC shows the machine as drives. Source: REST API reference, "Virtual media".
 */
import { Type } from 'typebox'
import type { Node } from '#db/nodes.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type MediaDevice, mediaDevices } from '#protocol/management.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { PowerFailed } from '../faults.ts'
import { mustFindNode } from '../find-node.ts'
import { list } from '../parameters.ts'

const path = '/v1/nodes/{node_ident}/vmedia'
const schemes = ['http', 'https', 'nfs', 'cifs', 'smb']

const Attachment = Type.Object(
  {
    device_type: Type.Enum([...mediaDevices]),
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

/** @throws PowerFailed while the BMC is known not to answer */
function checkReachable(node: Node): void {
  if (!node.maintenance || node.fault !== 'power failure') return
  throw new PowerFailed(`Node ${node.uuid} is in maintenance: its BMC fails`)
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
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      checkReachable(node)
      return { json: JSON.stringify(await call.conductor.virtualMedia(node)) }
    },
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
      const { device_type: device, image_url: url, image_download_source: source } = call.body
      checkUrl(url)
      checkReachable(node)
      // To one from elsewhere than Glance, swift means what http does.
      const local = source === undefined ? undefined : source === 'local'
      await call.conductor.attachMedia(node, { device, url, local }, call.caller)
      return undefined
    },
  }),
  endpoint({
    id: 'node.detachVmedia',
    method: 'DELETE',
    path,
    from: '1.89',
    status: 204,
    policy: ['baremetal:node:vmedia:detach'],
    args: { device_types: list({ doc: `of ${mediaDevices.join(', ')}; all without it` }) },
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const devices = call.query.device_types?.map(mustBeDevice) ?? null
      checkReachable(node)
      await call.conductor.detachMedia(node, devices, call.caller)
      return undefined
    },
  }),
]

/** @throws InvalidInput */
function mustBeDevice(given: string): MediaDevice {
  const device = mediaDevices.find(known => known === given)
  if (device) return device
  throw new InvalidInput(`Cannot detach ${JSON.stringify(given.slice(0, 80))}: expected ${mediaDevices.join(', ')}`)
}
