/**
 * A network boot as a conversation: DHCP, TFTP, the boot script, kernel and ramdisk over HTTP, the agent's look-up. Each
 * hop that Ferrite sees is an event of the node; when the machine stays silent, the first missing one is the diagnosis.
 * Records and explains; serves nothing.
 */
import type { Db } from '#db/database.ts'
import { appendEvent, type Event } from '#db/events.ts'
import { portsByAddress, portsOf } from '#db/ports.ts'

export const hops = [
  'dhcp discover',
  'dhcp offer',
  'dhcp ack',
  'tftp',
  'script',
  'kernel',
  'ramdisk',
  'lookup',
] as const
export type Hop = (typeof hops)[number]

/** Writes down a hop of the machine with this MAC address or UUID; unknown machines leave no row. */
export async function recordHop(
  db: Db,
  hop: { nowMs: number; hop: Hop; mac?: string; nodeUuid?: string; data?: Record<string, unknown> },
): Promise<void> {
  const node_uuid = hop.nodeUuid ?? (hop.mac ? (await portsByAddress(db, [hop.mac]))[0]?.node_uuid : undefined)
  if (node_uuid === undefined) return
  const data = { hop: hop.hop, ...(hop.mac ? { mac: hop.mac } : {}), ...hop.data }
  await appendEvent(db, { nowMs: hop.nowMs, node_uuid, kind: 'boot hop', data })
}

/**
 * Why a machine that was powered on at `sinceMs` has not been heard of: the first hop that is missing, what was seen
 * before it, and where to look.
 * @param managed whether Ferrite runs DHCP and TFTP itself, and so would have seen them
 */
export async function explainSilence(
  db: Db,
  nodeUuid: string,
  options: { since: string; managed: boolean; dhcpInterface: string | null },
): Promise<string> {
  const macs = (await portsOf(db, nodeUuid)).filter(port => port.pxe_enabled).map(port => port.address)
  if (macs.length === 0) {
    return 'The node has no port with pxe_enabled, so no MAC address is expected to boot from the network: create one'
  }
  const seen = await hopsSince(db, nodeUuid, options.since)
  const has = (hop: Hop) => seen.some(event => event.data.hop === hop)
  const who = `MAC address${macs.length > 1 ? 'es' : ''} ${macs.join(', ')}`
  if (has('lookup'))
    return 'The agent looked its node up, but no heartbeat followed: see the ramdisk log on the console'
  if (has('ramdisk')) {
    return (
      'The machine fetched kernel and ramdisk, but its agent never looked the node up: the kernel did not boot, ' +
      'the ramdisk got no address, or it cannot reach the API; see the console log'
    )
  }
  if (has('kernel'))
    return 'The machine fetched the kernel but not the whole ramdisk: too little memory, or a broken transfer'
  if (has('script')) return 'The machine fetched its boot script but not the kernel: see the HTTP log of the boot files'
  if (has('tftp'))
    return 'The machine got its first loader by TFTP, but the loader never asked for the boot script over HTTP'
  if (has('dhcp ack') || has('dhcp offer')) {
    return `DHCP answered ${who}, but the machine asked for no boot file: its firmware ignored the answer or TFTP is blocked`
  }
  if (has('dhcp discover')) {
    return `A DHCP request of ${who} was seen, but no address was given: the range is used up, or the host is ignored`
  }
  if (!options.managed) {
    return `Nothing was fetched from Ferrite by ${who}; DHCP is not run by Ferrite, so look at the DHCP server's log first`
  }
  return (
    `No DHCP request of ${who} reached interface ${options.dhcpInterface ?? '?'}: the machine does not boot from ` +
    'that network card (boot order, cable, VLAN), or the port has the wrong MAC address'
  )
}

/** When the last hop was seen since a time of the API, in milliseconds since 1970; null when there was none. */
export async function lastHopMs(db: Db, nodeUuid: string, since: string): Promise<number | null> {
  const row = await db
    .selectFrom('events')
    .select('at')
    .where('node_uuid', '=', nodeUuid)
    .where('kind', '=', 'boot hop')
    .where('at', '>=', since)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? Date.parse(row.at) : null
}

async function hopsSince(db: Db, nodeUuid: string, since: string): Promise<Event[]> {
  const rows = await db
    .selectFrom('events')
    .selectAll()
    .where('node_uuid', '=', nodeUuid)
    .where('kind', '=', 'boot hop')
    .where('at', '>=', since)
    .orderBy('id')
    .limit(500)
    .execute()
  return rows.map(row => ({ ...row, id: Number(row.id), data: JSON.parse(row.data) }))
}
