/**
 * The configuration of the dnsmasq that Ferrite runs: DHCP and TFTP on one interface and nothing else, no DNS. Pure.
 *
 * Which loader a machine gets follows from what it says of itself: its architecture (option 93) and whether it is iPXE
 * already (option 175), and from the boot interface of its node.
 * Source: dnsmasq(8); RFC 4578 and IANA "Processor Architecture Types"; ipxe.org, "Chainloading iPXE", DHCP options.
 */
import { isIPv6 } from 'node:net'
import type { Config } from '#config/options.ts'
import { bootFile, type FirmwareKind, firmwareKinds, waysOfTheirOwn } from './boot-files.ts'

export interface DnsmasqPaths {
  config: string
  pid: string
  leases: string
  /** Known machines, read again at SIGHUP. */
  hosts: string
}

export function dnsmasqConfig(config: Config, paths: DnsmasqPaths): string {
  const { ferrite, pxe } = config
  const serving = servingOf(ferrite.dhcp_range ?? '')
  const lines = [
    '# Written by Ferrite at each start; changes are lost.',
    // No DNS at all.
    'port=0',
    'no-resolv',
    'no-hosts',
    // This interface alone, also when it comes and goes; other DHCP servers of the host are left in peace.
    `interface=${ferrite.dhcp_interface}`,
    'except-interface=lo',
    'bind-dynamic',
    // Files of the state directory are the service's own, and so must the reader be.
    'user=root',
    'group=root',
    'log-facility=-',
    'log-dhcp',
    '',
    `dhcp-range=${ferrite.dhcp_range}`,
    'dhcp-authoritative',
    // The range is ours alone: asking whether an address is taken would cost each machine three seconds.
    'no-ping',
    `dhcp-leasefile=${paths.leases}`,
    `dhcp-hostsfile=${paths.hosts}`,
    ...(ferrite.dhcp_ignore_unknown ? ['dhcp-ignore=tag:!known'] : []),
    ...(serving === 'IPv6' ? networkOptions6(config) : networkOptions(config)),
    // Some firmware takes the space of file name and server name for options, which BIOS loaders do not find there.
    'dhcp-no-override',
    '',
    'enable-tftp',
    `tftp-root=${pxe.tftp_root}`,
    '',
    ...(serving === 'IPv6' ? matches6 : matches),
    ...(serving === 'proxy' ? ['dhcp-pxe-vendor=PXEClient,HTTPClient'] : []),
    // Else iPXE waits for a proxy DHCP server that is not there.
    ...(serving === 'IPv4' ? ['dhcp-option-force=tag:ipxe,encap:175,176,1b'] : []),
    ...bootRules(config).flatMap(rule => linesOf[serving](rule, config)),
  ]
  return `${lines.join('\n')}\n`
}

/** What dnsmasq is to machines: the server of one family, or one beside another that hands out addresses. */
type Serving = 'IPv4' | 'IPv6' | 'proxy'

export function servingOf(range: string): Serving {
  if (/,proxy\b/.test(range)) return 'proxy'
  return isIPv6(range.split(',', 1)[0] ?? '') ? 'IPv6' : 'IPv4'
}

// Without a value dnsmasq announces itself, as router and name server, which it is not.
const networkOptions = ({ ferrite }: Config): string[] => [
  `dhcp-option=option:router${ferrite.dhcp_gateway === null ? '' : `,${ferrite.dhcp_gateway}`}`,
  `dhcp-option=option:dns-server${ferrite.dhcp_dns_servers.map(server => `,${server}`).join('')}`,
]

/** Without router advertisements no machine asks for an address; they say that addresses come from here. */
const networkOptions6 = ({ ferrite }: Config): string[] => [
  'enable-ra',
  ...(ferrite.dhcp_dns_servers.length === 0
    ? []
    : [`dhcp-option=option6:dns-server,${ferrite.dhcp_dns_servers.map(server => `[${server}]`).join(',')}`]),
]

const matches: readonly string[] = [
  'dhcp-match=set:ipxe,175',
  ...firmwareKinds.flatMap(({ tag, numbers }) =>
    tag === null ? [] : numbers.map(number => `dhcp-match=set:${tag},option:client-arch,${number}`),
  ),
]

