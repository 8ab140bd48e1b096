/**
 * Why a machine that was switched on has not been heard of: a network boot is a row of hops, and the first one that is
 * missing, with what went wrong beside it, is the diagnosis.
 */
import type { Db } from '#db/database.ts'
import { bootRecord } from '#db/sightings.ts'
import type { BootRecord, Hop } from '#protocol/boot.ts'

/** What the BMC says now; null: it does not tell, or could not be asked. */
export interface BmcView {
  power: string | null
  /** Of its NICs; empty: it does not tell. */
  macs: readonly string[]
  bootDevice: string | null
}

export interface BootSetting {
  /** Whether Ferrite runs DHCP and TFTP itself, and so would have seen them. */
  managed: boolean
  dhcpInterface: string | null
  bmc?: BmcView
}

export interface Diagnosis {
  /** A name for the cause that programs can count on. */
  cause: string
  /** What is wrong, in a sentence. */
  summary: string
  /** What was seen that says so, the most telling first. */
  evidence: string[]
  /** What to do, the most promising first. */
  actions: string[]
}

/** The first missing hop of a boot whose agent sent no heartbeat. */
export function diagnoseBoot(record: BootRecord, setting: BootSetting): Diagnosis {
  const { hops, since } = record
  const reached = (hop: Hop) => hops.findLast(seen => seen.hop === hop)
  const evidence = hops.length > 0 ? [told(record)] : []
  const diagnosis =
    beforeAnything(record, setting) ??
    refused(record, 'heartbeat refused') ??
    (reached('lookup') && silentAgent) ??
    refused(record, 'lookup refused') ??
    (reached('ramdisk') && silentRamdisk(record)) ??
    (reached('kernel') && unfetched(record, 'ramdisk')) ??
    (reached('script') && unfetched(record, 'kernel')) ??
    (reached('ipxe') && unfetched(record, 'script')) ??
    (reached('tftp') && silentLoader(record)) ??
    tftpFailed(record) ??
    ((reached('dhcp ack') || reached('dhcp request') || reached('dhcp offer')) && noBootFile(record)) ??
    dhcpRefused(record) ??
    (reached('dhcp discover') && unanswered(record)) ??
    nothingSeen(record, setting)
  return { ...diagnosis, evidence: [...diagnosis.evidence, ...evidence, `switched on at ${clockTime(since)}`] }
}

/** As a text, for errors: the sentence, then the first thing to do. */
export function inWords({ summary, actions: [first] }: Diagnosis): string {
  return first === undefined ? summary : `${summary}: ${first}`
}

function beforeAnything({ macs, otherMacs, hops }: BootRecord, { bmc }: BootSetting): Diagnosis | undefined {
  if (macs.length === 0) {
    const others = otherMacs.length > 0 ? [`its ports ${otherMacs.join(', ')} are not allowed to`] : []
    return {
      cause: 'no-boot-port',
      summary: 'The node has no port with pxe_enabled, so no MAC address is expected to boot from the network',
      evidence: others,
      actions: ['create a port with the MAC address of the NIC that boots, or set pxe_enabled on one'],
    }
  }
  if (bmc?.power === 'power off' && hops.length === 0) {
    return {
      cause: 'power-off',
      summary: 'The BMC accepted the power-on, but says that the machine is off',
      evidence: ['the BMC reports "power off"'],
      actions: ["look at the BMC's event log (power supply, interlock), then ask for the power again"],
    }
  }
  return undefined
}

const silentAgent: Diagnosis = {
  cause: 'no-heartbeat',
  summary: 'The agent looked its node up, but no heartbeat followed',
  evidence: [],
  actions: ['read the ramdisk log: the agent failed after its look-up, or its clock or certificate is refused'],
}

function refused({ troubles }: BootRecord, what: 'lookup refused' | 'heartbeat refused'): Diagnosis | undefined {
  const last = troubles.findLast(trouble => trouble.what === what)
  if (last?.what !== what) return undefined
  const isLookup = what === 'lookup refused'
  return {
    cause: isLookup ? 'lookup-refused' : 'heartbeat-refused',
    summary: isLookup ? "The agent's look-up was refused" : 'Heartbeats of the agent are refused',
    evidence: [`at ${clockTime(last.at)}: ${last.reason}`],
    actions: [
      isLookup
        ? 'see that the node waits for a ramdisk, or set [api] restrict_lookup as it is meant to be'
        : 'reboot the ramdisk, so that it looks its node up anew; an agent of an earlier boot may still run',
    ],
  }
}

