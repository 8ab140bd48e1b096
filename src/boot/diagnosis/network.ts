/** Addresses and the first loader: DHCP and TFTP, where Ferrite runs them. */
import type { BootRecord } from '#protocol/boot.ts'
import type { BootSetting } from '../diagnosis.ts'
import { clockTime, type Diagnosis, isFirmware, lastTrouble, reached, whoOf } from './words.ts'

export function ofNetwork(record: BootRecord, setting: BootSetting): Diagnosis | undefined {
  return (
    tftpFailed(record) ??
    serverDown(record, setting) ??
    foreignServer(record) ??
    otherSystem(record) ??
    (reached(record, 'dhcp ack') ? noBootFile(record) : undefined) ??
    refused(record) ??
    (reached(record, 'dhcp offer', 'dhcp request') ? offerLost(record) : undefined) ??
    (reached(record, 'dhcp discover') ? unanswered(record) : undefined)
  )
}

function tftpFailed(record: BootRecord): Diagnosis | undefined {
  const failed = lastTrouble(record, 'tftp failed')
  if (!failed) return undefined
  const missing = failed.outcome === 'not found'
  return {
    cause: missing ? 'tftp-file-missing' : 'tftp-broken',
    summary: missing
      ? `The machine asked TFTP for ${failed.file}, which is not there`
      : `The TFTP transfer of ${failed.file} failed`,
    evidence: [`at ${clockTime(failed.at)}: ${failed.file} ${failed.outcome}`],
    actions: [
      missing
        ? 'put the loader into [pxe] tftp_root (loader_file_paths does it at start), or correct the boot file name of its firmware kind'
        : 'look for a firewall that blocks the high ports of TFTP, or a link with too small an MTU',
    ],
  }
}

/** What was seen of a boot before says nothing of why it does not go on. */
function serverDown({ outage, hops }: BootRecord, { managed }: BootSetting): Diagnosis | undefined {
  if (!managed || !outage) return undefined
  // It served again, and this machine, too.
  if (hops.some(({ hop, at }) => hop === 'dhcp ack' && at > outage.at)) return undefined
  return {
    cause: 'dhcp-server-down',
    summary: 'dnsmasq, which Ferrite runs for DHCP and TFTP, did not serve while the machine booted',
    evidence: [`at ${clockTime(outage.at)}: ${outage.reason}`],
    actions: [
      'see the service log for what dnsmasq said: its configuration, or another DHCP server on this host; it is started again by itself',
    ],
  }
}

/** The machine, its loader or its ramdisk asks us to confirm somebody else's offer, and took none of ours afterwards. */
export function foreignServer({ troubles, hops, macs }: BootRecord): Diagnosis | undefined {
  const last = troubles.findLast(
    trouble => trouble.what === 'dhcp refused' && /wrong server/i.test(trouble.detail ?? ''),
  )
  const taken = hops.findLast(({ hop }) => hop === 'dhcp ack')
  if (!last || (taken && taken.at > last.at)) return undefined
  return {
    cause: 'foreign-dhcp-server',
    summary: `Another DHCP server answers on this network, and ${whoOf(macs)} took its address`,
    evidence: [`at ${clockTime(last.at)} it asked for an address that this service had not offered (wrong server-ID)`],
    actions: [
      'find the other DHCP server and keep it off this network, or let it ignore these machines',
      'or run without DHCP of our own: [ferrite] manage_dnsmasq false, and give the other server the boot options',
    ],
  }
}

/** Nobody but an operating system asks for an address without saying that it is firmware. */
function otherSystem({ hops }: BootRecord): Diagnosis | undefined {
  const asked = hops.filter(({ hop }) => hop === 'dhcp request' || hop === 'dhcp discover')
  const last = asked.findLast(({ data }) => typeof data.client === 'string' && !isFirmware(data.client))
  if (!last || asked.some(({ data }) => isFirmware(data.client))) return undefined
  return {
    cause: 'wrong-boot-device',
    summary: 'The machine booted an operating system from its disk, which asked for an address',
    evidence: [`at ${clockTime(last.at)} a DHCP client asked that calls itself "${last.data.client}"`],
    actions: ['the firmware did not obey the boot device: see its boot mode and boot order'],
  }
}

function noBootFile({ macs }: BootRecord): Diagnosis {
  return {
    cause: 'no-boot-file-asked',
    summary: `DHCP answered ${whoOf(macs)}, but the machine asked for no boot file`,
    evidence: [],
    actions: ['its firmware ignored the answer, another DHCP server was quicker, or TFTP is blocked: see the console'],
  }
}

function refused(record: BootRecord): Diagnosis | undefined {
  const last = lastTrouble(record, 'dhcp refused')
  if (!last) return undefined
  return {
    cause: 'dhcp-refused',
    summary: `A DHCP request of ${whoOf(record.macs)} was refused`,
    evidence: [`at ${clockTime(last.at)}, for ${last.mac}: ${last.detail ?? 'no reason given'}`],
    actions: ['the range is used up, or the host is ignored or was given another address: see [ferrite] dhcp_range'],
  }
}

function offerLost({ macs }: BootRecord): Diagnosis {
  return {
    cause: 'dhcp-offer-lost',
    summary: `DHCP offered ${whoOf(macs)} an address, which the machine never took`,
    evidence: [],
    actions: [
      'the answers do not reach the machine (VLAN, spanning tree, a cable that carries one way), or another DHCP server was quicker',
    ],
  }
}

function unanswered({ macs, hops }: BootRecord): Diagnosis {
  const last = hops.findLast(({ hop }) => hop === 'dhcp discover')
  const detail = typeof last?.data.detail === 'string' ? `: ${last.data.detail}` : ''
  return {
    cause: 'dhcp-unanswered',
    summary: `A DHCP request of ${whoOf(macs)} was seen, but no address was given`,
    evidence: last ? [`at ${clockTime(last.at)}${detail}`] : [],
    actions: ['the range is used up, or the host is ignored: see [ferrite] dhcp_range'],
  }
}
