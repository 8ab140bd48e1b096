/**
 * Why a machine that was switched on has not been heard of: a network boot is a row of hops, and the first one that is
 * missing, with what went wrong beside it, is the diagnosis. What is seen of a hop, and what may be wrong with it, is told
 * by the files of diagnosis/, from the last hop to the first.
 */
import type { Db } from '#db/database.ts'
import { bootRecord } from '#db/sightings.ts'
import type { FirmwareState } from '#drivers/bmc-interfaces.ts'
import type { BootRecord } from '#protocol/boot.ts'
import { ofAgent } from './diagnosis/agent.ts'
import type { DamagedFile } from './diagnosis/boot-files.ts'
import { ofFiles } from './diagnosis/files.ts'
import { ofFirmware, type Served } from './diagnosis/firmware.ts'
import { ofMedia, ofUrl } from './diagnosis/media.ts'
import { ofNetwork } from './diagnosis/network.ts'
import { nothingSeen } from './diagnosis/nothing.ts'
import { ofRamdisk } from './diagnosis/ramdisk.ts'
import { clockTime, type Diagnosis, toldHops } from './diagnosis/words.ts'

export type { Diagnosis } from './diagnosis/words.ts'

/** What the BMC says now; null: it does not tell, or could not be asked. */
export interface BmcView {
  power: string | null
  /** Of its NICs; empty: it does not tell. */
  macs: readonly string[]
  /** Those of them whose cable is not in, or leads nowhere. */
  macsWithoutLink: readonly string[]
  bootDevice: string | null
  /** Whether a virtual medium is inserted; null: it does not tell. */
  hasMedia: boolean | null
  /** Absent: it sees nothing of that. */
  firmware?: FirmwareState
}

export interface BootSetting {
  /** Whether Ferrite runs DHCP and TFTP itself, and so would have seen them. */
  managed: boolean
  dhcpInterface: string | null
  /** Where the ramdisk comes from; `url`: firmware fetches a medium that the BMC names. */
  bootsFrom: 'network' | 'media' | 'url'
  /** Where the agent is told that the API is. */
  apiUrl: string
  bmc?: BmcView
  /** When it was waited for no longer; absent: the boot is still waited for. */
  until?: string
  /** Of boots from the network. */
  served?: Served
  /** What is published for the node, and cannot be booted. */
  damaged?: readonly DamagedFile[]
}

/** The first missing hop of a boot whose agent sent no heartbeat. */
export function diagnoseBoot(record: BootRecord, setting: BootSetting): Diagnosis {
  const diagnosis =
    beforeAnything(record, setting) ??
    ofAgent(record) ??
    ofRamdisk(record, setting) ??
    (setting.bootsFrom === 'media' ? ofMedia(record, setting) : undefined) ??
    (setting.bootsFrom === 'url' ? ofUrl(record) : undefined) ??
    ofFirmware(record, setting) ??
    ofFiles(record, setting) ??
    ofNetwork(record, setting) ??
    nothingSeen(record, setting)
  const seen = record.hops.length > 0 ? [toldHops(record)] : []
  const more = patience(record, setting)
  const isHasty = record.hops.length === 0 && hasty.includes(diagnosis.cause)
  return {
    ...diagnosis,
    evidence: [...diagnosis.evidence, ...seen, `switched on at ${clockTime(record.since)}`],
    actions: isHasty ? [...more, ...diagnosis.actions] : [...diagnosis.actions, ...more],
  }
}

/** Servers need minutes before their firmware asks for anything. */
const hasty: readonly string[] = ['no-dhcp', 'nothing-fetched', 'media-silent']

/** A machine that is slow looks like one that has stopped. */
const slowS = 120

function patience({ hops, since }: BootRecord, { until }: BootSetting): string[] {
  const last = hops.at(-1)
  if (until === undefined) return []
  const seconds = (from: string) => Math.round((Date.parse(until) - Date.parse(from)) / 1000)
  if (seconds(last?.at ?? since) > slowS) return []
  const sign = last ? `its last sign came ${seconds(last.at)} s before the time was up` : 'many need minutes'
  return [
    `if it is only slow (${sign}): give it more than ${seconds(since)} s, [conductor] deploy_callback_timeout, clean_callback_timeout …`,
  ]
}

/** As a text, for errors: the sentence, then the first thing to do. */
export function inWords({ summary, actions: [first] }: Diagnosis): string {
  return first === undefined ? summary : `${summary}: ${first}`
}

/** The diagnosis of a boot that began at `since`. */
export async function explainSilence(
  db: Db,
  nodeUuid: string,
  { since, ...setting }: BootSetting & { since: string },
): Promise<Diagnosis> {
  return diagnoseBoot(await bootRecord(db, nodeUuid, since), setting)
}

function beforeAnything(record: BootRecord, { bmc, bootsFrom }: BootSetting): Diagnosis | undefined {
  const { macs, otherMacs, hops } = record
  if (macs.length === 0 && bootsFrom === 'network') {
    const others = otherMacs.length > 0 ? [`its ports ${otherMacs.join(', ')} are not allowed to`] : []
    return {
      cause: 'no-boot-port',
      summary: 'The node has no port with pxe_enabled, so no MAC address is expected to boot from the network',
      evidence: others,
      actions: ['create a port with the MAC address of the NIC that boots, or set pxe_enabled on one'],
    }
  }
  if (bmc?.power !== 'power off') return undefined
  const last = hops.at(-1)
  return {
    cause: 'power-off',
    summary: last
      ? `The machine went off by itself: its last sign of life was "${last.hop}"`
      : 'The BMC accepted the power-on, but says that the machine is off',
    evidence: ['the BMC reports "power off"'],
    actions: [
      "look at the BMC's event log (power supply, temperature, interlock), then ask for the power again",
      ...(last ? ['see the console: what the machine ran may have switched it off'] : []),
    ],
  }
}
