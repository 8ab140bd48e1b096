/**
 * Conversion to raw by qemu-img, in a process of its own with a limit on its address space. The source's format is
 * always named: a converter that guesses can be led into other files.
 */
import { spawn } from 'node:child_process'
import { open, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type DiskFormat, qemuFormat } from '#lib/disk-format.ts'
import { messageOf } from '#lib/fault.ts'
import { ImageNotPrepared } from './faults.ts'

/**
 * @param onProgress gets the share that is done, 0 to 1
 * @throws ImageNotPrepared with what qemu-img said
 */
export async function convertToRaw(job: {
  from: string
  to: string
  format: DiskFormat
  shown: string
  memoryLimitMib: number
  attempts: number
  onProgress?: (share: number) => void
}): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const ended = new AbortController()
    const settling = settle(job.to, ended.signal)
    let { code, stderr } = await qemuImg(job, direct)
    if (code !== 0 && /O_DIRECT/.test(stderr)) ({ code, stderr } = await qemuImg(job, cached))
    ended.abort()
    const failure = await settling
    if (code === 0 && failure !== null) [code, stderr] = [1, messageOf(failure)]
    if (code === 0) return
    await rm(job.to, { force: true })
    const mayPass = /Cannot allocate memory|Resource temporarily unavailable|failed to (create|allocate)/i.test(stderr)
    if (!mayPass || attempt >= job.attempts) {
      const hint = mayPass
        ? ` in ${attempt} attempts; see [disk_utils] image_convert_memory_limit (${job.memoryLimitMib} MiB)`
        : ''
      throw new ImageNotPrepared(
        `Cannot convert image ${job.shown} from ${job.format} to raw: ${stderr.trim().split('\n').slice(-3).join(' | ') || `qemu-img ended with ${code}`}${hint}`,
      )
    }
    await delay(attempt * 500)
  }
}

/** Past the page cache: the database must not wait for gigabytes that the kernel would keep (steady-writes.ts). */
const direct = ['-t', 'none']
/** Where the file system cannot do that. */
const cached: readonly string[] = []

const settleEveryMs = 200

/**
 * Sends to the disk what is written of the file so far, again and again. Also what is past the page cache waits somewhere,
 * such as with the host of a virtual machine, and is waited for by whoever next wants a few bytes to be safe.
 * @returns what the disk refused: it tells that once, and nobody after us
 */
async function settle(path: string, ended: AbortSignal): Promise<Error | null> {
  let failure: Error | null = null
  while (!ended.aborted) {
    await delay(settleEveryMs, undefined, { signal: ended }).catch(() => {})
    try {
      await using file = await open(path, 'r+')
      await file.datasync()
    } catch (error) {
      const isThere = (error as NodeJS.ErrnoException).code !== 'ENOENT' // of the file system
      if (isThere) failure ??= error as Error
    }
  }
  return failure
}

function qemuImg(
  { from, to, format, memoryLimitMib, onProgress }: Parameters<typeof convertToRaw>[0],
  cache: readonly string[],
): Promise<{ code: number | string; stderr: string }> {
  const limit = memoryLimitMib * 1024 * 1024
  const convert = ['qemu-img', 'convert', '-p', '-f', qemuFormat(format), '-O', 'raw', '-S', '4k', ...cache, from, to]
  // setpriv ends qemu-img with the worker, also when the worker is killed; prlimit bounds it.
  const command = ['setpriv', '--pdeathsig', 'KILL', '--', 'prlimit', `--as=${limit}`, ...convert]
  return new Promise(resolve => {
    // Fewer arenas keep the address space of the threads inside the limit.
    const child = spawn(command[0] ?? '', command.slice(1), {
      env: { ...process.env, MALLOC_ARENA_MAX: '3', LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk).slice(-4000)
    })
    child.stdout.on('data', (chunk: Buffer) => {
      const percent = [...String(chunk).matchAll(/\((\d+\.\d+)\/100%\)/g)].at(-1)?.[1]
      if (percent !== undefined) onProgress?.(Number(percent) / 100)
    })
    child.on('error', error => resolve({ code: error.message, stderr: `cannot run ${command[0]}: ${error.message}` }))
    child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 'an unknown end', stderr }))
  })
}
