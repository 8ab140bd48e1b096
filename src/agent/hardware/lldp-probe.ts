/**
 * Run in a network namespace of its own: makes a pair of cards, sends frames into one and prints what is collected at the
 * other. For the test of LLDP.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { collectLldp } from './lldp.ts'

interface Ffi {
  dlopen(
    library: string,
    symbols: Record<string, { arguments: readonly string[]; return: string }>,
  ): { functions: Record<'socket' | 'sendto', (...args: (number | Uint8Array)[]) => number> }
}

const [frame = '', timeout = ''] = process.argv.slice(2)
const ip = (...args: string[]) => execFileSync('ip', args)
ip('link', 'add', 'host0', 'type', 'veth', 'peer', 'name', 'switch0')
ip('link', 'add', 'host1', 'type', 'veth', 'peer', 'name', 'switch1')
for (const name of ['host0', 'switch0', 'host1', 'switch1']) ip('link', 'set', name, 'up')
ip('link', 'add', 'host2', 'type', 'veth', 'peer', 'name', 'switch2') // down, so without a link

const ffi = process.getBuiltinModule('node:ffi' as 'fs') as unknown as Ffi // as in lldp-listener.ts
const { functions: libc } = ffi.dlopen('libc.so.6', {
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  sendto: { arguments: ['int32', 'buffer', 'int32', 'int32', 'buffer', 'int32'], return: 'int32' },
})
const socket = libc.socket(17, 3, 0)
const packet = Buffer.from(frame, 'hex')
const send = (name: string) => {
  const address = Buffer.alloc(20)
  address.writeUInt16LE(17, 0)
  address.writeInt32LE(Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8')), 4)
  if (libc.sendto(socket, packet, packet.length, 0, address, address.length) < 0) throw new Error('cannot send')
}
const timer = setInterval(() => {
  send('switch0')
  if (frame.endsWith('ff')) send('switch1')
}, 20)
const startedAt = performance.now()
const signal = new AbortController().signal
const heard = await collectLldp(['host0', 'host1', 'host2'], { timeoutMs: Number(timeout), signal })
clearInterval(timer)
process.stdout.write(JSON.stringify({ heard, tookMs: performance.now() - startedAt }))
