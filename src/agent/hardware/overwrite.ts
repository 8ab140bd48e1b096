/**
 * Overwrites a whole disk, then looks whether the disk kept it: a disk that swallows writes must not pass as erased.
 */
import { randomFillSync, randomInt } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'
import { deviceSize, openExclusively, rereadPartitions } from './device-use.ts'

const BLOCK_BYTES = 4 * 1024 * 1024
/** What is read back after zeros: both ends, and a place at random in each of this many parts of equal size. */
const SAMPLES = 512
const SAMPLE_BYTES = 64 * 1024

export interface Overwriting {
  /** Passes of random data. */
  iterations: number
  /** A last pass of zeros, which is read back. */
  zeroize: boolean
  signal: AbortSignal
  /** Of the disk's size, over all passes. */
  onBytes: (bytes: number) => void
}

/**
 * Random passes, then zeros. Nothing asked for is nothing done, and that is an error.
 * @returns what was done, in a few words
 * @throws AgentFault BlockDeviceEraseError at the first place that cannot be written or holds something else afterwards
 */
export async function overwrite(device: string, wanted: Overwriting): Promise<string> {
  const { iterations, zeroize, signal, onBytes } = wanted
  const passes = [...Array<'random'>(iterations).fill('random'), ...(zeroize ? ['zero' as const] : [])]
  if (passes.length === 0) {
    throw new AgentFault(
      'BlockDeviceEraseError',
      'neither secure erase nor a pass of overwriting is allowed by the node',
    )
  }
  const sizeBytes = await deviceSize(device)
  const handle = await openExclusively(device)
  try {
    const block = Buffer.alloc(BLOCK_BYTES)
    for (const [number, pass] of passes.entries()) {
      for (let at = 0; at < sizeBytes; ) {
        signal.throwIfAborted()
        if (pass === 'random') randomFillSync(block)
        else block.fill(0)
        const length = Math.min(BLOCK_BYTES, sizeBytes - at)
        at += await writeAt(handle, { block, length, at, device })
        onBytes(Math.floor((number * sizeBytes + at) / passes.length))
      }
      await handle.sync().catch(error => {
        throw new AgentFault('BlockDeviceEraseError', `${device} did not keep what was written: ${messageOf(error)}`)
      })
    }
    if (zeroize) await checkZeros(handle, device, sizeBytes)
  } finally {
    await handle.close()
  }
  await rereadPartitions(device)
  return `overwritten ${iterations} times with random data${zeroize ? ' and once with zeros' : ''}`
}

async function writeAt(
  handle: FileHandle,
  { block, length, at, device }: { block: Buffer; length: number; at: number; device: string },
): Promise<number> {
  try {
    return (await handle.write(block, 0, length, at)).bytesWritten
  } catch (error) {
    throw new AgentFault('BlockDeviceEraseError', `writing ${device} at byte ${at}: ${messageOf(error)}`)
  }
}

/** Reads from the disk, not from the kernel's memory of what was written. */
async function checkZeros(handle: FileHandle, device: string, sizeBytes: number): Promise<void> {
  await run('blockdev', ['--flushbufs', device])
  const part = Math.floor(sizeBytes / SAMPLES)
  const places = Array.from({ length: SAMPLES }, (_, index) => index * part + randomInt(Math.max(1, part)))
  const block = Buffer.alloc(SAMPLE_BYTES)
  const zeros = Buffer.alloc(SAMPLE_BYTES)
  for (const place of [0, ...places, sizeBytes - SAMPLE_BYTES]) {
    const at = Math.max(0, Math.min(place, sizeBytes - SAMPLE_BYTES))
    const { bytesRead } = await handle.read(block, 0, SAMPLE_BYTES, at).catch(error => {
      throw new AgentFault('BlockDeviceEraseError', `reading ${device} back at byte ${at}: ${messageOf(error)}`)
    })
    if (block.subarray(0, bytesRead).equals(zeros.subarray(0, bytesRead)) && bytesRead > 0) continue
    throw new AgentFault(
      'BlockDeviceEraseError',
      `${device} was overwritten with zeros, but at byte ${at} it holds something else`,
    )
  }
}
