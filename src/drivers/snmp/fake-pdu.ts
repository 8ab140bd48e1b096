/**
 * A PDU for tests: answers reading and writing of SNMP 1 and 2c over UDP from a table of numbers, with objects that
 * cannot be written, values that come late, and communities that may only read. Version 3 is the business of real
 * agents. It shares nothing with the client.
 *
 * Source: RFC 1157, 4.1; RFC 3416, 4.2; ITU-T X.690.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

export interface FakePdu extends AsyncDisposable {
  readonly port: number
  /** By object: an INTEGER, or an OBJECT IDENTIFIER as a text. */
  readonly values: Map<string, number | string>
  /** What was written, as `object=value`. */
  readonly written: string[]
  /** Objects that were read, in order. */
  readonly reads: string[]
  /** What writing an object does; absent: its value changes. */
  onWrite?: (object: string, value: number) => void
}

const tags = { integer: 0x02, octets: 0x04, nothing: 0x05, oid: 0x06, sequence: 0x30, noSuchInstance: 0x81 } as const
const pduTags = { get: 0xa0, response: 0xa2, set: 0xa3 } as const
const errors = { noSuchName: 2, readOnly: 4, noAccess: 6 } as const

export async function startFakePdu(communities = { read: 'public', write: 'private' }): Promise<FakePdu> {
  const socket = createSocket('udp4')
  const values = new Map<string, number | string>()
  const pdu: FakePdu = {
    get port() {
      return socket.address().port
    },
    values,
    written: [],
    reads: [],
    async [Symbol.asyncDispose]() {
      await new Promise<void>(resolve => socket.close(() => resolve()))
    },
  }
  socket.on('message', (datagram, from) => {
    const [message] = parts(datagram)
    const [version, community, request] = parts(message?.body)
    const [id, , , list] = parts(request?.body)
    const [binding] = parts(list?.body)
    const [oid, value] = parts(binding?.body)
    if (!(version && community && request && id && oid && value)) return
    const isSet = request.tag === pduTags.set
    const who = community.body.toString()
    // As real ones: who is not known is not answered.
    if (who !== communities.write && (isSet || who !== communities.read)) return
    const object = oidText(oid.body)
    const isV1 = version.body[0] === 0
    const known = values.get(object)
    let status = 0
    if (known === undefined && (isV1 || isSet)) status = isV1 ? errors.noSuchName : errors.noAccess
    else if (isSet) {
      const number = value.body.readIntBE(0, value.body.length)
      pdu.written.push(`${object}=${number}`)
      if (pdu.onWrite) pdu.onWrite(object, number)
      else values.set(object, number)
    } else pdu.reads.push(object)
    const answered = isSet || known === undefined ? encode(value) : encodeValue(known)
    const missing = known === undefined && !isV1 && !isSet ? tlv(tags.noSuchInstance, Buffer.alloc(0)) : answered
    const bindings = tlv(tags.sequence, tlv(tags.sequence, Buffer.concat([encode(oid), missing])))
    const index = status === 0 ? 0 : 1
    const body = Buffer.concat([encode(id), integer(status), integer(index), bindings])
    const answer = [encode(version), encode(community), tlv(pduTags.response, body)]
    socket.send(tlv(tags.sequence, Buffer.concat(answer)), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return pdu
}

interface Part {
  tag: number
  body: Buffer
}

/** What stands one after the other. */
function parts(bytes: Buffer = Buffer.alloc(0)): Part[] {
  const found: Part[] = []
  for (let at = 0; at + 2 <= bytes.length; ) {
    const tag = bytes.readUInt8(at)
    const first = bytes.readUInt8(at + 1)
    const more = first < 0x80 ? 0 : first & 0x7f
    const length = more === 0 ? first : bytes.readUIntBE(at + 2, more)
    const from = at + 2 + more
    found.push({ tag, body: bytes.subarray(from, from + length) })
    at = from + length
  }
  return found
}

const encode = ({ tag, body }: Part) => tlv(tag, body)

function tlv(tag: number, body: Buffer): Buffer {
  const { length } = body
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), body])
}

function integer(value: number): Buffer {
  const body = Buffer.alloc(4)
  body.writeInt32BE(value)
  return tlv(tags.integer, body)
}

function encodeValue(value: number | string): Buffer {
  return typeof value === 'number' ? integer(value) : tlv(tags.oid, oidBytes(value))
}

function oidText(body: Buffer): string {
  const [first = 0, ...rest] = body
  const arcs = [Math.floor(first / 40), first % 40]
  let arc = 0
  for (const byte of rest) {
    arc = arc * 128 + (byte & 0x7f)
    if (byte >= 0x80) continue
    arcs.push(arc)
    arc = 0
  }
  return arcs.join('.')
}

function oidBytes(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const sevenths = (arc: number): number[] => (arc < 128 ? [arc] : [...sevenths(Math.floor(arc / 128)), arc % 128])
  const marked = rest.flatMap(arc => {
    const all = sevenths(arc)
    return all.map((seven, index) => (index < all.length - 1 ? seven | 0x80 : seven))
  })
  return Buffer.from([first * 40 + second, ...marked])
}
