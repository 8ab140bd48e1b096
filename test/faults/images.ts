/** Small bootable-looking disk images with random content, and what instance_info says of them. */
import { execFileSync } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDiskImage } from '#agent/loop-disk.ts'

const mib = 2 ** 20

/** Two partitions; the second one fills the image. */
export function rawImage({ sizeMib, label }: { sizeMib: number; label: 'gpt' | 'dos' }): Buffer {
  const content = inTemporaryFile(file => makeDiskImage(file, { sizeMib, label }))
  randomFillSync(content, mib, content.length - 2 * mib)
  return content
}

/** Empty, with that many bytes to whoever writes it to a disk. */
export function emptyQcow2(virtualSizeBytes: number): Buffer {
  return inTemporaryFile(file => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, String(virtualSizeBytes)])
  })
}

export function instanceInfo(url: string, content: Buffer, format: 'raw' | 'qcow2' = 'raw'): Record<string, string> {
  return {
    image_source: url,
    image_os_hash_algo: 'sha256',
    image_os_hash_value: createHash('sha256').update(content).digest('hex'),
    image_disk_format: format,
  }
}

/**
 * Whether a GPT image lies at the start of a disk. The table itself is left out: the agent moves its copy to the end of
 * the disk, so its header and the copy in the image differ.
 */
export function liesOn(disk: Buffer, image: Buffer): boolean {
  const tableBytes = 34 * 512
  const [from, to] = [tableBytes, image.length - tableBytes]
  return disk.subarray(from, to).equals(image.subarray(from, to))
}

function inTemporaryFile(make: (file: string) => void): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'ferrite-image-'))
  try {
    make(join(directory, 'image'))
    return readFileSync(join(directory, 'image'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}
