/**
 * What a node is to be like at its next boot or cleaning: boot mode, secure boot, RAID; and its console.
 * Source: REST API reference, "States".
 */
import { Type } from 'typebox'
import type { Node } from '#db/nodes.ts'
import { Conflict, InvalidInput, NotFound } from '#lib/fault.ts'
import { Nullable } from '#protocol/field.ts'
import { logicalDiskProperties, TargetRaidConfig } from '#protocol/raid.ts'
import { type BootMode, bootModes, isUnstable } from '#protocol/states.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { holding, mustFindNode } from '../find-node.ts'
import { boolean, text } from '../parameters.ts'
import { mustFindDriver } from './drivers.ts'

const path = '/v1/nodes/{node_ident}/states'

function statesUrl(call: Call<{ node_ident: string }>): string {
  return `${call.links.base}/v1/nodes/${call.params.node_ident}/states`
}

/** @throws Conflict */
function checkSettled(node: Node): void {
  if (!isUnstable(node.provision_state)) return
  throw new Conflict(`Cannot change boot settings of node ${node.uuid} in state "${node.provision_state}"`)
}

function isBootMode(given: string): given is BootMode {
  return bootModes.some(mode => mode === given)
}

/** "no-raid", or none at all. */
function absent(raidInterface: string | null | undefined): boolean {
  return raidInterface === null || raidInterface === undefined || raidInterface.startsWith('no-')
}

export const nodeSettings: readonly Endpoint[] = [
  endpoint({
    id: 'node.setRaid',
    method: 'PUT',
    path: `${path}/raid`,
    from: '1.12',
    below: 406,
    status: 204,
    policy: ['baremetal:node:set_raid_state'],
    body: TargetRaidConfig,
    response: null,
    async handle(call) {
      const { body: target_raid_config } = call
      const node = await mustFindNode(call, call.params.node_ident)
      if (absent(node.raid_interface)) {
        throw new NotFound(`Cannot set the RAID of node ${node.uuid}: its RAID interface is ${node.raid_interface}`)
      }
      const roots = target_raid_config.logical_disks?.filter(disk => disk.is_root_volume === true) ?? []
      if (roots.length > 1) {
        throw new InvalidInput(`Cannot set the RAID: found ${roots.length} root volumes, expected one at most`)
      }
      const lost = target_raid_config.logical_disks?.find(disk => disk.physical_disks && disk.controller === undefined)
      if (lost) throw new InvalidInput('Cannot set the RAID: found physical_disks without the controller they are at')
      if (target_raid_config.logical_disks) await call.conductor.checkRaid(node, target_raid_config)
      const action = { purpose: 'set RAID', told: 'set the target RAID configuration' }
      await holding(call, node, action, held => held.write({ target_raid_config }))
      return undefined
    },
  }),
  endpoint({
    id: 'driver.raidProperties',
    method: 'GET',
    path: '/v1/drivers/{driver_name}/raid/logical_disk_properties',
    from: '1.12',
    below: 406,
    status: 200,
    policy: ['baremetal:driver:get_raid_logical_disk_properties'],
    response: Type.Record(Type.String(), Type.String()),
    async handle(call) {
      const { name, interfaces } = await mustFindDriver(call)
      if (absent(interfaces.get('raid')?.preferred)) throw new NotFound(`Driver ${name} has no RAID by default`)
      return { json: JSON.stringify(logicalDiskProperties) }
    },
  }),
  endpoint({
    id: 'node.setBootMode',
    method: 'PUT',
    path: `${path}/boot_mode`,
    from: '1.76',
    status: 202,
    policy: ['baremetal:node:set_boot_mode'],
    args: { target: text({ required: true, values: Object.fromEntries(bootModes.map(mode => [mode, '1.76'])) }) },
    response: null,
    async handle(call) {
      const { target } = call.query
      const node = await mustFindNode(call, call.params.node_ident)
      if (!isBootMode(target)) {
        const found = JSON.stringify(target.slice(0, 80))
        throw new InvalidInput(`Cannot set the boot mode to ${found}: expected one of ${bootModes.join(', ')}`)
      }
      checkSettled(node)
      await call.conductor.setBootMode(node, target, call.caller)
      return { location: statesUrl(call) }
    },
  }),
  endpoint({
    id: 'node.setSecureBoot',
    method: 'PUT',
    path: `${path}/secure_boot`,
    from: '1.76',
    status: 202,
    policy: ['baremetal:node:set_secure_boot'],
    args: { target: boolean({ required: true }) },
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      checkSettled(node)
      await call.conductor.setSecureBoot(node, call.query.target, call.caller)
      return { location: statesUrl(call) }
    },
  }),
  endpoint({
    id: 'node.getConsole',
    method: 'GET',
    path: `${path}/console`,
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:get_console'],
    response: Type.Object({
      console_enabled: Type.Boolean(),
      console_info: Nullable(Type.Object({ type: Type.String(), url: Type.String() })),
    }),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const console_info = await call.conductor.consoleOf(node)
      return { json: JSON.stringify({ console_enabled: node.console_enabled, console_info }) }
    },
  }),
  endpoint({
    id: 'node.setConsole',
    method: 'PUT',
    path: `${path}/console`,
    from: '1.1',
    status: 202,
    policy: ['baremetal:node:set_console_state'],
    args: { enabled: boolean({ required: true }) },
    response: null,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      await call.conductor.setConsole(node, call.query.enabled, call.caller)
      return { location: `${statesUrl(call)}/console` }
    },
  }),
]
