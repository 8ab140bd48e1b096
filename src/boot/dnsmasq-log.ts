/**
 * Reads the log of dnsmasq: DHCP messages and TFTP transfers become events, the rest stays text. Keeps just enough
 * memory to say which machine fetched a file and what kind of firmware asked for an address.
 *
 * Source: dnsmasq 2.90, rfc2131.c (log_packet, log_options) and tftp.c (log messages).
 */

export type DnsmasqEvent =
  | {
      kind: 'dhcp'
      message: DhcpMessage
      interface: string
      mac: string
      ip: string | null
      /** What firmware or program asks, as it calls itself, such as `PXEClient:Arch:00007:UNDI:003016`. */
      vendorClass: string | null
      /** What dnsmasq adds: a host name, or why it does not answer (`ignored`, `no address available`). */
      detail: string | null
    }
  | { kind: 'tftp'; outcome: 'sent' | 'not found' | 'failed'; file: string; ip: string; mac: string | null }

export type DhcpMessage = 'discover' | 'offer' | 'request' | 'ack' | 'nak' | 'decline' | 'release' | 'inform'

/** Addresses and transactions remembered; a lost one costs a name in an event. */
const MEMORY = 4096

export function dnsmasqLogReader(): (line: string) => DnsmasqEvent | undefined {
  const macOfIp = new Map<string, string>()
  const vendorClassOf = new Map<string, string>()

  return line => {
    const [, program, text = ''] = LINE.exec(line) ?? []
    if (program === 'dnsmasq-dhcp') {
      const [, transaction = '', rest = text] = TRANSACTION.exec(text) ?? []
      const vendorClass = VENDOR_CLASS.exec(rest)?.[1]
      if (vendorClass !== undefined) remember(vendorClassOf, transaction, vendorClass)
      const [, message, name = '', tail = ''] = DHCP.exec(rest) ?? []
      if (message === undefined) return undefined
      const ip = IP.exec(tail)?.[0] ?? null
      const mac = MAC.exec(tail)?.[0]?.toLowerCase()
      if (mac === undefined) return undefined
      if (message === 'ACK' && ip !== null) remember(macOfIp, ip, mac)
      const detail = tail.slice(tail.toLowerCase().indexOf(mac) + mac.length).trim()
      return {
        kind: 'dhcp',
        message: message.toLowerCase() as DhcpMessage, // the words of the pattern
        interface: name,
        mac,
        ip,
        vendorClass: vendorClassOf.get(transaction) ?? null,
        detail: detail === '' ? null : detail,
      }
    }
    if (program === 'dnsmasq-tftp') {
      for (const { pattern, outcome } of TFTP) {
        const [, file, ip] = pattern.exec(text) ?? []
        if (file === undefined || ip === undefined) continue
        return { kind: 'tftp', outcome, file, ip, mac: macOfIp.get(ip) ?? null }
      }
    }
    return undefined
  }
}

const LINE = /^(dnsmasq(?:-\w+)?)(?:\[\d+\])?: (.*)$/
const TRANSACTION = /^(\d+) (.*)$/
const VENDOR_CLASS = /^vendor class: (.+)$/
const DHCP = /^DHCP(DISCOVER|OFFER|REQUEST|ACK|NAK|DECLINE|RELEASE|INFORM)\(([^)]*)\) (.*)$/
const IP = /\b\d{1,3}(?:\.\d{1,3}){3}\b/
const MAC = /\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/i
const TFTP = [
  { pattern: /^sent (.+) to (\S+)$/, outcome: 'sent' },
  { pattern: /^file (.+) not found(?: for (\S+))?$/, outcome: 'not found' },
  { pattern: /^failed sending (.+) to (\S+)$/, outcome: 'failed' },
  { pattern: /^cannot access (.+?): .*?(?: for (\S+))?$/, outcome: 'failed' },
] as const

function remember(map: Map<string, string>, key: string, value: string): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.size > MEMORY ? map.keys().next().value : undefined
  if (oldest !== undefined) map.delete(oldest)
}
