/** Mounts something for as long as a function runs; whatever happens in between, it is unmounted afterwards. */
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '#lib/run.ts'

const UNMOUNT_ATTEMPTS = 5

/**
 * @param options of mount(8); `ro` unless `rw` is among them
 * @throws CommandFailed when it cannot be mounted, or not be unmounted: then what was written may not be on the disk
 */
export async function withMount<T>(
  source: string,
  options: readonly string[],
  use: (path: string) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'ferrite-mount-'))
  const flags = options.includes('rw') ? options : ['ro', ...options]
  try {
    await run('mount', ['-o', flags.join(','), source, dir])
    try {
      return await use(dir)
    } finally {
      await unmount(dir)
    }
  } finally {
    // Never recursive: while a failed umount leaves it mounted, its files are somebody's.
    await rmdir(dir).catch(() => {})
  }
}

/** Unmounts a path and all that is mounted below it. */
async function unmount(path: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run('umount', ['--recursive', path])
      return
    } catch (error) {
      // A program that has just ended, or udev, may still be looking.
      if (attempt === UNMOUNT_ATTEMPTS) throw error
    }
    await sleep(500)
  }
}
