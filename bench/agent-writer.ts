/**
 * The agent's way of writing images, as a process of its own for agent-write.ts: the same sources as in the ramdisk,
 * bundled, without the rest of the agent. Takes jobs over IPC and answers how long each took and how much memory it held.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { selectHardware } from '#agent/hardware/dispatch.ts'
import { genericManager } from '#agent/hardware/generic.ts'
import { chunksToDisk } from '#agent/image/chunked/write-chunked.ts'
import type { WriteJob } from '#agent/image/prepare-image.ts'
import { convertToDisk } from '#agent/image/write-converted.ts'
import { streamToDisk } from '#agent/image/write-raw.ts'
import { defaultOptions } from '#agent/options.ts'
import { readSettings } from '#agent/settings.ts'
import { Store } from '#agent/store.ts'
import type { ImageTraffic } from '#protocol/chunked-image.ts'

export interface WriterJob {
  how: 'plain' | 'chunked' | 'converted'
  job: WriteJob
  /** For the agent's state and for images that are converted. */
  dir: string
}

export interface WriterResult {
  seconds: number
  processorSeconds: number
  peakMib: number
  traffic: ImageTraffic | null
}

// Threads of the writers load this file too.
if (isMainThread) process.on('message', (job: WriterJob) => void write(job).then(result => process.send?.(result)))

async function write({ how, job, dir }: WriterJob): Promise<WriterResult> {
  const agent = {
    options: defaultOptions(),
    settings: readSettings(['--only-devices', job.device, '--guest', '--temp-dir', dir], {}),
    store: new Store(dir),
    log: { info() {}, warn: console.warn, error: console.error, debug() {} },
    node: null,
  }
  const hardware = await selectHardware(agent, [genericManager(agent)])
  const run = { agent, hardware, node: null, progress() {}, signal: new AbortController().signal }
  // The peak begins anew.
  writeFileSync('/proc/self/clear_refs', '5')
  const before = process.cpuUsage()
  const startedMs = performance.now()
  let traffic: ImageTraffic | null = null
  if (how === 'chunked') traffic = await chunksToDisk(job, run)
  else if (how === 'plain') traffic = await streamToDisk(job, run)
  else await convertToDisk(job, run)
  const { user, system } = process.cpuUsage(before)
  return {
    seconds: (performance.now() - startedMs) / 1000,
    processorSeconds: (user + system) / 1e6,
    peakMib: Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024,
    traffic,
  }
}
