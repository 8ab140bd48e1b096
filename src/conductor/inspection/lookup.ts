/**
 * Whose ramdisk is it that tells of a machine? Found by the node's UUID, by MAC addresses of ports and by addresses of
 * BMCs, which must not speak against each other: a wrong answer would write one machine's facts on another node. Whatever
 * speaks against an answer looks the same to the caller, who may be anybody.
 *
 * Source: Ironic ironic/drivers/modules/inspect_utils.py, lookup_node (behaviour restated).
 */
import type { Db } from '#db/database.ts'
import { findAwaited } from '#db/inspections.ts'
import { findNode } from '#db/nodes.ts'
import { portsByAddress } from '#db/ports.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'

/** By what a ramdisk can be known. */
export interface Told {
  readonly nodeUuid: string | null
  /** In lower case. */
  readonly macs: readonly string[]
  readonly bmcAddresses: readonly string[]
}

const mac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

export function toldBy(inventory: Readonly<Record<string, unknown>>, nodeUuid: string | null): Told {
  const interfaces = inventory.interfaces as { mac_address: string }[] // by the API's schema
  const addresses = interfaces.map(one => one.mac_address.toLowerCase())
  const bmc = [inventory.bmc_address, inventory.bmc_v6address]
  return {
    nodeUuid,
    macs: [...new Set(addresses.filter(one => mac.test(one)))],
    // An agent that found none says so by an address that none has.
    bmcAddresses: bmc.filter(
      one => typeof one === 'string' && !['', '0.0.0.0', '::/0', '::'].includes(one),
    ) as string[], // texts, as just asked
  }
}

/** @returns undefined where no node is known by any of it @throws NotFound; InvalidInput when nothing was told */
export async function lookUp(db: Db, log: Log, told: Told): Promise<string | undefined> {
  const { nodeUuid, macs, bmcAddresses } = told
  if (nodeUuid === null && macs.length === 0 && bmcAddresses.length === 0) {
    throw new InvalidInput(
      'Cannot take inspection data: expected node_uuid, a network interface with a MAC address, or a bmc_address',
    )
  }
  const refused = (why: string, nodes: readonly string[]): NotFound => {
    log.warn({ nodes, macs, bmcAddresses }, `inspection data is not taken: ${why}`)
    return nobody()
  }
  const byMacs = [...new Set((await portsByAddress(db, macs)).map(port => port.node_uuid))]
  if (byMacs.length > 1) throw refused('its MAC addresses belong to several nodes', byMacs)
  const [byMac] = byMacs
  if (nodeUuid !== null && byMac !== undefined && nodeUuid !== byMac) {
    throw refused('its MAC addresses do not belong to the node that it names', [nodeUuid, byMac])
  }
  const known = nodeUuid ?? byMac
  const node = known === undefined ? undefined : await findNode(db, known)
  if (known !== undefined && (!node || !['inspect wait', 'inspecting'].includes(node.provision_state))) {
    throw refused('the node does not wait for it', [known])
  }
  if (bmcAddresses.length === 0) return known
  const awaited = await findAwaited(db)
  const byBmc = awaited.filter(one => one.bmcAddresses.some(address => bmcAddresses.includes(address)))
  const candidates = byBmc.map(one => one.nodeUuid)
  // Several nodes may have one BMC address, but then the one that the MAC addresses mean is among them.
  if (known !== undefined) {
    if (candidates.length === 0 || candidates.includes(known)) return known
    throw refused('its BMC belongs to other nodes than its MAC addresses', [known, ...candidates])
  }
  if (candidates.length > 1) throw refused('several nodes have its BMC, and none its MAC addresses', candidates)
  return candidates[0]
}

export function nobody(): NotFound {
  return new NotFound('No node that waits for inspection data is known by these addresses')
}
