/**
 * A block device that fails like a real one, for tests: a loop device over a file that qemu-storage-daemon serves by FUSE
 * and can refuse writes to, or stop serving at any moment. Needs root and FUSE.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { needsRoot } from '../loop-disk.ts'

/** For `test(name, { skip: needsFuse }, ...)`. */
export const needsFuse =
  needsRoot === false && existsSync('/dev/fuse') && existsSync('/usr/bin/qemu-storage-daemon')
    ? false
    : 'needs root, FUSE and qemu-storage-daemon'

export interface FaultyDisk {
  device: string
  /** From now on everything that is asked of it fails. */
  vanish(): void
  remove(): Promise<void>
}

/** @param options.badMib writes that touch this MiB fail with EIO; null: none */
export async function makeFaultyDisk(sizeMib: number, { badMib }: { badMib: number | null }): Promise<FaultyDisk> {
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-faulty-'))
  const [medium, served] = [join(dir, 'medium'), join(dir, 'served')]
  for (const file of [medium, served]) writeFileSync(file, '')
  truncateSync(medium, sizeMib * 1024 * 1024)
  // Each sector by itself, 4 KiB apart: whoever writes less than that may miss them.
  const faults = Array.from({ length: badMib === null ? 0 : 256 }, (_, page) => ({
    ...{ event: 'pwritev', iotype: 'write', errno: 5 },
    sector: (badMib ?? 0) * 2048 + page * 8,
  }))
  const blockdev = (node: object) => ['--blockdev', JSON.stringify(node)]
  const daemon = spawn(
    'qemu-storage-daemon',
    [
      ...blockdev({ driver: 'file', 'node-name': 'medium', filename: medium }),
      ...blockdev({
        ...{ driver: 'blkdebug', 'node-name': 'faulty', image: 'medium' },
        ...(faults.length > 0 && { 'inject-error': faults }),
      }),
      ...['--export', `type=fuse,id=served,node-name=faulty,mountpoint=${served},writable=on`],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const ended = new Promise<void>(resolve => daemon.once('exit', () => resolve()))
  while (statSync(served).size === 0) {
    if (daemon.exitCode !== null) throw new Error(`qemu-storage-daemon ended with status ${daemon.exitCode}`)
    await sleep(20)
  }
  const device = execFileSync('losetup', ['--find', '--show', '--partscan', served]).toString().trim()
  return {
    device,
    vanish: () => void daemon.kill('SIGKILL'),
    remove: async () => {
      execFileSync('losetup', ['--detach', device])
      daemon.kill('SIGKILL')
      await ended
      execFileSync('umount', ['--lazy', served])
      rmSync(dir, { recursive: true })
    },
  }
}