function silentRamdisk({ strangers, macs }: BootRecord): Diagnosis {
  const stranger = strangers.findLast(one => one.asked === 'lookup')
  if (stranger) {
    return {
      cause: 'unknown-mac-looked-up',
      summary: `An agent with the MAC addresses ${stranger.macs.join(', ')}, which no port has, looked for its node`,
      evidence: [`at ${clockTime(stranger.at)}; the node's ports have ${macs.join(', ')}`],
      actions: ['correct the address of the port, if that agent runs on this machine'],
    }
  }
  return {
    cause: 'ramdisk-silent',
    summary: 'The machine fetched kernel and ramdisk, but its agent never looked the node up',
    evidence: [],
    actions: [
      'see the console log: the kernel did not boot, the ramdisk got no address, or it cannot reach the API at ipa-api-url',
    ],
  }
}

/** The hop before was reached and this file, which comes over HTTP, was not. */
function unfetched({ troubles }: Pick<BootRecord, 'troubles'>, file: 'script' | 'kernel' | 'ramdisk'): Diagnosis {
  const failed = troubles.findLast(trouble => trouble.what === 'http failed')
  const name = file === 'script' ? "the node's boot script" : `the ${file}`
  if (failed?.what !== 'http failed') {
    return {
      cause: `no-${file}`,
      summary: {
        script: 'The machine runs its boot loader, which never asked for the boot script of the node',
        kernel: 'The machine fetched its boot script but not the kernel',
        ramdisk: 'The machine fetched the kernel but not the whole ramdisk',
      }[file],
      evidence: [],
      actions: [
        {
          script: 'see whether the loader has the address that the port has, and reaches [deploy] http_url',
          kernel: 'see the HTTP log of the boot files, and whether [deploy] http_url is reached from the machine',
          ramdisk: 'too little memory, or a broken transfer: see the console, and how large the ramdisk is',
        }[file],
      ],
    }
  }
  const { status, path, bytes, sizeBytes, at } = failed
  const broken = status === 200 || status === 206
  return {
    cause: broken ? `${file}-transfer-broken` : `${file}-not-served`,
    summary: broken
      ? `The transfer of ${name} broke off after ${bytes} of ${sizeBytes ?? 'unknown'} bytes`
      : `The machine asked for ${name} and got HTTP ${status}`,
    evidence: [`at ${clockTime(at)}: ${path}, HTTP ${status}, ${bytes} bytes`],
    actions: [
      broken
        ? 'look for a broken link, or too little memory in the machine; what it fetches is begun again at its next boot'
        : 'see that the file is there and readable for the server; a node that is deployed again gets its files anew',
    ],
  }
}

function silentLoader({ troubles }: BootRecord): Diagnosis {
  const failed = troubles.findLast(trouble => trouble.what === 'http failed')
  if (failed) return unfetched({ troubles }, 'script')
  return {
    cause: 'loader-silent',
    summary: 'The machine got its first loader by TFTP, but the loader never asked for the boot script over HTTP',
    evidence: [],
    actions: ['see the console: a loader of the wrong architecture, secure boot, or no way to [deploy] http_url'],
  }
}

