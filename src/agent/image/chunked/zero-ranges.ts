/**
 * Makes ranges of a disk read as zeros, as cheaply as the disk lets us: it is told to forget them where it promises zeros
 * afterwards, told to write zeros by itself where it can, sent zeros where it can do neither. The outcome is the same.
 *
 * Source: fallocate(2) on block devices (punching a hole fails rather than being slow or inexact), blkdiscard(8).
 */
import type { FileHandle } from 'node:fs/promises'
import { run } from '#lib/run.ts'
import { zero } from '../../hardware/erase-metadata.ts'

/** Lengths must be multiples of the sector; what is less at the end is written. */
const SECTOR_BYTES = 4096

/**
 * @param handle of the same device, held exclusively
 * @param onZeroed told after every range
 * @throws Error of the system when the disk fails
 */
export async function zeroRanges(
  { device, handle }: { device: string; handle: FileHandle },
  ranges: readonly { from: number; to: number }[],
  { signal, onZeroed }: { signal: AbortSignal; onZeroed: (bytes: number) => void },
): Promise<void> {
  let canForget = true
  for (const { from, to } of ranges) {
    signal.throwIfAborted()
    const end = to - ((to - from) % SECTOR_BYTES)
    if (end > from) {
      const place = ['--offset', String(from), '--length', String(end - from), device]
      canForget &&= await succeeds('fallocate', ['--punch-hole', ...place])
      if (!canForget && !(await succeeds('blkdiscard', ['--force', '--zeroout', ...place])))
        await zero(handle, from, end)
    }
    await zero(handle, end, to)
    onZeroed(to - from)
  }
}

/** Whether a program is there and did its work; why not does not matter, for there is another way. */
async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return await run(program, args).then(
    () => true,
    () => false,
  )
}
