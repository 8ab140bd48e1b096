/**
 * Set-up of the tests that write images: a loop device, an image server, an agent's context around both. For tests.
 */
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ImageInfo, Progress } from '#protocol/agent.ts'
import { progressMeter } from '../commands.ts'
import type { AgentContext } from '../context.ts'
import { selectHardware } from '../hardware/dispatch.ts'
import { genericManager } from '../hardware/generic.ts'
import { type ImageServer, serveImage } from '../image-server.ts'
import { type LoopDisk, makeDiskImage, makeLoopDisk } from '../loop-disk.ts'
import { defaultOptions } from '../options.ts'
import { readSettings } from '../settings.ts'
import { Store } from '../store.ts'
import { prepareImage } from './prepare-image.ts'

export const MIB = 1024 * 1024

export interface Bench {
  disk: LoopDisk
  server: ImageServer
  context: AgentContext
  reports: Progress[]
  /** Told of each report. */
  onReport: (report: Progress) => void
  write(info: Partial<ImageInfo>, configdrive?: unknown): Promise<string>
  remove(): Promise<void>
}

/** A directory that goes with the process. */
export const dir = mkdtempSync(join(tmpdir(), 'ferrite-image-'))
process.once('exit', () => rmSync(dir, { recursive: true, force: true }))

export interface BenchOptions {
  /** Instead of a loop device of its own; it is left as it is. */
  device?: string
  sizeMib?: number
  sectorBytes?: number
  /** Of the node: `boot_mode:uefi,disk_label:gpt`. Without it the firmware is a BIOS. */
  capabilities?: string
  /** Whether the agent finds itself started by UEFI. */
  uefi?: boolean
}

export async function setUp(
  content: Buffer,
  { device, sizeMib = 100, sectorBytes = 512, capabilities = '', uefi = false }: BenchOptions = {},
): Promise<Bench> {
  const disk = device === undefined ? makeLoopDisk(sizeMib, { sectorBytes }) : { device, file: '', remove() {} }
  const server = await serveImage(content)
  const context: AgentContext = {
    options: { ...defaultOptions(), downloadRetries: 2, downloadRetryPauseMs: 10 },
    settings: readSettings(
      ['--only-devices', disk.device, '--temp-dir', dir, '--efi-dir', uefi ? dir : join(dir, 'no-efi'), '--guest'],
      {},
    ),
    store: new Store(mkdtempSync(join(dir, 'state-'))),
    log: { info() {}, warn() {}, error() {}, debug() {} },
    node: null,
  }
  const reports: Progress[] = []
  const bench: Bench = {
    disk,
    server,
    context,
    reports,
    onReport: () => {},
    write: async (info, configdrive = null) => {
      const hardware = await selectHardware(context, [genericManager(context)])
      const whole = { id: 'disk.img', urls: [server.url], disk_format: 'raw', ...info }
      const properties = { root_device: { name: disk.device }, capabilities }
      const node = { uuid: 'u', properties, instance_info: {} }
      const progress = progressMeter(report => {
        reports.push(report)
        bench.onReport(report)
      })
      const { signal } = new AbortController()
      return (await prepareImage(whole, configdrive, { agent: context, hardware, node, progress, signal })).text
    },
    remove: async () => {
      disk.remove()
      await server.close()
    },
  }
  return bench
}

export const hash = (algorithm: string, data: Buffer) => createHash(algorithm).update(data).digest('hex')

/** An image of a disk with two partitions and random content that ends at no round number. */
export function diskImage(label: 'gpt' | 'dos'): Buffer {
  const file = join(dir, `image-${label}`)
  makeDiskImage(file, { label })
  const handle = openSync(file, 'r+')
  writeSync(handle, randomBytes(9 * MIB + 12_345), 0, 9 * MIB + 12_345, 2 * MIB)
  closeSync(handle)
  return readFileSync(file)
}

export function startOf(device: string, length: number): Buffer {
  const handle = openSync(device, 'r')
  const buffer = Buffer.alloc(length)
  readSync(handle, buffer, 0, length, 0)
  closeSync(handle)
  return buffer
}

/** How many partitions the kernel sees. */
export function partitions(device: string): number {
  const kname = device.slice('/dev/'.length)
  return readdirSync(`/sys/class/block/${kname}`).filter(name => name.startsWith(`${kname}p`)).length
}
