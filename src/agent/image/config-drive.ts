/**
 * Puts the config drive on the disk beside a whole-disk image: into the partition labelled config-2 that the image
 * brought, else into a new one at the end of the disk.
 *
 * Source: openstack/ironic-python-agent `partition_utils.py` (places, limits); sgdisk(8), sfdisk(8).
 */
import { randomUUID } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'
import { deviceSize, openExclusively, partitionsOf } from '../hardware/device-use.ts'
import { withMount } from '../hardware/mounts.ts'
import { probe } from '../hardware/probe.ts'
import { request, shown } from '../http.ts'
import { isUrl } from './image-info.ts'
import { addPartition, readPartitionTable, sectorBytes } from './partition-table.ts'
import type { ImageRun } from './prepare-image.ts'

const LIMIT_BYTES = 64 * 1024 * 1024
/**
 * MBR counts sectors in 32 bits. With sectors of 4096 bytes that would reach to 16 TiB, but programs that count in 512
 * (libblkid, and partx with it) see such a partition elsewhere.
 */
const MBR_LIMIT_BYTES = 2 ** 32 * 512

/** @throws AgentFault InvalidImage or DeploymentError */
export async function writeConfigDrive(disk: string, value: string, context: ImageRun): Promise<void> {
  context.progress({ phase: 'config drive', bytes: 0, total_bytes: null, detail: disk })
  const image = await loadConfigDrive(value, context)
  const partition = (await labelledPartition(disk)) ?? (await newPartition(disk))
  await fillConfigDrive(partition, image, context)
}

/**
 * Copies the file system of a config drive to a partition; one that cannot be mounted from there becomes FAT.
 * @throws AgentFault DeploymentError when it does not fit
 */
export async function fillConfigDrive(partition: string, image: Buffer, context: ImageRun): Promise<void> {
  const sizeBytes = await deviceSize(partition)
  if (image.length > sizeBytes) {
    throw new AgentFault(
      'DeploymentError',
      `The config drive has ${image.length} bytes, its partition ${partition} only ${sizeBytes}`,
    )
  }
  await writeWhole(partition, image)
  if (!(await isMountable(partition))) await rebuildAsVfat(partition, image, context)
  context.agent.log.info(`Config drive of ${image.length} bytes written to ${partition}`)
}

/**
 * The file system that a config drive is: given as base64 of a gzip, or as a URL of the same or of a plain image.
 * @throws AgentFault InvalidImage or DeploymentError, also when it is larger than 64 MiB
 */
export async function loadConfigDrive(value: string, run: ImageRun): Promise<Buffer> {
  const image = await fetchConfigDrive(value, run)
  if (image.length <= LIMIT_BYTES) return image
  throw new AgentFault(
    'InvalidImage',
    `The config drive has ${image.length} bytes, more than the allowed ${LIMIT_BYTES}`,
  )
}

async function fetchConfigDrive(value: string, { agent, signal }: ImageRun): Promise<Buffer> {
  if (!isUrl(value)) {
    const image = unpack(value)
    if (image === null) throw new AgentFault('InvalidImage', 'The config drive is neither a URL nor base64 of gzip')
    return image
  }
  try {
    const answer = await request(agent.options, { url: value, timeoutMs: agent.options.downloadTimeoutMs, signal })
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of answer.body) {
      size += chunk.length
      if (size > 2 * LIMIT_BYTES) throw new Error(`more than ${2 * LIMIT_BYTES} bytes`)
      chunks.push(chunk)
    }
    if (answer.status !== 200) throw new Error(`the server answered ${answer.status}`)
    const body = Buffer.concat(chunks)
    return unpack(body.toString('latin1')) ?? body
  } catch (error) {
    throw new AgentFault('DeploymentError', `Cannot fetch the config drive ${shown(value)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Null when it is not base64; an image that is not packed passes as it is. */
function unpack(text: string): Buffer | null {
  const dense = text.replace(/\s+/g, '')
  if (dense === '' || !/^[A-Za-z0-9+/]*={0,2}$/.test(dense)) return null
  const bytes = Buffer.from(dense, 'base64')
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return gunzipSync(bytes, { maxOutputLength: LIMIT_BYTES + 1 })
  } catch (error) {
    throw new AgentFault('InvalidImage', `Cannot unpack the config drive: ${messageOf(error)}`, { cause: error })
  }
}

async function labelledPartition(disk: string): Promise<string | null> {
  const found: string[] = []
  for (const partition of await partitionsOf(disk)) {
    if ((await probe(partition)).label?.toLowerCase() === 'config-2') found.push(partition)
  }
  if (found.length > 1) {
    throw new AgentFault(
      'DeploymentError',
      `${disk} has several partitions labelled config-2: ${found.join(', ')}; expected at most one`,
    )
  }
  return found[0] ?? null
}

async function newPartition(disk: string): Promise<string> {
  const { kind } = await readPartitionTable(disk)
  return await addPartition(disk, 'the config drive', async before => {
    if (kind === 'gpt') await run('sgdisk', ['-n', '0:-64MB:0', '-u', `0:${randomUUID()}`, '-c', '0:config-2', disk])
    else await appendToMbr(disk, before)
  })
}

async function appendToMbr(disk: string, present: readonly string[]): Promise<void> {
  // Logical partitions begin at 5 whatever the number of primary ones.
  const primary = present.filter(partition => Number(/(\d+)$/.exec(partition)?.[1]) <= 4)
  if (primary.length > 3) throw new Error(`all four primary partitions of the MBR are taken: ${primary.join(', ')}`)
  const sector = await sectorBytes(disk)
  const endBytes = Math.min(await deviceSize(disk), MBR_LIMIT_BYTES)
  const alignedBytes = Math.floor((endBytes - LIMIT_BYTES) / 2 ** 20) * 2 ** 20
  const line = `start=${alignedBytes / sector}, size=${LIMIT_BYTES / sector}, type=c\n`
  await run('sfdisk', ['--append', '--no-reread', '--force', disk], { input: line })
}

async function writeWhole(partition: string, image: Buffer): Promise<void> {
  const handle = await openExclusively(partition)
  try {
    for (let done = 0; done < image.length; ) {
      const { bytesWritten } = await handle.write(image, done, image.length - done, done)
      done += bytesWritten
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** ISO 9660 counts in sectors of 2048 bytes, which the kernel cannot read from a disk with larger ones. */
async function isMountable(partition: string): Promise<boolean> {
  return await withMount(partition, [], async () => true).catch(() => false)
}

async function rebuildAsVfat(partition: string, image: Buffer, { agent }: ImageRun): Promise<void> {
  const file = join(agent.settings.tempDir, `configdrive-${randomUUID()}`)
  try {
    await writeFile(file, image, { mode: 0o600 })
    await withMount(file, ['loop'], async from => {
      await run('mkfs.vfat', ['-n', 'CONFIG-2', partition])
      await withMount(partition, ['rw'], async to => {
        for (const name of await readdir(from)) await run('cp', ['-R', join(from, name), to])
        await run('sync', [])
      })
    })
    agent.log.info(`The config drive was copied into a new file system on ${partition}`)
  } catch (error) {
    agent.log.warn(
      `The config drive on ${partition} cannot be mounted here and is left as it came: ${messageOf(error)}`,
    )
    await writeWhole(partition, image)
  } finally {
    await rm(file, { force: true })
  }
}
