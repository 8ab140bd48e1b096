/**
 * What a transfer or a DHCP message says of a machine's boot: which hop it is, and whose; or what went wrong. Pure. It does
 * not judge: what a missing hop means is the business of the diagnosis.
 */
import type { Transfer } from '#images/file-server.ts'
import type { Hop, Trouble } from '#protocol/boot.ts'
import type { DnsmasqEvent } from './dnsmasq-log.ts'

/** Whose boot it is, and the hop that it came to, or what went wrong. */
export type Seen = { mac?: string; nodeUuid?: string } & (
  | { hop: Hop; data: Record<string, unknown> }
  | { trouble: Trouble }
)

const ofNode = /^\/([0-9a-f]{8}-[0-9a-f-]{27})\/(\w+)$/
const mediumOfNode = /^\/([0-9a-f]{8}-[0-9a-f-]{27})\/vmedia\/\w+\/boot\.iso$/
/** Configurations by MAC address: of iPXE and pxelinux, and the two of GRUB. */
const ofMac = /^\/(?:[\w.-]+\/(?:[0-9a-f]{2}-)?|grub\.cfg-01-)?((?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2})(?:\.conf)?$/
/** Scripts that every machine begins with. */
const entries = ['/boot.ipxe', '/grub/grub.cfg']
const loaderFile = /^\/[\w.-]+\.efi$/
const hopOfFile: Readonly<Record<string, Hop>> = {
  config: 'script',
  deploy_kernel: 'kernel',
  deploy_ramdisk: 'ramdisk',
  rescue_kernel: 'kernel',
  rescue_ramdisk: 'ramdisk',
  kernel: 'kernel',
  ramdisk: 'ramdisk',
}

/** Which hop the fetching of a file is, and whose; undefined for what is no part of a boot, or one that boots do without. */
function hopOf(path: string, asker?: string): (({ mac: string } | { nodeUuid: string }) & { hop: Hop }) | undefined {
  const [, nodeUuid, file = ''] = ofNode.exec(path) ?? []
  if (nodeUuid) {
    const hop = hopOfFile[file]
    return hop && { nodeUuid, hop }
  }
  const [, ofMedium] = mediumOfNode.exec(path) ?? []
  if (ofMedium) return { nodeUuid: ofMedium, hop: 'medium' }
  const mac = ofMac.exec(path)?.[1]?.replaceAll('-', ':')
  if (mac) return { mac, hop: 'script' }
  if (asker === undefined) return undefined
  if (entries.includes(path)) return { mac: asker, hop: 'ipxe' }
  // The first loader, where firmware fetches it by HTTP.
  return loaderFile.test(path) ? { mac: asker, hop: 'tftp' } : undefined
}

/** What a machine fetched, or failed to fetch; undefined for what is no part of a boot. */
export function seenInTransfer(
  { path, status, bytes, sizeBytes, seconds, complete }: Transfer,
  asker?: string,
): Seen | undefined {
  const of = hopOf(path, asker)
  if (!of) return undefined
  if (status === 200 && complete) return { ...of, data: { path, bytes, seconds } }
  // BMCs read the parts of an ISO that their machine asks for.
  if (of.hop === 'medium' && status < 400) return undefined
  if (isOptional(path.slice(1))) return undefined
  const { hop: _, ...who } = of
  return { ...who, trouble: { what: 'http failed', path, status, bytes, sizeBytes } }
}

/** The same of DHCP and TFTP. @param tftpRoot the directory, absolute: dnsmasq names files with it */
export function seenInEvent(event: DnsmasqEvent, tftpRoot: string): Seen | undefined {
  const { kind, mac } = event
  if (mac === null) return undefined
  if (kind === 'tftp') {
    const { outcome } = event
    const file = event.file.startsWith(`${tftpRoot}/`) ? event.file.slice(tftpRoot.length + 1) : event.file
    if (outcome === 'sent') return { hop: hopOf(`/${file}`, mac)?.hop ?? 'tftp', mac, data: { file: event.file } }
    return isOptional(file) ? undefined : { mac, trouble: { what: 'tftp failed', file: event.file, outcome } }
  }
  const { message, ip, detail } = event
  const isRefused = message === 'nak' || message === 'decline' || detail === noAddress
  if (isRefused) return { mac, trouble: { what: 'dhcp refused', mac, detail: detail ?? message } }
  if (message === 'discover' || message === 'offer' || message === 'request' || message === 'ack') {
    return { hop: `dhcp ${message}`, mac, data: { ip, detail, client: event.vendorClass } }
  }
  return undefined
}

/**
 * Loaders ask for much that need not be there: pxelinux for configurations by UUID and address, and its libraries in other
 * folders, GRUB for lists of its modules and fonts, shim for further certificates and revocations.
 */
function isOptional(file: string): boolean {
  const isLoaders =
    /^(pxelinux\.cfg|grub|boot)\//.test(file) && !ofMac.test(`/${file}`) && !entries.includes(`/${file}`)
  return isLoaders || /\/[^/]+\.c32$|\.bss$|(^|\/)(revocations\w*|shim_certificate\w*)\.efi$/.test(file)
}

/** What dnsmasq says when its range is used up. */
const noAddress = 'no address available'