/** The architecture is two bytes of option 61; iPXE names itself in its user class. */
const matches6: readonly string[] = [
  'dhcp-userclass=set:ipxe,iPXE',
  ...firmwareKinds.flatMap(({ tag, numbers }) => {
    const bytes = (number: number) => `00:${number.toString(16).padStart(2, '0')}`
    return tag === null ? [] : numbers.map(number => `dhcp-match=set:${tag},option6:61,${bytes(number)}`)
  }),
]

interface BootRule {
  /** Whom it is for, each with a comma behind. */
  tags: string
  /** iPXE is told its script, firmware its loader. */
  kind: FirmwareKind | 'ipxe'
  /** A file or a URL. */
  file: string
}

/** What each kind of machine is to load: by the boot interface of its node, by its firmware, and whether it is iPXE. */
function bootRules(config: Config): BootRule[] {
  const all = firmwareKinds.flatMap(({ tag }) => tag ?? [])
  return (['ipxe', ...waysOfTheirOwn] as const).flatMap(way => {
    const ofWay =
      way === 'ipxe' ? waysOfTheirOwn.map(other => `tag:!${wayTag(other)},`).join('') : `tag:${wayTag(way)},`
    // iPXE of the card's own is firmware like another where GRUB or pxelinux are wanted.
    const knowsScripts = way === 'ipxe' || way === 'http-ipxe'
    const script = { tags: `${ofWay}tag:ipxe,`, kind: 'ipxe' as const, file: `${config.deploy.http_url}/boot.ipxe` }
    const loaders = firmwareKinds.flatMap((kind): BootRule[] => {
      const file = bootFile(config, way, kind)
      const ofKind = kind.tag === null ? all.map(tag => `tag:!${tag},`).join('') : `tag:${kind.tag},`
      return file === null ? [] : [{ tags: `${ofWay}${knowsScripts ? 'tag:!ipxe,' : ''}${ofKind}`, kind, file }]
    })
    return knowsScripts ? [script, ...loaders] : loaders
  })
}

/** Firmware takes no answer for one about HTTP that does not say so. */
const linesOf: Readonly<Record<Serving, (rule: BootRule, config: Config) => string[]>> = {
  IPv4: ({ tags, kind, file }) => [
    `dhcp-boot=${tags}${file}`,
    ...(kind !== 'ipxe' && kind.overHttp ? [`dhcp-option-force=${tags}60,HTTPClient`] : []),
  ],
  IPv6({ tags, kind, file }, { pxe }) {
    const server = isIPv6(pxe.tftp_server) ? `[${pxe.tftp_server}]` : pxe.tftp_server
    const isUrl = kind === 'ipxe' || kind.overHttp
    // Firmware that boots over HTTP waits for a vendor class as well, which dnsmasq cannot say in IPv6.
    return [`dhcp-option=${tags}option6:bootfile-url,${isUrl ? file : `tftp://${server}/${file}`}`]
  },
  proxy: ({ tags, kind, file }) => [
    `dhcp-boot=${tags}${file}`,
    // Of firmware with UEFI dnsmasq expects that it comes back to a second port for this.
    ...(kind === 'ipxe' || kind.overHttp
      ? []
      : kind.numbers.map(number => `pxe-service=${tags}${number},"Ferrite",${file}`)),
    ...(kind !== 'ipxe' && kind.overHttp ? [`dhcp-option-force=${tags}60,HTTPClient`] : []),
  ],
}

const wayTag = (way: string) => `boot-${way}`

/** A machine that may be answered. */
export interface KnownMachine {
  mac: string
  /** The boot interface of its node; null when that is not known. */
  way: string | null
}

const tagWord = 'set:'

/**
 * Whether dnsmasq may read the file again, once it has this text. Where a host sets a tag, it frees then what it does not
 * own, and crashes: all that it linked to the host's tags in a DHCP exchange (seen with 2.86 and 2.90).
 */
export const mayBeReread = (hosts: string): boolean => !hosts.includes(tagWord)

/** The file of known machines. */
export function dnsmasqHosts(machines: Iterable<KnownMachine>): string {
  return [...machines]
    .map(({ mac, way }) => {
      const own = waysOfTheirOwn.find(each => each === way)
      return `${mac.toLowerCase()}${own === undefined ? '' : `,${tagWord}${wayTag(own)}`}\n`
    })
    .join('')
}
