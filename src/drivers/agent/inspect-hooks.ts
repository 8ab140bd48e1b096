/** What inspection makes of the ramdisk's data: one small function per hook. Each asks for a state, so it may run twice. */
import { randomUUID } from 'node:crypto'
import { deletePort, insertPort, updatePort } from '#db/ports.ts'
import { Conflict } from '#lib/fault.ts'
import type { InspectionData } from '#protocol/agent.ts'
import { timestamp } from '#protocol/field.ts'
import { type FlowContext, HardwareFault } from '../driver.ts'

export interface FoundInterface {
  address: string
  /** The firmware booted from it. */
  pxe: boolean
  /** It has an address. */
  active?: boolean
}

const mac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

/** Hook ramdisk-error. @throws HardwareFault with the ramdisk's own words */
export function refuseRamdiskError(data: InspectionData): void {
  if (data.error) throw new HardwareFault(`The ramdisk reports that inspection failed: ${data.error}`)
}

/** Network interfaces with a valid MAC address, loopback left out. */
export function usableInterfaces(data: InspectionData): FoundInterface[] {
  const booted = normalised(data.boot_interface ?? data.inventory.boot.pxe_interface ?? '')
  return data.inventory.interfaces
    .map(found => ({
      address: found.mac_address.toLowerCase(),
      pxe: found.mac_address.toLowerCase() === booted,
      active: found.ipv4_address !== null || found.ipv6_address !== null,
    }))
    .filter(found => mac.test(found.address) && found.address !== '00:00:00:00:00:00')
}

/** `01-52-54-00-aa-bb-cc`, as PXE loaders write it, and plain spellings alike. */
function normalised(address: string): string {
  const plain = address.toLowerCase().replaceAll('-', ':')
  return plain.length === 20 ? plain.slice(3) : plain
}

/** Hook ports: creates what is missing, marks what boots, removes what [inspector] keep_ports says. */
export async function portsFrom(
  ctx: FlowContext,
  wanted: readonly FoundInterface[],
  options: { keep: string; present?: readonly string[] },
): Promise<void> {
  const { db, node, clock, config } = ctx
  const mine = new Map(ctx.ports.map(port => [port.address, port]))
  for (const found of wanted) {
    const port = mine.get(found.address)
    if (!port) await addPort(ctx, newPort(node.uuid, found, clock.now()))
    else if (config.inspector.update_pxe_enabled && port.pxe_enabled !== found.pxe) {
      await updatePort(db, port.uuid, { pxe_enabled: found.pxe }, clock.now())
    }
  }
  const stay = options.keep === 'present' ? options.present : wanted.map(found => found.address)
  if (options.keep === 'all' || !stay) return
  for (const port of ctx.ports) if (!stay.includes(port.address)) await deletePort(db, port.uuid)
}

/** A MAC address that is known of another node is that node's: the machine has its other interfaces all the same. */
async function addPort({ db, log }: FlowContext, port: Parameters<typeof insertPort>[1]): Promise<void> {
  try {
    await insertPort(db, port)
  } catch (error) {
    if (!(error instanceof Conflict)) throw error
    log.warn({ address: port.address }, `no port was made of a network interface that was found: ${error.message}`)
  }
}

function newPort(nodeUuid: string, found: FoundInterface, nowMs: number): Parameters<typeof insertPort>[1] {
  return {
    uuid: randomUUID(),
    address: found.address,
    node_uuid: nodeUuid,
    extra: {},
    created_at: timestamp(nowMs),
    internal_info: {},
    local_link_connection: {},
    pxe_enabled: found.pxe || found.active === undefined,
    portgroup_uuid: null,
    physical_network: null,
    is_smartnic: false,
    name: null,
    description: null,
    vendor: null,
    category: null,
    available_for_dynamic_portgroup: true,
  }
}

/** Hooks architecture, memory and root-disk: facts of the inventory become properties. */
export function propertiesFrom(
  properties: Record<string, unknown>,
  data: InspectionData,
  hooks: readonly string[],
): Record<string, unknown> {
  const { cpu, memory } = data.inventory
  const out = { ...properties }
  if (hooks.includes('architecture')) out.cpu_arch = cpu.architecture
  if (hooks.includes('memory') && memory.physical_mb !== null) out.memory_mb = memory.physical_mb
  if (hooks.includes('root-disk') && data.root_disk)
    out.local_gb = Math.max(0, Math.floor(data.root_disk.size / 2 ** 30) - 1)
  return out
}
