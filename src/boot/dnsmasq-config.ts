/**
 * The configuration of the dnsmasq that Ferrite runs: DHCP and TFTP on one interface and nothing else, no DNS. Pure.
 *
 * Which loader a machine gets follows from what it says of itself: its architecture (option 93) and whether it is iPXE
 * already (option 175).
 * Source: dnsmasq(8); RFC 4578 and IANA "Processor Architecture Types"; ipxe.org, "Chainloading iPXE", DHCP options.
 */
import type { Config } from '#config/options.ts'

export interface DnsmasqPaths {
  config: string
  pid: string
  leases: string
  /** Known machines, read again at SIGHUP. */
  hosts: string
}

export function dnsmasqConfig(config: Config, paths: DnsmasqPaths): string {
  const { ferrite, pxe, deploy } = config
  const script = `${deploy.http_url}/boot.ipxe`
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
    // Without a value dnsmasq announces itself, as router and name server, which it is not.
    `dhcp-option=option:router${ferrite.dhcp_gateway === null ? '' : `,${ferrite.dhcp_gateway}`}`,
    `dhcp-option=option:dns-server${ferrite.dhcp_dns_servers.map(server => `,${server}`).join('')}`,
    // Some firmware takes the space of file name and server name for options, which BIOS loaders do not find there.
    'dhcp-no-override',
    '',
    'enable-tftp',
    `tftp-root=${pxe.tftp_root}`,
    '',
    'dhcp-match=set:ipxe,175',
    'dhcp-match=set:uefi,option:client-arch,7',
    'dhcp-match=set:uefi,option:client-arch,9',
    'dhcp-match=set:uefi-http,option:client-arch,16',
    `dhcp-boot=tag:ipxe,${script}`,
    // Else iPXE waits for a proxy DHCP server that is not there.
    'dhcp-option-force=tag:ipxe,encap:175,176,1b',
    `dhcp-boot=tag:!ipxe,tag:uefi,${pxe.uefi_ipxe_bootfile_name}`,
    'dhcp-option-force=tag:!ipxe,tag:uefi-http,60,HTTPClient',
    `dhcp-boot=tag:!ipxe,tag:uefi-http,${deploy.http_url}/${pxe.uefi_ipxe_bootfile_name}`,
    `dhcp-boot=tag:!ipxe,tag:!uefi,tag:!uefi-http,${pxe.ipxe_bootfile_name}`,
  ]
  return `${lines.join('\n')}\n`
}

/** The file of known machines. */
export function dnsmasqHosts(macs: Iterable<string>): string {
  return [...macs].map(mac => `${mac.toLowerCase()},set:ferrite\n`).join('')
}
