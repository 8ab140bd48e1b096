/**
 * What switches say of themselves by LLDP, as it comes: one frame of each network card, taken apart into its entries. What
 * they mean is for the receiver of the inspection data.
 *
 * Source: IEEE 802.1AB (frame, TLVs); openstack/ironic-python-agent `netutils.py` (form of the result).
 */

import { lldpFrames } from './lldp-listener.ts'
import { readOrNull, trimmed } from './sys-files.ts'

/** Type and value in hex of each entry, in the order of the frame. */
export type Tlvs = [number, string][]

const HEADER_BYTES = 14

/**
 * Listens on all cards at once until every one with a link has had a frame, or the time is over.
 * @returns by name; nothing heard is an empty list
 */
export async function collectLldp(
  names: readonly string[],
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<Record<string, Tlvs>> {
  const heard: Record<string, Tlvs> = Object.fromEntries(names.map(name => [name, []]))
  const linked = await Promise.all(
    names.map(async name => trimmed(await readOrNull(`/sys/class/net/${name}/carrier`)) === '1'),
  )
  const awaited = new Set(names.filter((_, index) => linked[index]))
  if (awaited.size === 0) return heard
  for await (const { name, frame } of lldpFrames([...awaited], { timeoutMs, signal })) {
    if (awaited.delete(name)) heard[name] = readTlvs(frame)
    if (awaited.size === 0) break
  }
  return heard
}

/** The entries of a frame with its Ethernet header; what is cut short ends the list. */
export function readTlvs(frame: Buffer): Tlvs {
  const found: Tlvs = []
  for (let at = HEADER_BYTES; at + 2 <= frame.length; ) {
    const head = frame.readUInt16BE(at)
    const [type, length] = [head >> 9, head & 0x1ff]
    at += 2
    if (at + length > frame.length) break
    found.push([type, frame.toString('hex', at, at + length)])
    if (type === 0) break
    at += length
  }
  return found
}
