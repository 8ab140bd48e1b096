/**
 * A network boot as a conversation: DHCP, TFTP, scripts, kernel and ramdisk over HTTP, the agent's look-up. Its hops, in
 * their order, and what may go wrong on the way, as they are written down in the log of events.
 */

export const hops = [
  'dhcp discover',
  'dhcp offer',
  'dhcp request',
  'dhcp ack',
  'tftp',
  /** An ISO that firmware, or a BMC, fetched over HTTP. */
  'medium',
  'ipxe',
  'script',
  'kernel',
  'ramdisk',
  'lookup',
] as const
export type Hop = (typeof hops)[number]

/** Something that went wrong in a boot, where it was seen. */
export type Trouble =
  | { what: 'dhcp refused'; mac: string; detail: string | null }
  | { what: 'tftp failed'; file: string; outcome: 'not found' | 'failed' }
  | { what: 'http failed'; path: string; status: number; bytes: number; sizeBytes: number | null }
  | { what: 'lookup refused'; reason: string }
  | { what: 'heartbeat refused'; reason: string }
  /** The BMC took a boot device, and then told another one; null: none. */
  | { what: 'boot device lost'; found: string | null }
  /** The machine asked for a TLS connection to the API and ended it before it asked anything. */
  | { what: 'api distrusted'; reason: string }

/** A machine that no port knows. */
export interface Stranger {
  /** What it asked for. */
  asked: 'dhcp' | 'lookup'
  macs: readonly string[]
  at: string
}

/** What serves boots and did not, for a while. */
export interface Outage {
  at: string
  part: 'dnsmasq'
  state: 'down' | 'up'
  reason: string
}

/** What was seen of a boot. Times are the API's. */
export interface BootRecord {
  /** When the machine was switched on. */
  since: string
  /** MAC addresses of ports that may boot from the network, and of those that may not. */
  macs: readonly string[]
  otherMacs: readonly string[]
  /** Where those that may boot are connected, as inspection (LLDP) or an operator told. */
  switchPorts: readonly { mac: string; switchName: string; portName: string }[]
  hops: readonly { hop: Hop; at: string; data: Readonly<Record<string, unknown>> }[]
  troubles: readonly (Trouble & { at: string })[]
  strangers: readonly Stranger[]
  /** DHCP requests of ports that may not boot from the network. */
  askedInVain: readonly { mac: string; at: string }[]
  /** The last one, where it was not over when the machine was switched on. */
  outage: Outage | null
  /** What the ramdisk said last, where it could say something; no more than a few lines. */
  lastWords: readonly string[]
}
