/**
 * For tests, inside a network namespace: the firmware of a machine, as far as DHCP and TFTP go. Asks for an address as
 * the options on the command line say, and prints as JSON what it got; null when nobody answered. With `proxy` it has an
 * address already and asks who tells what to boot, at the second port where it is sent there. `prefers` names the server
 * whose offer is taken, where several are made; what is sent to a `deaf` one by TFTP never arrives.
 *
 * Source: RFC 2131, RFC 2132, RFC 4578 (DHCP); RFC 1350 (TFTP).
 */
import { createSocket, type Socket } from 'node:dgram'
import { on, once } from 'node:events'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    mac: { type: 'string', default: '' },
    arch: { type: 'string', default: '0' },
    'vendor-class': { type: 'string', default: 'PXEClient:Arch:00000:UNDI:002001' },
    ipxe: { type: 'boolean', default: false },
    limit: { type: 'string', default: '3000' },
    tftp: { type: 'string' },
    server: { type: 'string', default: '' },
    proxy: { type: 'string' },
    prefers: { type: 'string' },
    deaf: { type: 'boolean', default: false },
  },
})

const result =
  values.tftp !== undefined
    ? await fetchByTftp(values.server, values.tftp)
    : values.proxy !== undefined
      ? await askProxy(values.proxy)
      : await askForAddress()
process.stdout.write(`${JSON.stringify(result)}\n`)

interface Lease {
  ip: string
  server: string
  /** Boot file: the field of the header, or option 67. */
  file: string
  nextServer: string
  options: Record<string, string>
}

async function askForAddress(): Promise<Lease | null> {
  const socket = createSocket('udp4')
  socket.bind(68, '0.0.0.0')
  await once(socket, 'listening')
  socket.setBroadcast(true)
  try {
    const offer = await exchange(socket, packet(1, []))
    if (offer === null) return null
    const wanted = option(50, bytesOf(offer.ip))
    const server = option(54, Buffer.from(offer.options[54] ?? '', 'hex'))
    return await exchange(socket, packet(3, [wanted, server]))
  } finally {
    socket.close()
  }
}

/** @param address the machine's own, which another server gave it */
async function askProxy(address: string): Promise<{ servers: string[]; boot: Lease | null }> {
  const socket = createSocket('udp4')
  socket.bind(68, '0.0.0.0')
  await once(socket, 'listening')
  socket.setBroadcast(true)
  const offers: Lease[] = []
  try {
    const collect = (message: Buffer) => offers.push(read(message))
    socket.on('message', collect)
    socket.send(packet(1, []), 67, '255.255.255.255')
    // Firmware waits for more than the first offer, too.
    await new Promise(resolve => setTimeout(resolve, Number(values.limit)))
    socket.off('message', collect)
    const servers = offers.map(({ ip, server }) => `${server} ${ip === '0.0.0.0' ? 'proxy' : 'address'}`).sort()
    const proxy = offers.find(({ ip }) => ip === '0.0.0.0')
    if (proxy === undefined || proxy.file !== '') return { servers, boot: proxy ?? null }
    const answer = once(socket, 'message', { signal: AbortSignal.timeout(5000) }).catch(() => null)
    socket.send(packet(3, [], address), 4011, proxy.server)
    const message = await answer
    return { servers, boot: message === null ? null : read(message[0] as Buffer) } // a datagram socket's first argument
  } finally {
    socket.close()
  }
}

async function exchange(socket: Socket, request: Buffer): Promise<Lease | null> {
  const limit = AbortSignal.timeout(Number(values.limit))
  const answers = on(socket, 'message', { signal: limit })
  socket.send(request, 67, '255.255.255.255')
  try {
    for await (const [message] of answers) {
      const lease = read(message as Buffer) // a datagram socket's first argument
      if (values.prefers === undefined || lease.server === values.prefers) return lease
    }
  } catch (error) {
    if (!limit.aborted) throw error
  }
  return null
}

function packet(type: number, more: Buffer[], address = '0.0.0.0'): Buffer {
  const header = Buffer.alloc(236)
  header.set([1, 1, 6, 0], 0)
  header.writeUInt32BE(0x46524954, 4)
  if (address === '0.0.0.0') header.writeUInt16BE(0x8000, 10) // answer by broadcast: there is no address yet
  header.set(bytesOf(address), 12)
  header.set(Buffer.from(values.mac.replaceAll(':', ''), 'hex'), 28)
  const arch = Buffer.alloc(2)
  arch.writeUInt16BE(Number(values.arch))
  return Buffer.concat([
    header,
    Buffer.from([99, 130, 83, 99]),
    option(53, Buffer.from([type])),
    option(60, Buffer.from(values['vendor-class'])),
    option(93, arch),
    option(94, Buffer.from([1, 2, 1])),
    ...(values.ipxe ? [option(77, Buffer.from('iPXE')), option(175, Buffer.from([19, 1, 1]))] : []),
    option(55, Buffer.from([1, 3, 6, 43, 60, 66, 67, 175])),
    ...more,
    Buffer.from([255]),
  ])
}

function option(code: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([code, value.length]), value])
}

function read(message: Buffer): Lease {
  const options: Record<string, string> = {}
  for (let at = 240; at < message.length && message[at] !== 255; ) {
    const [code = 0, length = 0] = message.subarray(at, at + 2)
    if (code === 0) {
      at += 1
      continue
    }
    options[code] = message.subarray(at + 2, at + 2 + length).toString('hex')
    at += 2 + length
  }
  const text = (bytes: Buffer) => bytes.toString('latin1').replace(/\0.*$/s, '')
  const file = text(message.subarray(108, 236)) || text(Buffer.from(options[67] ?? '', 'hex'))
  return {
    ip: dotted(message, 16),
    server: dotted(Buffer.from(options[54] ?? '00000000', 'hex'), 0),
    file,
    nextServer: dotted(message, 20),
    options,
  }
}

function dotted(bytes: Buffer, at: number): string {
  return [...bytes.subarray(at, at + 4)].join('.')
}

function bytesOf(ip: string): Buffer {
  return Buffer.from(ip.split('.').map(Number))
}

/** Fetches a file in blocks of 512 bytes; the size and its error are what a test wants to know. */
async function fetchByTftp(server: string, file: string): Promise<{ bytes: number; error: string | null }> {
  const socket = createSocket('udp4')
  socket.bind(0)
  await once(socket, 'listening')
  let answer = once(socket, 'message', { signal: AbortSignal.timeout(3000) })
  socket.send(Buffer.from(`\0\x01${file}\0octet\0`), 69, server)
  try {
    for (let bytes = 0; ; ) {
      const [data, from] = (await answer) as [Buffer, { port: number; address: string }] // what dgram hands over
      if (values.deaf) return { bytes: 0, error: 'nothing arrived' }
      if (data.readUInt16BE(0) === 5) return { bytes, error: data.subarray(4, -1).toString() }
      bytes += data.length - 4
      const isLast = data.length < 516
      answer = once(socket, 'message', { signal: AbortSignal.timeout(3000) })
      answer.catch(() => undefined) // after the last block nobody waits for it
      const acknowledgement = Buffer.from([0, 4, ...data.subarray(2, 4)])
      await new Promise(resolve => socket.send(acknowledgement, from.port, from.address, resolve))
      if (isLast) return { bytes, error: null }
    }
  } finally {
    socket.close()
  }
}
