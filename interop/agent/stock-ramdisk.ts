/**
 * A ramdisk in which the stock ironic-python-agent runs: ours as it is, with the newest agent from the Python package
 * index, a Python and the tools that this agent calls laid over it as one squashfs. Where our agent would start, a
 * launcher starts that one. Nothing of the agent is changed, and nothing of it is kept.
 */
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ensureHostPackages, forNewestClients } from '#lab/host-packages.ts'
import { CommandFailed, run } from '#lib/run.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { writeCpio } from '#ramdisk/cpio.ts'
import { PackageCache } from '#ramdisk/packages.ts'
import { Tree } from '#ramdisk/tree.ts'
import { CannotRunHere } from '../driving.ts'

export interface StockRamdisk {
  readonly kernel: string
  readonly initramfs: string
  /** Of ironic-python-agent. */
  readonly version: string
}

const packages = ['coreutils', 'file', 'libc-bin', 'lshw', 'parted', 'psmisc', 'python3-minimal', 'libpython3-stdlib']
const programs = ['cp', 'dd', 'du', 'file', 'fuser', 'lshw', 'partprobe', 'parted', 'python3', 'shred']
/** Where all of it is mounted. */
const root = '/opt/stock'
const libraries = ['/usr/lib/x86_64-linux-gnu', '/usr/lib']

/**
 * @param directory made, and filled; the work in progress takes some 200 MB
 * @throws CannotRunHere when the agent cannot be had
 */
export async function buildStockRamdisk(directory: string, log: (line: string) => void): Promise<StockRamdisk> {
  const ours = await buildRamdisk({ log })
  const stage = join(directory, 'stage')
  await mkdir(directory, { recursive: true })
  const cache = new PackageCache(resolve('var/build/cache/packages/amd64'), 'amd64')
  const resolved = await cache.resolve(packages, { refresh: false })
  const tree = new Tree(await cache.unpack(packages, resolved), libraries)
  for (const name of programs) tree.program(name)
  for (const path of tree.find('/usr/')) {
    if (/^\/usr\/lib\/(python3\.\d+|file)\/|^\/usr\/share\/(misc|file)\//.test(path)) tree.pick(path)
  }
  // Loaded by name, so no program lists it.
  for (const path of tree.find('/usr/lib/x86_64-linux-gnu/libgcc_s.so')) tree.pick(path)
  await tree.writeTo(stage)
  log('fetching ironic-python-agent')
  const version = await installAgent(directory, join(stage, 'agent'))
  const squash = join(directory, 'stock.squashfs')
  await run('mksquashfs', [stage, squash, '-noappend', '-quiet', '-no-progress', '-all-root', '-comp', 'zstd'])
  await rm(stage, { recursive: true })

  const kernel = join(directory, 'stock.kernel')
  const initramfs = join(directory, 'stock.initramfs')
  await copyFile(ours.kernel, kernel)
  await copyFile(ours.initramfs, initramfs)
  const folders = [
    'overlay',
    'overlay/opt',
    `overlay${root}`,
    'overlay/usr',
    'overlay/usr/sbin',
    'overlay/usr/lib',
    'overlay/usr/lib/ferrite',
  ]
  const entries = [
    ...folders.map(path => ({ kind: 'directory' as const, path, mode: 0o755 })),
    { kind: 'file' as const, path: `overlay${root}.squashfs`, mode: 0o600, data: await readFile(squash) },
    // Python looks for it there, to find libraries by name.
    {
      kind: 'file' as const,
      path: 'overlay/usr/sbin/ldconfig',
      mode: 0o755,
      data: await readFile(tree.sourceOf('/sbin/ldconfig')),
    },
    { kind: 'file' as const, path: 'overlay/usr/lib/ferrite/agent.mjs', mode: 0o644, data: Buffer.from(launcher) },
  ]
  await pipeline(Readable.from(writeCpio(entries, 0)), createWriteStream(initramfs, { flags: 'a' }))
  return { kernel, initramfs, version }
}

/** Into a directory that needs nothing of this machine's but a Python of the same version. @returns its version */
async function installAgent(directory: string, target: string): Promise<string> {
  const environment = join(directory, 'venv')
  const pip = join(environment, 'bin/pip')
  try {
    await ensureHostPackages(forNewestClients, line => console.log(line))
    await run('/usr/bin/python3', ['-m', 'venv', environment])
    const options = ['--quiet', '--retries', '1', '--only-binary', ':all:', '--target', target]
    await run(pip, ['install', ...options, 'ironic-python-agent', 'setuptools'])
    const { stdout } = await run(pip, ['list', '--path', target, '--format', 'freeze'])
    return /^ironic-python-agent==(.+)$/m.exec(stdout)?.[1] ?? 'of unknown version'
  } catch (error) {
    if (error instanceof CommandFailed) throw new CannotRunHere(`the stock agent cannot be had: ${error.message}`)
    throw error
  } finally {
    await rm(environment, { recursive: true, force: true })
  }
}

/** Runs as our agent would: init starts it, and starts it again when it ends. */
const launcher = `
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
const root = '${root}'
if (!existsSync(root + '/agent')) {
  spawnSync('mount', ['-t', 'squashfs', '-o', 'ro,loop', root + '.squashfs', root], { stdio: 'inherit' })
  spawnSync('ldconfig', ['/usr/lib/x86_64-linux-gnu', '${root}${libraries[0]}'], { stdio: 'inherit' })
}
const path = [root + '/usr/sbin', root + '/usr/bin', process.env.PATH].join(':')
const env = { ...process.env, PATH: path, PYTHONPATH: root + '/agent', LANG: 'C.UTF-8' }
const { status } = spawnSync(root + '/usr/bin/python3', [root + '/agent/bin/ironic-python-agent'], { stdio: 'inherit', env })
process.exitCode = status ?? 1
`
