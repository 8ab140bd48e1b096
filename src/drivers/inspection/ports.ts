/**
 * Hook ports: ports for the network interfaces that validate-interfaces chose; those that are there follow what was
 * found, and go where [inspector] keep_ports says so.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/ports.py (behaviour restated). Other than there, where nobody
 * knows which interface booted (a BMC does not), no port is kept from booting.
 */
import { randomUUID } from 'node:crypto'
import type { Db } from '#db/database.ts'
import { AddressTaken, deletePort, insertPort, type PortPatch, updatePort } from '#db/ports.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { type Hook, type HookContext, textIn } from './hook.ts'
import { keptInterfaces, type ValidInterface } from './network-interfaces.ts'

export interface NewPort {
  address: string
  pxe_enabled?: boolean
  extra?: Record<string, unknown>
}

export const ports: Hook = {
  needs: ['validate-interfaces'],
  async run(of) {
    const { ctx, pluginData } = of
    const { db, node, clock, log, config } = ctx
    if (config.inspector.add_ports !== 'disabled') {
      const isKnown = knowsWhatBooted(pluginData)
      for (const one of Object.values(keptInterfaces(pluginData, 'valid_interfaces'))) {
        const clientId = clientIdOf(one)
        const extra = clientId === undefined ? {} : { 'client-id': clientId }
        const port = { address: one.mac_address, pxe_enabled: one.pxe_enabled || !isKnown, extra }
        await addPort({ db, log }, node.uuid, port, clock.now())
      }
    }
    await followInterfaces(of)
  },
}

/** A MAC address that is known already keeps its port: the machine has its other interfaces all the same. */
export async function addPort(
  { db, log }: { db: Db; log: Log },
  nodeUuid: string,
  port: NewPort,
  nowMs: number,
): Promise<void> {
  const { address, pxe_enabled = true, extra = {} } = port
  try {
    await insertPort(db, {
      uuid: randomUUID(),
      address,
      node_uuid: nodeUuid,
      extra,
      created_at: timestamp(nowMs),
      internal_info: {},
      local_link_connection: {},
      pxe_enabled,
      portgroup_uuid: null,
      physical_network: null,
      is_smartnic: false,
      name: null,
      description: null,
      vendor: null,
      category: null,
      available_for_dynamic_portgroup: true,
    })
    log.info({ node: nodeUuid, address }, 'a port was made of a network interface that was found')
  } catch (error) {
    if (!(error instanceof AddressTaken)) throw error
    log.info({ node: nodeUuid, address }, 'the port of a network interface that was found is there already')
  }
}

async function followInterfaces({ ctx, pluginData, ports }: HookContext): Promise<void> {
  const { db, clock, log, node, config } = ctx
  const { keep_ports, update_pxe_enabled } = config.inspector
  const all = new Map(Object.values(keptInterfaces(pluginData, 'all_interfaces')).map(one => [one.mac_address, one]))
  const valid = new Set(Object.values(keptInterfaces(pluginData, 'valid_interfaces')).map(one => one.mac_address))
  const updatesPxe = update_pxe_enabled && knowsWhatBooted(pluginData)
  const stays = (address: string) =>
    keep_ports === 'all' || (keep_ports === 'present' ? all.has(address) : valid.has(address))
  for (const port of await ports()) {
    const { uuid, address } = port
    if (!stays(address)) {
      log.info({ node: node.uuid, address }, `a port goes, as [inspector] keep_ports = ${keep_ports} says`)
      await deletePort(db, uuid)
      continue
    }
    const found = all.get(address)
    const pxe_enabled = found?.pxe_enabled ?? false
    const clientId = clientIdOf(found)
    const patch: PortPatch = {
      ...(updatesPxe && pxe_enabled !== port.pxe_enabled ? { pxe_enabled } : {}),
      ...(clientId !== undefined && clientId !== port.extra['client-id']
        ? { extra: { ...port.extra, 'client-id': clientId } }
        : {}),
    }
    if (Object.keys(patch).length > 0) await updatePort(db, uuid, patch, clock.now())
  }
}

/** What DHCP clients call themselves is short. */
function clientIdOf(found: ValidInterface | undefined): string | undefined {
  const clientId = textIn(found?.client_id)
  return clientId !== undefined && clientId.length <= 512 ? clientId : undefined
}

function knowsWhatBooted(pluginData: HookContext['pluginData']): boolean {
  return Object.values(keptInterfaces(pluginData, 'all_interfaces')).some(one => one.pxe_enabled)
}
