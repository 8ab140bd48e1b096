/**
 * Set-up of the tests that make disks bootable: images with loaders, the installation of one as a conductor asks for it, a
 * firmware whose list can be looked at. For tests.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { imageCommands } from '../../extensions/image.ts'
import { selectHardware } from '../../hardware/dispatch.ts'
import { genericManager } from '../../hardware/generic.ts'
import { type Bench, type BenchOptions, dir, MIB, setUp } from '../test-setup.ts'
import { fakeFirmware } from './fake-efibootmgr.ts'

/** What `efibootmgr` of these tests changes. */
export const firmware = fakeFirmware(dir)
process.env.PATH = `${firmware.folder}:${process.env.PATH}`

const benches: Bench[] = []

/** A disk to write to, and a firmware without entries. */
export async function makeBench(content: Buffer, options: BenchOptions): Promise<Bench> {
  const bench = await setUp(content, options)
  benches.push(bench)
  bench.context.node = {
    uuid: 'u',
    properties: { root_device: { name: bench.disk.device } },
    instance_info: {},
  }
  firmware.set([])
  return bench
}

export async function removeBenches(): Promise<void> {
  for (const bench of benches.splice(0)) await bench.remove()
}

/** The command, as a conductor calls it. */
export async function install({ context }: Bench, params: Record<string, unknown>): Promise<unknown> {
  const { install_bootloader: command } = imageCommands(await selectHardware(context, [genericManager(context)]))
  command?.validate?.(params, context)
  const { signal } = new AbortController()
  return await command?.run(params, { agent: context, progress: () => {}, signal })
}

/** An ext4 with these files. */
export function fileSystem(name: string, sizeMib: number, files: Record<string, string | Buffer>): string {
  const tree = mkdtempSync(join(dir, 'tree-'))
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(tree, dirname(path)), { recursive: true })
    writeFileSync(join(tree, path), content)
    chmodSync(join(tree, path), 0o755)
  }
  return packed(name, sizeMib, tree)
}

/** An ext4 with the files of a directory. */
export function packed(name: string, sizeMib: number, tree: string): string {
  const file = join(dir, name)
  writeFileSync(file, '')
  truncateSync(file, sizeMib * MIB)
  execFileSync('mkfs.ext4', ['-q', '-F', '-d', tree, file])
  return file
}

const list = '\ufeffshimx64.efi,debian,,Boot entry\n'
const csv = Buffer.from(list, 'utf16le')
export const debianFiles = { 'EFI/debian/BOOTX64.CSV': csv, 'EFI/debian/shimx64.efi': 'shim' }

/** ext4 takes the place of FAT: not every kernel that runs tests has that. */
export function wholeDisk(espType: string): Buffer {
  const file = join(dir, `whole-${espType.length}`)
  writeFileSync(file, '')
  truncateSync(file, 16 * MIB)
  execFileSync('sfdisk', ['--quiet', file], { input: `label: gpt\nstart=2048, size=8192, type=${espType}\n` })
  const handle = openSync(file, 'r+')
  writeSync(handle, readFileSync(fileSystem('esp', 4, debianFiles)), 0, 4 * MIB, MIB)
  closeSync(handle)
  return readFileSync(file)
}

export function withMounted<T>(partition: string, look: (path: string) => T): T {
  const path = mkdtempSync(join(dir, 'mount-'))
  execFileSync('mount', ['-o', 'ro', partition, path])
  try {
    return look(path)
  } finally {
    execFileSync('umount', [path])
  }
}

/** A program with the libraries it needs. */
export function putProgram(tree: string, program: string): void {
  const libraries = execFileSync('sh', ['-c', `ldd ${program} || true`])
    .toString()
    .match(/\/\S+\.so\S*/g)
  for (const file of [program, ...(libraries ?? [])]) {
    mkdirSync(join(tree, dirname(file)), { recursive: true })
    execFileSync('cp', ['-L', file, join(tree, file)])
  }
  symlinkSync('busybox', join(tree, 'bin/sh'))
}

/** A program of the image. */
export function putScript(tree: string, path: string, line: string): void {
  mkdirSync(join(tree, dirname(path)), { recursive: true })
  writeFileSync(join(tree, path), `#!/bin/sh\n${line}\n`)
  chmodSync(join(tree, path), 0o755)
}
