/**
 * Gathers what one wants to read after a failure: the agent's log, the kernel's messages, disks, network, boot entries,
 * as a tar.gz. Programs that are missing or fail are left out; the whole is bounded in time, for the conductor waits.
 *
 * Source: openstack/ironic-python-agent `hardware.py` (names of the members); POSIX.1 pax(1) for the ustar header.
 */
import { readdir } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { run } from '#lib/run.ts'
import type { AgentContext } from './context.ts'
import { udevProperties } from './hardware/block-devices.ts'

const COMMANDS: Record<string, string[]> = {
  df: ['df', '-a'],
  dmesg: ['dmesg'],
  efibootmgr: ['efibootmgr', '-v'],
  ip_addr: ['ip', 'addr'],
  iptables: ['iptables', '-L'],
  ip_route: ['ip', 'route'],
  lsblk: ['lsblk', '--all', '-o', 'NAME,KNAME,SIZE,TYPE,FSTYPE,LABEL,UUID,PARTUUID,MOUNTPOINT'],
  'lsblk-full': ['lsblk', '--all', '-O', '--json'],
  lshw: ['lshw', '-quiet', '-json'],
  mdstat: ['cat', '/proc/mdstat'],
  mount: ['mount'],
  multipath: ['multipath', '-ll'],
  parted: ['parted', '-l'],
  ps: ['ps'],
  lspci: ['lspci', '-nnk'],
}
const LIMIT_MS = 20_000

export async function collectSystemLogs({ store }: AgentContext): Promise<Buffer> {
  const outputs = await Promise.all(
    Object.entries(COMMANDS).map(async ([name, [command = '', ...args]]) => {
      try {
        const { stdout } = await run(command, args, { signal: AbortSignal.timeout(LIMIT_MS) })
        return { name, data: Buffer.from(stdout) }
      } catch {
        return null
      }
    }),
  )
  const journal = (store.readText('agent.log.1') ?? '') + (store.readText('agent.log') ?? '')
  const found = outputs.filter(output => output !== null)
  const members = [{ name: 'journal', data: Buffer.from(journal) }, ...found, ...(await udevRecords())]
  return gzipSync(tar(members))
}

/** What udev keeps of each block device, as JSON; nothing without udev. */
async function udevRecords(): Promise<{ name: string; data: Buffer }[]> {
  const devices = await readdir('/sys/class/block').catch(() => [])
  const records = await Promise.all(
    devices.sort().map(async device => ({ device, properties: await udevProperties(device) })),
  )
  return records
    .filter(({ properties }) => properties.size > 0)
    .map(({ device, properties }) => ({
      name: `udev/${device}`,
      data: Buffer.from(JSON.stringify(Object.fromEntries(properties), null, 1)),
    }))
}

const BLOCK = 512

function tar(members: readonly { name: string; data: Buffer }[]): Buffer {
  const mtime = Math.floor(Date.now() / 1000)
  const parts = members.flatMap(({ name, data }) => [
    tarHeader(name, data.length, mtime),
    data,
    Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK),
  ])
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)])
}

function tarHeader(name: string, sizeBytes: number, mtime: number): Buffer {
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  header.write(name, 0, 100, 'utf8')
  header.write(octal(0o600, 7), 100)
  header.write(octal(0, 7), 108)
  header.write(octal(0, 7), 116)
  header.write(octal(sizeBytes, 11), 124)
  header.write(octal(mtime, 11), 136)
  header.write('        ', 148) // the checksum counts itself as spaces
  header.write('0', 156)
  header.write('ustar\x0000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}