function tftpFailed({ troubles }: BootRecord): Diagnosis | undefined {
  const failed = troubles.findLast(trouble => trouble.what === 'tftp failed')
  if (failed?.what !== 'tftp failed') return undefined
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

function noBootFile({ macs }: BootRecord): Diagnosis {
  return {
    cause: 'no-boot-file-asked',
    summary: `DHCP answered ${whoOf(macs)}, but the machine asked for no boot file`,
    evidence: [],
    actions: ['its firmware ignored the answer, another DHCP server was quicker, or TFTP is blocked: see the console'],
  }
}

function dhcpRefused({ troubles, macs }: BootRecord): Diagnosis | undefined {
  const last = troubles.findLast(trouble => trouble.what === 'dhcp refused')
  if (last?.what !== 'dhcp refused') return undefined
  return {
    cause: 'dhcp-refused',
    summary: `A DHCP request of ${whoOf(macs)} was refused`,
    evidence: [`at ${clockTime(last.at)}, for ${last.mac}: ${last.detail ?? 'no reason given'}`],
    actions: ['the range is used up, or the host is ignored or was given another address: see [ferrite] dhcp_range'],
  }
}

function unanswered({ macs }: BootRecord): Diagnosis {
  return {
    cause: 'dhcp-unanswered',
    summary: `A DHCP request of ${whoOf(macs)} was seen, but no address was given`,
    evidence: [],
    actions: ['the range is used up, or the host is ignored: see [ferrite] dhcp_range'],
  }
}

function nothingSeen(record: BootRecord, { managed, dhcpInterface, bmc }: BootSetting): Diagnosis {
  const { macs, otherMacs, strangers } = record
  const who = whoOf(macs)
  const nothing = managed
    ? `No DHCP request of ${who} reached interface ${dhcpInterface ?? '?'}`
    : `Nothing was fetched from Ferrite by ${who}`
  const real = bmc?.macs ?? []
  const asked = strangers.filter(one => one.asked === 'dhcp')
  const own = asked.find(one => one.macs.some(mac => real.includes(mac)))
  const foreign = macs.filter(mac => real.length > 0 && !real.includes(mac))
  if (own || (foreign.length === macs.length && real.length > 0)) {
    const seen = own ? [`at ${clockTime(own.at)} ${own.macs.join(', ')} asked for an address`] : []
    return {
      cause: 'wrong-port-address',
      summary: `${nothing}: the machine has no such NIC, its BMC names ${real.join(', ')}`,
      evidence: seen,
      actions: ['the port has the wrong MAC address, or driver_info names the BMC of another machine: correct it'],
    }
  }
  const [last] = asked.slice(-1)
  if (last) {
    const disabled = last.macs.some(mac => otherMacs.includes(mac))
    return {
      cause: disabled ? 'port-not-enabled' : 'unknown-mac-asked',
      summary: disabled
        ? `The machine asked for an address on ${last.macs.join(', ')}, whose port has pxe_enabled false`
        : `A machine asked for an address on MAC address ${last.macs.join(', ')}, which no port has, and none on ${who}`,
      evidence: asked.slice(-5).map(one => `at ${clockTime(one.at)}: DHCP request of ${one.macs.join(', ')}`),
      actions: [
        disabled
          ? 'set pxe_enabled on that port, or change the boot order'
          : "correct the port's address, if that is this machine",
      ],
    }
  }
  if (!managed) {
    return {
      cause: 'nothing-fetched',
      summary: nothing,
      evidence: ['DHCP is not run by Ferrite, so its part of the boot is not seen here'],
      actions: [`DHCP is not run by Ferrite, so look at the DHCP server's log first`],
    }
  }
  const device = bmc?.bootDevice
  const elsewhere = device && device !== 'pxe' && device !== 'uefihttp'
  return {
    cause: elsewhere ? 'wrong-boot-device' : 'no-dhcp',
    summary: nothing,
    evidence: elsewhere ? [`the BMC says that the machine boots from "${device}"`] : [],
    actions: [
      elsewhere
        ? 'the BMC did not keep the boot device: set it, and see whether the firmware obeys it'
        : 'the machine does not boot from that network card (boot order, cable, VLAN), or the port has the wrong MAC address',
    ],
  }
}

function whoOf(macs: readonly string[]): string {
  return `MAC address${macs.length > 1 ? 'es' : ''} ${macs.join(', ')}`
}

/** The hops in their order, each with the time when it was seen last. */
function told({ hops }: BootRecord): string {
  const last = new Map(hops.map(({ hop, at }) => [hop, at]))
  return `seen: ${[...last].map(([hop, at]) => `${hop} ${clockTime(at)}`).join(', ')}`
}

/** `12:34:56` of a time of the API, which is UTC. */
function clockTime(at: string): string {
  return at.slice(11, 19)
}

/** The diagnosis of a boot that began at `since`, in words. */
export async function explainSilence(
  db: Db,
  nodeUuid: string,
  { since, ...setting }: BootSetting & { since: string },
): Promise<string> {
  return inWords(diagnoseBoot(await bootRecord(db, nodeUuid, since), setting))
}
