/**
 * Writes images that are no plain copy of a disk: they are kept in memory until their checksum and their structure have
 * been checked, and only then does qemu-img convert them onto the disk. Nothing touches the disk before.
 *
 * Source: qemu-img(1).
 */
import { spawn } from 'node:child_process'
import { open, rm, statfs } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { qemuFormat } from '#lib/disk-format.ts'
import { messageOf } from '#lib/fault.ts'
import { AgentFault } from '../errors.ts'
import { openExclusively } from '../hardware/device-use.ts'
import { wipeMetadata } from '../hardware/erase-metadata.ts'
import { openDiskWriter } from './disk-writer.ts'
import { type ImageFacts, inspectImage } from './format.ts'
import { markWriting, unbootable, unmarkWriting } from './image-record.ts'
import type { ImageRun, WriteJob } from './prepare-image.ts'
import { openImage } from './source.ts'
import { requireDigest, requireFit, streamToDisk } from './write-raw.ts'

/** @throws AgentFault ImageDownloadError, ImageChecksumError, InvalidImage, ImageWriteError */
export async function convertToDisk(job: WriteJob, run: ImageRun): Promise<void> {
  const { agent } = run
  const file = join(agent.settings.tempDir, `image-${basename(job.info.id).replace(/[^\w.-]/g, '_')}`)
  try {
    await download(job, file, run)
    const facts = await inspectImage(file, job.info.disk_format ?? null, agent.options)
    requireFit(facts.virtualSizeBytes, job.capacityBytes, job.device)
    // Undeclared, and by its content raw: the checked way of writing those is the stream.
    if (qemuFormat(facts.format) === 'raw') await streamToDisk(job, run)
    else await convert(file, facts, job, run)
  } finally {
    await rm(file, { force: true })
  }
}

async function download(
  { info, checksum }: WriteJob,
  file: string,
  { agent, signal, progress }: ImageRun,
): Promise<void> {
  progress({ phase: 'download', bytes: 0, total_bytes: null })
  const source = await openImage(agent, info, signal)
  const { bavail, bsize } = await statfs(agent.settings.tempDir)
  const roomBytes = bavail * bsize
  if (source.sizeBytes !== null && source.sizeBytes > roomBytes) {
    source.close()
    throw noRoom(`it has ${source.sizeBytes} bytes, ${agent.settings.tempDir} has room for ${roomBytes}`)
  }
  const handle = await open(file, 'w', 0o600)
  const report = (bytes: number) => progress({ phase: 'download', bytes, total_bytes: source.sizeBytes })
  const writer = openDiskWriter({
    handle,
    name: file,
    device: null,
    capacityBytes: Number.POSITIVE_INFINITY,
    algorithm: checksum.algorithm,
    onWritten: report,
  })
  try {
    for await (const chunk of source.chunks()) await writer.write(chunk)
    requireDigest(checksum, await writer.digest(), info.id)
    await writer.finish()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC')
      throw noRoom(`${agent.settings.tempDir} is full`)
    throw error
  } finally {
    await writer.close()
    await handle.close()
  }
}

async function convert(file: string, facts: ImageFacts, { device }: WriteJob, run: ImageRun): Promise<void> {
  const { agent, progress } = run
  const { virtualSizeBytes } = facts
  const report = (percent: number) =>
    progress({
      phase: 'write',
      bytes: Math.round((percent / 100) * virtualSizeBytes),
      total_bytes: virtualSizeBytes,
      detail: device,
    })
  await wipeMetadata(device)
  markWriting(agent.store, device, null)
  report(0)
  try {
    await qemuImg(file, qemuFormat(facts.format), device, {
      report,
      started: pid => markWriting(agent.store, device, pid),
      signal: run.signal,
    })
    const handle = await openExclusively(device)
    await handle.sync()
    await handle.close()
  } catch (error) {
    await unbootable(device).catch(failure => agent.log.error(`Wiping ${device}: ${messageOf(failure)}`))
    unmarkWriting(agent.store)
    throw new AgentFault('ImageWriteError', `Converting the image to ${device} failed: ${messageOf(error)}`, {
      cause: error,
    })
  }
  unmarkWriting(agent.store)
}

/** The format is always named, so that qemu-img never guesses one from the content. */
async function qemuImg(
  file: string,
  format: string,
  device: string,
  {
    report,
    started,
    signal,
  }: { report: (percent: number) => void; started: (pid: number) => void; signal: AbortSignal },
): Promise<void> {
  const args = ['convert', '-p', '-n', '-W', '-t', 'none', '-f', format, '-O', 'host_device', file, device]
  const child = spawn('qemu-img', args, { stdio: ['ignore', 'pipe', 'pipe'], signal })
  if (child.pid !== undefined) started(child.pid)
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const percent = [...chunk.toString().matchAll(/\(\s*([\d.]+)\/100%\)/g)].at(-1)?.[1]
    if (percent !== undefined) report(Number(percent))
  })
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000)
  })
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code =>
      code === 0 ? resolve() : reject(new Error(said.trim() || `qemu-img ended with status ${code}`)),
    )
  })
}

function noRoom(why: string): AgentFault {
  return new AgentFault('ImageDownloadOutofSpaceError', `Cannot keep the image in memory while it is checked: ${why}`)
}
