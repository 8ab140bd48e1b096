/**
 * Which program firmware is to load first: by the node's boot interface, the architecture and the boot mode. Pure.
 *
 * Source: boot facts, "Files" and "DHCP providers" (ironic/drivers/modules/deploy_utils.py, ironic/common/pxe_utils.py
 * restated); IANA "Processor Architecture Types" (RFC 5970).
 */
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { BootMode } from '#protocol/states.ts'

/** Boot interfaces whose machines are told something else than those of `ipxe`, which is also for strangers. */
export const waysOfTheirOwn = ['pxe', 'http', 'http-ipxe'] as const
export type WayName = 'ipxe' | (typeof waysOfTheirOwn)[number]

/** What firmware says of itself when it asks for an address. */
export interface FirmwareKind {
  /** The tag that dnsmasq gives such a machine; null for what is none of the others. */
  tag: string | null
  /** Numbers of option 93. */
  numbers: readonly number[]
  arch: string
  mode: BootMode
  /** It fetches a URL rather than a file by TFTP. */
  overHttp: boolean
}

export const firmwareKinds: readonly FirmwareKind[] = [
  { tag: 'uefi', numbers: [7, 9], arch: 'x86_64', mode: 'uefi', overHttp: false },
  { tag: 'uefi-http', numbers: [16], arch: 'x86_64', mode: 'uefi', overHttp: true },
  { tag: 'aarch64', numbers: [11], arch: 'aarch64', mode: 'uefi', overHttp: false },
  { tag: 'aarch64-http', numbers: [19], arch: 'aarch64', mode: 'uefi', overHttp: true },
  { tag: 'riscv64', numbers: [27], arch: 'riscv64', mode: 'uefi', overHttp: false },
  { tag: 'riscv64-http', numbers: [28], arch: 'riscv64', mode: 'uefi', overHttp: true },
  { tag: 'i386-uefi', numbers: [6], arch: 'i386', mode: 'uefi', overHttp: false },
  { tag: null, numbers: [0], arch: 'x86_64', mode: 'bios', overHttp: false },
]

/**
 * The program by its name below the root. null: none is configured for that architecture.
 * Those of x86_64 are for machines, too, that nobody says the architecture of.
 */
export function loaderName({ pxe }: Config, way: WayName, kind: { arch: string; mode: BootMode }): string | null {
  const isIpxe = way === 'ipxe' || way === 'http-ipxe'
  const byArch = isIpxe ? pxe.ipxe_bootfile_name_by_arch : pxe.pxe_bootfile_name_by_arch
  const named = byArch[`${kind.arch}-${kind.mode}`] ?? byArch[kind.arch]
  if (named !== undefined) return named
  if (kind.arch !== 'x86_64') return null
  if (isIpxe) return kind.mode === 'uefi' ? pxe.uefi_ipxe_bootfile_name : pxe.ipxe_bootfile_name
  return kind.mode === 'uefi' ? pxe.uefi_pxe_bootfile_name : pxe.pxe_bootfile_name
}

/** What such a firmware is told to load, a file or a URL; null: nothing, and it goes on with its next boot device. */
export function bootFile(config: Config, way: WayName, kind: FirmwareKind): string | null {
  const name = loaderName(config, way, kind)
  // Firmware tries TFTP first as a rule; a node that is to boot without it finds nothing there.
  const fits = kind.overHttp ? way !== 'pxe' : way === 'ipxe' || way === 'pxe'
  if (name === null || !fits) return null
  return kind.overHttp ? `${config.deploy.http_url}/${name}` : name
}

/** DHCP servers and firmware have room for so much. @throws InvalidInput naming it */
export function checkBootFile(value: string): string {
  if (value.length <= 64) return value
  throw new InvalidInput(
    `Cannot tell DHCP to boot ${value}: it has ${value.length} characters; expected at most 64 (see [deploy] http_url)`,
  )
}
