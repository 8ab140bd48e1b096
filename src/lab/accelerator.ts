/**
 * Whether KVM works here. That /dev/kvm opens proves little: some hosts run firmware under KVM and hang as soon as a
 * Linux kernel starts. So a kernel is started, and counts as running when it complains on the serial port that it has
 * no root file system. Without a kernel to try there is no proof, and TCG it is.
 */
import { spawn } from 'node:child_process'
import { access, constants, glob, mkdir, readFile, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { InvalidInput } from '#lib/fault.ts'
import type { Accelerator } from './state.ts'

/** A kernel that works gets there in one second. */
const PROBE_LIMIT_MS = 15_000
const PROVEN = /VFS: Unable to mount root fs/

const ROOT = resolve(import.meta.dirname, '../..')
const CACHE = join(ROOT, 'var/build/kvm-probe.json')
/** The ramdisk's kernel where one was built, else the host's own. */
const KERNELS = [join(ROOT, 'var/build/ramdisk/*.kernel'), '/boot/vmlinuz*']

/** What to run machines with. The answer for this boot of the host is kept beside the build outputs. */
export async function chooseAccelerator(
  wanted: Accelerator | 'auto',
  log: (line: string) => void,
): Promise<Accelerator> {
  if (wanted !== 'auto') {
    if (wanted === 'kvm' && !(await openable())) {
      throw new InvalidInput('Cannot use KVM: /dev/kvm cannot be opened for reading and writing')
    }
    return wanted
  }
  if (!(await openable())) return 'tcg'
  const kernel = await firstKernel()
  if (kernel === null) return 'tcg'
  const key = `${kernel} on ${release()} since ${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()}`
  const known: unknown = await readFile(CACHE, 'utf8')
    .then(JSON.parse)
    .catch(() => null)
  if (isAnswer(known) && known.key === key) return known.accelerator
  log('trying whether a Linux kernel runs under KVM')
  const accelerator = (await runsUnderKvm(kernel, PROBE_LIMIT_MS)) ? 'kvm' : 'tcg'
  log(accelerator === 'kvm' ? 'KVM works' : 'KVM does not run a Linux kernel here: using TCG')
  await mkdir(dirname(CACHE), { recursive: true })
  await writeFile(CACHE, JSON.stringify({ key, accelerator }))
  return accelerator
}

/** Starts `kernel` without a root file system under KVM and waits for it to say so. */
export async function runsUnderKvm(kernel: string, limitMs: number): Promise<boolean> {
  const args = ['-accel', 'kvm', '-machine', 'q35', '-cpu', 'host', '-m', '256', '-nodefaults', '-no-user-config']
  const boot = ['-kernel', kernel, '-append', 'console=ttyS0 panic=0', '-display', 'none', '-serial', 'stdio']
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args, ...boot], {
    stdio: ['ignore', 'pipe', 'ignore'],
    signal: AbortSignal.timeout(limitMs),
    killSignal: 'SIGKILL',
  })
  child.on('error', () => {}) // the time limit, or no QEMU: the stream ends either way
  let said = ''
  for await (const bytes of child.stdout) {
    said += bytes
    if (!PROVEN.test(said)) continue
    child.kill('SIGKILL')
    return true
  }
  return false
}

async function firstKernel(): Promise<string | null> {
  for (const pattern of KERNELS) for await (const file of glob(pattern)) return file
  return null
}

async function openable(): Promise<boolean> {
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
}

function isAnswer(value: unknown): value is { key: string; accelerator: Accelerator } {
  return typeof value === 'object' && value !== null && 'key' in value && 'accelerator' in value
}
