/** Small calls on one node: maintenance, lock, boot device, NMI. Source: REST API reference, "Management", "Maintenance". */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import { Nullable } from '#protocol/field.ts'
import { type BootDevice, bootDevices } from '#protocol/states.ts'
import { Explanation } from '#protocol/why.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { holding, mustFindNode } from '../find-node.ts'
import { boolean, text } from '../parameters.ts'

const path = '/v1/nodes/{node_ident}'

export const nodeManagement: readonly Endpoint[] = [
  endpoint({
    id: 'node.setMaintenance',
    method: 'PUT',
    path: `${path}/maintenance`,
    from: '1.1',
    status: 202,
    policy: ['baremetal:node:set_maintenance'],
    args: { reason: text({ doc: 'why, for other people' }) },
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const reason = call.query.reason?.slice(0, call.config.DEFAULT.log_in_db_max_size) ?? null
      const told = `set maintenance${reason === null ? '' : `: ${reason}`}`
      await holding(call, node, { purpose: 'set maintenance', told }, held =>
        held.write({ maintenance: true, maintenance_reason: reason }),
      )
      return undefined
    },
  }),
  endpoint({
    id: 'node.unsetMaintenance',
    method: 'DELETE',
    path: `${path}/maintenance`,
    from: '1.1',
    status: 202,
    policy: ['baremetal:node:clear_maintenance'],
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      await holding(call, node, { purpose: 'clear maintenance', told: 'clear maintenance' }, held =>
        held.write({ maintenance: false, maintenance_reason: null, fault: null }),
      )
      return undefined
    },
  }),
  endpoint({
    id: 'node.unlock',
    method: 'POST',
    path: `${path}/unlock`,
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:unlock'],
    args: {},
    response: Type.Object({ holder: Type.String(), purpose: Type.String(), since: Type.String() }),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      return { json: JSON.stringify(await call.conductor.unlock(node, call.caller)) }
    },
  }),
  endpoint({
    id: 'node.why',
    method: 'GET',
    path: `${path}/why`,
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:history:get'],
    response: Explanation,
    doc: "Ferrite's own: why the node is where it is, with evidence and what to do.",
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      return { json: JSON.stringify(await call.conductor.why(node)) }
    },
  }),
  endpoint({
    id: 'node.getBootDevice',
    method: 'GET',
    path: `${path}/management/boot_device`,
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:get_boot_device'],
    response: Type.Object({ boot_device: Nullable(Type.String()), persistent: Nullable(Type.Boolean()) }),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      return { json: JSON.stringify(await call.conductor.bootDevice(node)) }
    },
  }),
  endpoint({
    id: 'node.setBootDevice',
    method: 'PUT',
    path: `${path}/management/boot_device`,
    from: '1.1',
    status: 204,
    policy: ['baremetal:node:set_boot_device'],
    args: {
      boot_device: text({ required: true, values: Object.fromEntries(bootDevices.map(device => [device, '1.1'])) }),
      persistent: boolean({ doc: 'default: for the next boot only' }),
    },
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const { boot_device: device, persistent = false } = call.query
      if (!isBootDevice(device)) {
        const found = JSON.stringify(device.slice(0, 80))
        throw new InvalidInput(`Cannot boot from ${found}: expected one of ${bootDevices.join(', ')}`)
      }
      await call.conductor.setBootDevice(node, device, { persistent }, call.caller)
      return undefined
    },
  }),
  endpoint({
    id: 'node.getSupportedBootDevices',
    method: 'GET',
    path: `${path}/management/boot_device/supported`,
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:get_boot_device'],
    response: Type.Object({ supported_boot_devices: Type.Array(Type.String()) }),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const supported_boot_devices = await call.conductor.supportedBootDevices(node)
      return { json: JSON.stringify({ supported_boot_devices }) }
    },
  }),
  endpoint({
    id: 'node.injectNmi',
    method: 'PUT',
    path: `${path}/management/inject_nmi`,
    from: '1.29',
    status: 204,
    policy: ['baremetal:node:inject_nmi'],
    args: {},
    response: null,
    async handle(call) {
      await call.conductor.injectNmi(await mustFindNode(call, call.params.node_ident), call.caller)
      return undefined
    },
  }),
]

function isBootDevice(text: string): text is BootDevice {
  return bootDevices.some(device => device === text)
}
