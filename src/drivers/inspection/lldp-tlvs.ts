/**
 * What a switch says of itself by LLDP: the TLVs of one frame as names and values. Pure; a TLV that is malformed is left
 * out, and the others count.
 *
 * Source: IEEE 802.1AB-2016, clause 8; IEEE 802.1Q, annex D; IEEE 802.3, clause 79; RFC 4836 (MAU types). The names are
 * Ironic's: ironic/drivers/modules/inspector/lldp_parsers.py.
 */

/** `[type, hex]`, as agents tell them. */
export type RawTlv = readonly [type: number, hex: string]

/** By Ironic's names: `switch_chassis_id`, `switch_port_vlans`, … */
export type ParsedLldp = Record<string, unknown>

/** Longest value of a TLV. */
const longest = 511

/** Those of a list that are TLVs with bytes. */
export function readTlvs(value: unknown): { type: number; data: Buffer }[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((one): { type: number; data: Buffer }[] => {
    if (!Array.isArray(one)) return []
    const [type, hex] = one as unknown[]
    if (typeof type !== 'number' || typeof hex !== 'string' || !/^([0-9a-f]{2})*$/i.test(hex)) return []
    return hex.length / 2 > longest ? [] : [{ type, data: Buffer.from(hex, 'hex') }]
  })
}

export function parseLldp(tlvs: unknown): ParsedLldp {
  const found: ParsedLldp = {}
  for (const { type, data } of readTlvs(tlvs)) basic[type]?.(data, found)
  return found
}

type Parser = (data: Buffer, found: ParsedLldp) => void

/** The first of a name counts. */
function set(found: ParsedLldp, name: string, value: unknown): void {
  if (value !== undefined && !Object.hasOwn(found, name)) found[name] = value
}

function append(found: ParsedLldp, name: string, value: unknown): void {
  if (value === undefined) return
  const list = (found[name] ?? []) as unknown[] // only made here
  found[name] = [...list, value]
}

const single =
  (name: string, read: (data: Buffer) => unknown): Parser =>
  (data, found) =>
    set(found, name, read(data))

const basic: Readonly<Record<number, Parser>> = {
  1: single('switch_chassis_id', data => chassisId(data)?.value),
  2: single('switch_port_id', portId),
  4: single('switch_port_description', utf8),
  5: single('switch_system_name', utf8),
  6: single('switch_system_description', utf8),
  7(data, found) {
    if (data.length !== 4) return
    set(found, 'switch_capabilities_support', capabilities(data.readUInt16BE(0)))
    set(found, 'switch_capabilities_enabled', capabilities(data.readUInt16BE(2)))
  },
  8: (data, found) => append(found, 'switch_mgmt_addresses', data.length > 2 ? address(data.subarray(1)) : undefined),
  127(data, found) {
    if (data.length < 4) return
    const organisation = data.subarray(0, 3).toString('hex')
    const parsers = { '0080c2': dot1, '00120f': dot3 }[organisation]
    parsers?.[data.readUInt8(3)]?.(data.subarray(4), found)
  },
}

const dot1: Readonly<Record<number, Parser>> = {
  1: single('switch_port_untagged_vlan_id', uint16),
  2(data, found) {
    if (data.length !== 3) return
    set(found, 'switch_port_protocol_vlan_enabled', (data.readUInt8(0) & 0b100) !== 0)
    set(found, 'switch_port_protocol_vlan_support', (data.readUInt8(0) & 0b010) !== 0)
    append(found, 'switch_port_protocol_vlan_ids', data.readUInt16BE(1))
  },
  3(data, found) {
    if (data.length < 3) return
    const end = 3 + data.readUInt8(2)
    if (data.length < end) return
    const name = utf8(data.subarray(3, end))?.replace(/\0+$/, '')
    if (name !== undefined) append(found, 'switch_port_vlans', { name, id: data.readUInt16BE(0) })
  },
  4(data, found) {
    if (data.length < 1 || data.length < 1 + data.readUInt8(0)) return
    append(found, 'switch_protocol_identities', data.subarray(1, 1 + data.readUInt8(0)).toString('hex'))
  },
  6: single('switch_port_management_vlan_id', uint16),
  7: linkAggregation,
}

const dot3: Readonly<Record<number, Parser>> = {
  1(data, found) {
    if (data.length !== 5) return
    const mauType = mauTypes[data.readUInt16BE(3)]
    if (mauType === undefined) return
    set(found, 'switch_port_autonegotiation_enabled', (data.readUInt8(0) & 0b10) !== 0)
    set(found, 'switch_port_autonegotiation_support', (data.readUInt8(0) & 0b01) !== 0)
    const bits = data.readUInt16BE(1)
    const physical = autonegotiated.filter((_, at) => (bits & (0x4000 >> at)) !== 0)
    set(found, 'switch_port_physical_capabilities', physical.toSorted())
    set(found, 'switch_port_mau_type', mauType)
  },
  3: linkAggregation,
  4: single('switch_port_mtu', uint16),
}

