/**
 * What firmware says of itself when it asks for an address, and what its BMC says of it, held against what it is served:
 * whether there is a loader for it, and one that it may start.
 */
import type { BootRecord } from '#protocol/boot.ts'
import type { BootMode } from '#protocol/states.ts'
import { type FirmwareKind, firmwareKinds, type WayName } from '../boot-files.ts'
import type { BootSetting } from '../diagnosis.ts'
import { clockTime, type Diagnosis, isFirmware, reached } from './words.ts'

/** What a node's boot interface has for firmware. */
export interface Served {
  way: WayName
  /** The boot mode that the node's boot configuration is for; null: for any, or not known. */
  mode: BootMode | null
  /** What firmware of that kind is told to load; null: nothing. */
  loaderFor(kind: FirmwareKind): string | null
}

export function ofFirmware(record: BootRecord, setting: BootSetting): Diagnosis | undefined {
  return refusedBySecureBoot(record, setting) ?? withoutLoader(record, setting) ?? inAnotherMode(record, setting)
}

/** Source: the loaders' makers; shim and GRUB of distributions are signed, iPXE as it is packaged is not. */
const signedWays: readonly WayName[] = ['pxe', 'http']

function refusedBySecureBoot(record: BootRecord, { served, bmc }: BootSetting): Diagnosis | undefined {
  if (bmc?.firmware?.secureBoot !== true || !served) return undefined
  const isSigned = signedWays.includes(served.way)
  const what = isSigned ? 'the kernel' : 'its first loader, iPXE'
  const came = isSigned ? reached(record, 'kernel') : reached(record, 'tftp') && !reached(record, 'ipxe', 'kernel')
  if (!came || reached(record, 'ramdisk') || (!isSigned && reached(record, 'script'))) return undefined
  return {
    cause: 'secure-boot-refused',
    summary: `The machine fetched ${what}, and went no further: secure boot is on, and starts nothing that is not signed`,
    evidence: ['the BMC says that secure boot is on'],
    actions: [
      isSigned
        ? 'use a kernel that is signed by a key which the machine knows: its distribution, or one in its key database'
        : 'use the boot interface pxe or http, whose shim and GRUB are signed',
      'or switch secure boot off: PUT /v1/nodes/NODE/states/secure_boot',
    ],
  }
}

/** Nothing is told to such firmware, so that it goes on with its next boot device. */
function withoutLoader(record: BootRecord, { served }: BootSetting): Diagnosis | undefined {
  const asked = kindsThatAsked(record)
  const last = asked.at(-1)
  if (!served || !last || reached(record, 'tftp', 'ipxe', 'script')) return undefined
  if (asked.some(({ kind }) => served.loaderFor(kind) !== null)) return undefined
  const { kind, at, client } = last
  return {
    cause: 'no-loader-for-firmware',
    summary: `The machine's firmware is ${shown(kind)}, for which the boot interface ${served.way} has no loader`,
    evidence: [`at ${clockTime(at)} it called itself "${client}"`],
    actions: [remedy(kind, served.way)],
  }
}

function remedy(kind: FirmwareKind, way: WayName): string {
  if (kind.arch !== 'x86_64') {
    const option = way === 'pxe' || way === 'http' ? 'pxe_bootfile_name_by_arch' : 'ipxe_bootfile_name_by_arch'
    return `name a loader for ${kind.arch} in [pxe] ${option}, and put it where [pxe] loader_file_paths says`
  }
  if (kind.mode === 'bios') return 'have the firmware boot in UEFI mode, or use the boot interface ipxe or pxe'
  return kind.overHttp
    ? 'switch PXE on in the firmware, or use the boot interface ipxe or http'
    : 'switch HTTP boot on in the firmware, or use the boot interface ipxe or pxe'
}

/** Its loader looks for a configuration that was written in another language. */
function inAnotherMode(record: BootRecord, { served }: BootSetting): Diagnosis | undefined {
  const last = kindsThatAsked(record).at(-1)
  if (served?.way !== 'pxe' || served.mode === null || !last || last.kind.mode === served.mode) return undefined
  if (reached(record, 'kernel', 'ramdisk')) return undefined
  return {
    cause: 'wrong-boot-mode',
    summary: `The machine's firmware is ${shown(last.kind)}, and the boot configuration of the node is for boot mode ${served.mode}`,
    evidence: [`at ${clockTime(last.at)} it called itself "${last.client}"`],
    actions: [
      `set the boot mode of the firmware to ${served.mode}, or boot_mode:${last.kind.mode} in the node's capabilities`,
    ],
  }
}

function kindsThatAsked({ hops }: BootRecord): { kind: FirmwareKind; at: string; client: string }[] {
  return hops.flatMap(({ hop, at, data: { client } }) => {
    if (!hop.startsWith('dhcp ') || typeof client !== 'string' || !isFirmware(client)) return []
    const number = Number(/:Arch:(\d+)/.exec(client)?.[1] ?? Number.NaN)
    const kind = firmwareKinds.find(({ numbers }) => numbers.includes(number))
    return kind ? [{ kind, at, client }] : []
  })
}

const shown = ({ arch, mode, overHttp }: FirmwareKind) =>
  `${arch}, ${mode === 'uefi' ? 'UEFI' : 'BIOS'}${overHttp ? ', over HTTP' : ''}`
