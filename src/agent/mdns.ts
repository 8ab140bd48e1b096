/**
 * Finds the API on the local network by multicast DNS, where the options ask for it: one question for the service, answers
 * taken from whoever has them. It resolves this service and is no resolver for anything else.
 *
 * Source: RFC 6762 (mDNS), RFC 6763 (DNS-SD), RFC 1035 (messages); openstack/ironic-python-agent `mdns.py` (names of the
 * service, keys of its text, attempts).
 */
import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { messageOf } from '#lib/fault.ts'
import { urlHost } from './address.ts'
import { AgentFault } from './errors.ts'
import type { Log } from './log.ts'
import { configOptions, type Options } from './options.ts'

const API = 'baremetal._openstack._tcp.local'
const INSPECTOR = 'baremetal-introspection._openstack._tcp.local'
const attempts = 3
const firstWaitMs = 500

export interface MdnsTarget {
  address: string
  port: number
}

const multicast: MdnsTarget = { address: '224.0.0.251', port: 5353 }

/**
 * Replaces the word `mdns` in the URLs of API and inspection by what is found, and takes the options that the service
 * publishes, as far as they are allowed.
 * @throws AgentFault ServiceLookupFailure when somebody asked for it and nobody answers
 */
export async function resolveByMdns(options: Options, log: Log, target: MdnsTarget = multicast): Promise<void> {
  const wantsApi = options.apiUrls.includes('mdns')
  const wantsInspector = options.inspectionUrls.includes('mdns')
  const mayLook = options.useMdns && options.apiUrls.length === 0 && options.inspectionUrls.length === 0
  if (wantsApi || mayLook) {
    const found = await findService(API, target).catch(error => {
      if (wantsApi) throw error
      log.warn(messageOf(error))
      return null
    })
    if (found !== null) {
      log.info(`The API is at ${found.url}, by mDNS`)
      options.apiUrls = [found.url]
      takeOverrides(options, found.text, log)
    }
  }
  if (wantsInspector) {
    const found = await findService(INSPECTOR, target)
    options.inspectionUrls = [`${found.url}/v1/continue`]
    log.info(`Inspection data go to ${found.url}, by mDNS`)
    takeOverrides(options, found.text, log)
  }
}

function takeOverrides(options: Options, text: Map<string, string>, log: Log): void {
  for (const [key, value] of text) {
    const name = /^ipa_(.+)$/.exec(key)?.[1]
    if (name === undefined) continue
    if (!options.mdnsAllowedOverrides.includes(name)) {
      log.warn(`mDNS says ${key}, which [mdns] allowed_overrides does not have; ignored`)
      continue
    }
    try {
      Object.assign(options, configOptions(new Map([[`[DEFAULT] ${name}`, value]])))
    } catch (error) {
      log.warn(`mDNS says ${key}, which is ignored: ${messageOf(error)}`)
    }
  }
}

interface Service {
  url: string
  text: Map<string, string>
}

/** Asks up to three times, waiting longer each time. @throws AgentFault ServiceLookupFailure */
export async function findService(name: string, target: MdnsTarget = multicast): Promise<Service> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const records = await ask(name, target, firstWaitMs * 2 ** attempt)
    const service = serviceIn(records, name)
    if (service !== null) return service
  }
  throw new AgentFault('ServiceLookupFailure', `Looking for ${name} by mDNS, ${attempts} times, nobody answered`)
}

type DnsRecord =
  | { kind: 'PTR'; name: string; target: string }
  | { kind: 'SRV'; name: string; target: string; port: number }
  | { kind: 'TXT'; name: string; text: Map<string, string> }
  | { kind: 'A' | 'AAAA'; name: string; address: string }

/** All records that come until they make a service, or the time is over. */
async function ask(name: string, { address, port }: MdnsTarget, limitMs: number): Promise<DnsRecord[]> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  const records: DnsRecord[] = []
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, limitMs)
      socket.on('error', error => {
        clearTimeout(timer)
        reject(new AgentFault('ServiceLookupFailure', `Looking for ${name} by mDNS: ${error.message}`))
      })
      socket.on('message', message => {
        try {
          records.push(...readMessage(message))
        } catch {
          return // somebody else's nonsense
        }
        if (serviceIn(records, name) === null) return
        clearTimeout(timer)
        resolve()
      })
      socket.send(question(name), port, address)
    })
  } finally {
    socket.close()
  }
  return records
}

/** Asks for an answer to our own port; whoever has the service sends its records along. */
function question(name: string): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(1, 4)
  const labels = name.split('.').map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const [PTR, IN, UNICAST] = [12, 1, 0x8000]
  const end = Buffer.alloc(5)
  end.writeUInt16BE(PTR, 1)
  end.writeUInt16BE(IN | UNICAST, 3)
  return Buffer.concat([header, ...labels, end])
}

