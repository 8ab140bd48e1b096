/**
 * For tests, inside a network namespace: the firmware of a machine in a network of IPv6, as far as DHCPv6 goes. Asks as the
 * options on the command line say, and prints as JSON what was offered; null when nobody answered.
 *
 * Source: RFC 8415 (DHCPv6), RFC 5970 (boot file URL, architecture).
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    interface: { type: 'string', default: 'v0' },
    arch: { type: 'string', default: '7' },
    ipxe: { type: 'boolean', default: false },
    limit: { type: 'string', default: '30000' },
  },
})

const MULTICAST = 'ff02::1:2'
const SOLICIT = 1

const mac = networkInterfaces()[values.interface]?.[0]?.mac ?? ''
const duid = Buffer.concat([Buffer.from([0, 3, 0, 1]), Buffer.from(mac.replaceAll(':', ''), 'hex')])
const two = (value: number) => Buffer.from([value >> 8, value & 0xff])
const option = (code: number, value: Buffer) => Buffer.concat([two(code), two(value.length), value])
const text = (value: string) => Buffer.concat([two(value.length), Buffer.from(value)])

const arch = Number(values.arch)
const vendor = arch === 16 ? 'HTTPClient:Arch:00016:UNDI:003001' : `PXEClient:Arch:${String(arch).padStart(5, '0')}`
const message = Buffer.concat([
  Buffer.from([SOLICIT, 0x46, 0x52, 0x54]),
  option(1, duid),
  option(3, Buffer.alloc(12)),
  option(8, two(0)),
  option(6, Buffer.concat([two(59), two(60), two(16)])),
  option(61, two(arch)),
  option(16, Buffer.concat([Buffer.from([0, 0, 1, 0x57]), text(vendor)])),
  ...(values.ipxe ? [option(15, text('iPXE'))] : []),
])

const socket = createSocket('udp6')
socket.bind(546, '::')
await once(socket, 'listening')
socket.setMulticastInterface(`::%${values.interface}`)
const answer = once(socket, 'message', { signal: AbortSignal.timeout(Number(values.limit)) }).catch(() => null)
// Again and again, as firmware does: an address of a link that has just come up is not used for a second or two.
const ask = () => socket.send(message, 547, `${MULTICAST}%${values.interface}`, () => {})
ask()
const again = setInterval(ask, 500)
const received = await answer
clearInterval(again)
socket.close()
process.stdout.write(`${JSON.stringify(received === null ? null : read(received[0] as Buffer))}\n`) // what dgram hands over

function read(reply: Buffer): { type: number; options: Record<string, string>; file: string | null } {
  const options: Record<string, string> = {}
  for (let at = 4; at + 4 <= reply.length; ) {
    const [code, length] = [reply.readUInt16BE(at), reply.readUInt16BE(at + 2)]
    options[code] = reply.subarray(at + 4, at + 4 + length).toString('hex')
    at += 4 + length
  }
  const url = options[59]
  return { type: reply[0] ?? 0, options, file: url === undefined ? null : Buffer.from(url, 'hex').toString() }
}
