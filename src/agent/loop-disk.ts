/**
 * Real block devices for the tests: sparse files behind loop devices. Needs root; tests skip themselves without.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** For `test(name, { skip: needsRoot }, ...)`. */
export const needsRoot = process.getuid?.() === 0 ? false : 'needs root for loop devices'

export interface LoopDisk {
  /** `/dev/loop7` */
  device: string
  file: string
  remove(): void
}

/** @param options.folder holds the content: one without room makes a disk whose writes fail */
export function makeLoopDisk(sizeMib: number, { sectorBytes = 512, folder = tmpdir() } = {}): LoopDisk {
  const dir = mkdtempSync(join(folder, 'ferrite-disk-'))
  const file = join(dir, 'disk')
  writeFileSync(file, '')
  truncateSync(file, sizeMib * 1024 * 1024)
  const device = execFileSync('losetup', ['--find', '--show', '--partscan', '--sector-size', String(sectorBytes), file])
    .toString()
    .trim()
  return {
    device,
    file,
    remove: () => {
      execFileSync('losetup', ['--detach', device])
      rmSync(dir, { recursive: true })
    },
  }
}

/** For tests that look into a config drive: not every kernel that runs tests has these. */
export const needsMounts = ['iso9660', 'vfat'].every(name =>
  readFileSync('/proc/filesystems', 'utf8').includes(`\t${name}\n`),
)
  ? false
  : 'needs iso9660 and vfat in the kernel'

/** A small bootable-looking image: a partition table, one or two partitions, random content. */
export function makeDiskImage(file: string, { sizeMib = 16, label = 'gpt' as 'gpt' | 'dos' } = {}): void {
  writeFileSync(file, '')
  truncateSync(file, sizeMib * 1024 * 1024)
  const script = `label: ${label}\nlabel-id: ${label === 'gpt' ? '11111111-2222-3333-4444-555555555555' : '0x1badb002'}\nstart=2048, size=8192\nstart=10240\n`
  execFileSync('sfdisk', ['--quiet', file], { input: script })
}