/** The service as its records tell it, or null while one is missing. */
function serviceIn(records: readonly DnsRecord[], name: string): Service | null {
  const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase()
  for (const pointer of records) {
    if (pointer.kind !== 'PTR' || !same(pointer.name, name)) continue
    const server = records.find(one => one.kind === 'SRV' && same(one.name, pointer.target))
    if (server?.kind !== 'SRV') continue
    const told = records.find(one => one.kind === 'TXT' && same(one.name, pointer.target))
    const text = told?.kind === 'TXT' ? told.text : new Map<string, string>()
    const host = hostOf(server.target, records)
    if (host === null) continue
    const protocol = text.get('protocol') ?? (server.port === 80 ? 'http' : 'https')
    if (protocol !== 'http' && protocol !== 'https') continue
    const isUsual = server.port === (protocol === 'http' ? 80 : 443)
    const path = (text.get('path') ?? '').replace(/\/+$/, '')
    return { url: `${protocol}://${urlHost(host)}${isUsual ? '' : `:${server.port}`}${path}`, text }
  }
  return null
}

/** A name of the local network means nothing to anybody but mDNS: its address stands for it. */
function hostOf(target: string, records: readonly DnsRecord[]): string | null {
  if (!/\.local$/i.test(target)) return target
  const addresses = records.flatMap(one =>
    (one.kind === 'A' || one.kind === 'AAAA') && one.name.toLowerCase() === target.toLowerCase() ? [one.address] : [],
  )
  const routable = addresses.filter(
    address => !(address.startsWith('127.') || address.startsWith('169.254.') || /^(fe80:|::1$)/i.test(address)),
  )
  return routable.find(address => !isIPv6(address)) ?? routable[0] ?? null
}

/** Records of an answer, of all sections. @throws RangeError, Error for what is no message */
export function readMessage(message: Buffer): DnsRecord[] {
  let at = 12
  const skipQuestions = message.readUInt16BE(4)
  for (let index = 0; index < skipQuestions; index++) at = readName(message, at).next + 4
  const count = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10)
  const records: DnsRecord[] = []
  for (let index = 0; index < count; index++) {
    const { name, next } = readName(message, at)
    const [type, length] = [message.readUInt16BE(next), message.readUInt16BE(next + 8)]
    const data = next + 10
    if (data + length > message.length) throw new RangeError('a record is longer than its message')
    const record = readRecord(message, { name, type, data, length })
    if (record !== null) records.push(record)
    at = data + length
  }
  return records
}

function readRecord(
  message: Buffer,
  { name, type, data, length }: { name: string; type: number; data: number; length: number },
): DnsRecord | null {
  if (type === 12) return { kind: 'PTR', name, target: readName(message, data).name }
  if (type === 33) {
    return { kind: 'SRV', name, port: message.readUInt16BE(data + 4), target: readName(message, data + 6).name }
  }
  if (type === 16) return { kind: 'TXT', name, text: readText(message.subarray(data, data + length)) }
  if (type === 1 && length === 4) return { kind: 'A', name, address: [...message.subarray(data, data + 4)].join('.') }
  if (type === 28 && length === 16) {
    const groups = Array.from({ length: 8 }, (_, index) => message.readUInt16BE(data + 2 * index).toString(16))
    return { kind: 'AAAA', name, address: groups.join(':') }
  }
  return null
}

function readText(bytes: Buffer): Map<string, string> {
  const text = new Map<string, string>()
  for (let at = 0; at < bytes.length; at += 1 + (bytes[at] ?? 0)) {
    const [key = '', ...value] = bytes.toString('utf8', at + 1, at + 1 + (bytes[at] ?? 0)).split('=')
    if (key !== '') text.set(key.toLowerCase(), value.join('='))
  }
  return text
}

/** Names may point back to earlier ones; only back, so this ends. */
function readName(message: Buffer, start: number): { name: string; next: number } {
  const labels: string[] = []
  let at = start
  let next: number | null = null
  let limit = start
  for (;;) {
    const length = message.readUInt8(at)
    if (length === 0) return { name: labels.join('.'), next: next ?? at + 1 }
    if (length >= 0xc0) {
      const target = message.readUInt16BE(at) & 0x3fff
      if (target >= limit) throw new RangeError('a name points forward')
      next ??= at + 2
      limit = target
      at = target
    } else {
      if (at + 1 + length > message.length) throw new RangeError('a name is longer than its message')
      labels.push(message.toString('utf8', at + 1, at + 1 + length))
      at += 1 + length
    }
  }
}