function linkAggregation(data: Buffer, found: ParsedLldp): void {
  if (data.length !== 5) return
  set(found, 'switch_port_link_aggregation_enabled', (data.readUInt8(0) & 0b10) !== 0)
  set(found, 'switch_port_link_aggregation_support', (data.readUInt8(0) & 0b01) !== 0)
  set(found, 'switch_port_link_aggregation_id', data.readUInt32BE(1))
}

/** Who the switch is; `isMac` where it says so by a MAC address. */
export function chassisId(data: Buffer): { value: string; isMac: boolean } | undefined {
  const subtype = data.at(0)
  const value =
    subtype === 4 ? macAddress(data.subarray(1)) : named(data, subtype, { address: 5, texts: [1, 2, 3, 6, 7] })
  return value === undefined ? undefined : { value, isMac: subtype === 4 }
}

/** Which of its ports we are at. */
export function portId(data: Buffer): string | undefined {
  const subtype = data.at(0)
  return subtype === 3 ? macAddress(data.subarray(1)) : named(data, subtype, { address: 4, texts: [1, 2, 5, 7] })
}

function named(
  data: Buffer,
  subtype: number | undefined,
  kinds: { address: number; texts: readonly number[] },
): string | undefined {
  if (subtype === kinds.address) return address(data.subarray(1))
  return subtype !== undefined && kinds.texts.includes(subtype) ? utf8(data.subarray(1)) : undefined
}

/** With its family in front: 1 IPv4, 2 IPv6, 6 MAC. */
function address(data: Buffer): string | undefined {
  const [family, rest] = [data.at(0), data.subarray(1)]
  if (family === 1 && rest.length >= 4) return rest.subarray(0, 4).join('.')
  if (family === 2 && rest.length >= 16) {
    const groups = Array.from({ length: 8 }, (_, at) => rest.readUInt16BE(at * 2).toString(16))
    return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
  }
  return family === 6 ? macAddress(rest) : undefined
}

function macAddress(data: Buffer): string | undefined {
  if (data.length < 6) return undefined
  return [...data.subarray(0, 6)].map(byte => byte.toString(16).padStart(2, '0')).join(':')
}

function uint16(data: Buffer): number | undefined {
  return data.length >= 2 ? data.readUInt16BE(0) : undefined
}

/** Undefined for what is no UTF-8. */
export function utf8(data: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data)
  } catch {
    return undefined
  }
}

/** From the lowest bit that is one of them. */
const systems = ['Repeater', 'Bridge', 'WLAN', 'Router', 'Telephone', 'DOCSIS cable device', 'Station only']
const switches = ['C-Vlan', 'S-Vlan', 'TPMR']

function capabilities(bits: number): string[] {
  return [...systems, ...switches].filter((_, at) => (bits & (1 << (at + 1))) !== 0)
}

/** From bit 1 on; bit 0, the highest, is for others. */
const autonegotiated = [
  '10BASE-T hdx',
  '10BASE-T fdx',
  '10BASE-T4',
  '100BASE-TX hdx',
  '100BASE-TX fdx',
  '100BASE-T2 hdx',
  '100BASE-T2 fdx',
  'PAUSE fdx',
  'Asym PAUSE fdx',
  'Sym PAUSE fdx',
  'Asym and Sym PAUSE fdx',
  '1000BASE-X hdx',
  '1000BASE-X fdx',
  '1000BASE-T hdx',
  '1000BASE-T fdx',
]

/** By ifMauTypeList's numbers. */
const mauTypes: readonly string[] = [
  ...['Unknown', 'AUI', '10BASE-5', 'FOIRL', '10BASE-2', '10BASE-T duplex mode unknown', '10BASE-FP', '10BASE-FB'],
  ...['10BASE-FL duplex mode unknown', '10BROAD36', '10BASE-T half duplex', '10BASE-T full duplex'],
  ...['10BASE-FL half duplex', '10BASE-FL full duplex', '100 BASE-T4', '100BASE-TX half duplex'],
  ...['100BASE-TX full duplex', '100BASE-FX half duplex', '100BASE-FX full duplex', '100BASE-T2 half duplex'],
  ...['100BASE-T2 full duplex', '1000BASE-X half duplex', '1000BASE-X full duplex', '1000BASE-LX half duplex'],
  ...['1000BASE-LX full duplex', '1000BASE-SX half duplex', '1000BASE-SX full duplex', '1000BASE-CX half duplex'],
  ...['1000BASE-CX full duplex', '1000BASE-T half duplex', '1000BASE-T full duplex', '10GBASE-X', '10GBASE-LX4'],
  ...['10GBASE-R', '10GBASE-ER', '10GBASE-LR', '10GBASE-SR', '10GBASE-W', '10GBASE-EW', '10GBASE-LW', '10GBASE-SW'],
  ...['10GBASE-CX4', '2BASE-TL', '10PASS-TS', '100BASE-BX10D', '100BASE-BX10U', '100BASE-LX10', '1000BASE-BX10D'],
  ...['1000BASE-BX10U', '1000BASE-LX10', '1000BASE-PX10D', '1000BASE-PX10U', '1000BASE-PX20D', '1000BASE-PX20U'],
]
