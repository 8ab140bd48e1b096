/**
 * Fills the ramdisk's file tree: programs and files of contents.ts, kernel modules, Node, the agent, and the few
 * configuration files that these expect. It decides what is inside; pack.ts decides in which form.
 */
import { readFileSync } from 'node:fs'
import { cp, mkdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Fault } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { type Additions, addDirectory, addPackage, modulesAmong } from './additions.ts'
import { type Architecture, architectures, busyboxApplets, modules, paths, programs, rootModules } from './contents.ts'
import { type Feature, type FeatureContents, features } from './features.ts'
import { chooseModules, readModuleIndex } from './modules.ts'
import { FileNotInPackages, Tree } from './tree.ts'

export type Assembly = {
  tree: Tree
  /** Path of the kernel on this machine. */
  kernelFile: string
  /** The kernel's name of itself, such as `6.1.0-31-amd64`. */
  kernelVersion: string
  moduleCount: number
  /** Module files that the initramfs loads before it has its root, in order. */
  rootModuleFiles: string[]
  /** A static busybox for the initramfs. */
  busyboxFile: string
}

/** A kernel module that must be there is in neither the kernel nor its package. */
export class ModuleNotInPackages extends Fault {
  readonly status = 500
  readonly code = 'module-not-in-packages'
}

/**
 * @param options.packages unpacked packages, by name
 * @param options.version one line that the ramdisk shows when it starts
 * @param options.workDirectory a directory of this build's own; module indexes are made there
 */
export async function assemble(options: {
  architecture: Architecture
  features: readonly Feature[]
  additions: Additions
  packages: ReadonlyMap<string, string>
  nodeFile: string
  agentFile: string
  version: string
  workDirectory: string
}): Promise<Assembly> {
  const platform = architectures[options.architecture]
  const tree = new Tree(options.packages, platform.libraryDirectories)
  for (const name of mountPoints) tree.directory(name)
  tree.directory('/root', 0o700)
  tree.directory('/tmp', 0o1777)
  tree.link('/var/run', '/run')
  tree.link('/etc/mtab', '/proc/self/mounts')

  tree.pick('/usr/bin/busybox')
  for (const name of [...programs, ...platform.programs]) tree.program(name)
  for (const path of paths) tree.pick(path)
  // Plug-ins, which no program lists.
  for (const path of tree.find('/usr/lib/')) if (/\/multipath\/lib\w+\.so$/.test(path)) tree.pick(path)
  // busybox holds the names of its applets as one table of texts.
  const busyboxFile = tree.sourceOf('/usr/bin/busybox')
  const busybox = readFileSync(busyboxFile)
  for (const name of busyboxApplets.split(' ')) {
    if (!busybox.includes(`\0${name}\0`)) {
      throw new FileNotInPackages(`Cannot add the program ${name}: this busybox does not have it`)
    }
    if (pathOf(tree, name) === undefined) tree.link(`/usr/bin/${name}`, 'busybox')
  }

  tree.file('/usr/bin/node', options.nodeFile)
  tree.file('/usr/lib/ferrite/agent.mjs', options.agentFile)
  tree.data('/usr/lib/ferrite/version', `${options.version}\n`)
  tree.data('/usr/lib/ferrite/init', ownFile('init'), 0o755)
  tree.data('/usr/lib/ferrite/dhcp', ownFile('dhcp'), 0o755)
  const chosen: readonly FeatureContents[] = options.features.map(name => features[name])
  for (const [path, text] of Object.entries(configuration)) {
    tree.data(path, text + chosen.map(({ appended }) => appended[path] ?? '').join(''))
  }
  for (const feature of chosen) addFeature(tree, feature)
  const { additions } = options
  for (const name of additions.packages) addPackage(tree, name)
  for (const directory of additions.directories) addDirectory(tree, directory)
  tree.data('/etc/profile', profile(tree))
  tree.data('/etc/acpi/PWRF/00000080', '#!/usr/bin/sh\nexec poweroff\n', 0o755)
  const authorities = tree.find('/usr/share/ca-certificates/').filter(path => path.endsWith('.crt'))
  const certificates = authorities.map(path => `${readFileSync(tree.sourceOf(path), 'utf8').trimEnd()}\n`)
  tree.data('/etc/ssl/certs/ca-certificates.crt', certificates.join(''))

  const kernel = findKernel(tree)
  const { paths: modulePaths, rootModuleFiles } = await addModules(tree, {
    version: kernel.version,
    names: [...chosen.flatMap(feature => feature.modules), ...additions.modules],
    workDirectory: options.workDirectory,
  })
  return {
    tree,
    kernelFile: tree.sourceOf(kernel.path),
    kernelVersion: kernel.version,
    moduleCount: modulePaths.length,
    rootModuleFiles,
    busyboxFile,
  }
}

const mountPoints = ['/dev', '/mnt', '/proc', '/run', '/sys', '/var/lib/chrony', '/var/log', '/var/tmp']

/** The groups are those that udev's rules name. */
const configuration = {
  '/etc/passwd': 'root:x:0:0:root:/root:/usr/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/bin/false\n',
  '/etc/shadow': 'root:*:20000:0:99999:7:::\n',
  '/etc/group':
    'root:x:0:\ntty:x:5:\ndisk:x:6:\nlp:x:7:\nkmem:x:15:\ndialout:x:20:\ncdrom:x:24:\ntape:x:26:\naudio:x:29:\n' +
    'video:x:44:\nsgx:x:104:\ninput:x:105:\nkvm:x:106:\nrender:x:107:\nnogroup:x:65534:\n',
  '/etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n',
  '/etc/os-release': 'ID=ferrite\nNAME="Ferrite ramdisk"\nPRETTY_NAME="Ferrite ramdisk"\n',
  // Disks with one path alone stay what they are, and a disk that no path reaches any more fails instead of waiting.
  '/etc/multipath.conf': 'defaults {\n  find_multipaths yes\n  no_path_retry fail\n}\n',
  // The builder picks programs, not their state; what array exists is read off the disks.
  '/etc/mdadm/mdadm.conf': 'HOMEHOST <ignore>\nMAILADDR root\n',
}

function addFeature(tree: Tree, { programs, paths, directories, match, exclude, data }: FeatureContents): void {
  for (const name of programs) tree.program(name)
  for (const path of paths) tree.pick(path)
  for (const path of directories) tree.directory(path)
  for (const path of tree.find('/usr/')) {
    if (match.some(pattern => pattern.test(path)) && !exclude.test(path)) tree.pick(path)
  }
  for (const [path, text] of Object.entries(data)) tree.data(path, text)
}

/** busybox's shell prefers its own programs; for a person at the console, the full ones are better. */
function profile(tree: Tree): string {
  const aliases = ['ip', 'losetup', 'modprobe', 'mount', 'umount', 'xz'].map(
    name => `alias ${name}=${pathOf(tree, name) ?? name}\n`,
  )
  return `export PS1='\\h:\\w# '\n${aliases.join('')}`
}

function pathOf(tree: Tree, program: string): string | undefined {
  return [`/usr/sbin/${program}`, `/usr/bin/${program}`].find(path => tree.has(path))
}

function ownFile(name: string): Buffer {
  return readFileSync(new URL(`files/${name}`, import.meta.url))
}

function findKernel(tree: Tree): { path: string; version: string } {
  // One kernel package was asked for; its name ends with the version, and so does that of the kernel in it.
  const path = tree.find('/boot/vmlinuz-').at(-1) ?? tree.find('/boot/vmlinux-').at(-1)
  if (path === undefined) throw new ModuleNotInPackages('Cannot find a kernel: no package holds /boot/vmlinuz-*')
  return { path, version: basename(path).replace(/^vmlinu[xz]-/, '') }
}

/**
 * Adds the chosen modules and their indexes. depmod runs twice, each time on a tree of links: over all modules, to learn
 * who needs whom, and over the chosen ones, to write the indexes that the ramdisk is going to use.
 */
async function addModules(
  tree: Tree,
  { version, names, workDirectory }: { version: string; names: readonly string[]; workDirectory: string },
): Promise<{ paths: string[]; rootModuleFiles: string[] }> {
  const inTree = `/usr/lib/modules/${version}`
  const source = dirname(tree.sourceOf(`${inTree}/modules.builtin`))
  const all = await depmod(source, version, join(workDirectory, 'modules-all'))
  const text = (name: string) => readFile(join(all, name), 'utf8')
  const index = readModuleIndex({
    dep: await text('modules.dep'),
    builtin: await text('modules.builtin'),
    softdep: await text('modules.softdep'),
    alias: await text('modules.alias'),
  })
  const { paths: chosen, unknown } = chooseModules(index, { ...modules, names: [...modules.names, ...names] })
  const needed = chooseModules(index, { names: rootModules, match: [], exclude: [] })
  const missing = [...unknown, ...needed.unknown].filter(name => !isOptional(name))
  if (missing.length > 0) {
    throw new ModuleNotInPackages(`Cannot add kernel modules: ${missing.join(', ')} not found in kernel ${version}`)
  }

  // One of the operator's own takes the place of the kernel's.
  const own = modulesAmong(tree, version)
  for (const path of chosen) if (!own.has(path)) tree.pick(`${inTree}/${path}`)
  const files = new Map([...chosen.map(path => [path, join(source, path)] as const), ...own])
  const few = await depmod(source, version, join(workDirectory, 'modules-chosen'), files)
  for (const name of indexFiles) tree.data(`${inTree}/${name}`, await readFile(join(few, name)))

  const order = rootModules.flatMap(name => {
    const path = index.byName.get(name)
    return path === undefined ? [] : [...[...(index.dependencies.get(path) ?? [])].reverse(), path]
  })
  return {
    paths: [...files.keys()],
    rootModuleFiles: [...new Set(order)].map(path => tree.sourceOf(`${inTree}/${path}`)),
  }
}

/** Drivers of other hypervisors and some functions are built in, absent or renamed, depending on kernel and processor. */
function isOptional(name: string): boolean {
  return /^(hv_|xen|vmw_|vmxnet3|iTCO|watchdog|edac|efi_pstore|tpm_)/.test(name)
}

const indexFiles = [
  'modules.alias',
  'modules.alias.bin',
  'modules.builtin',
  'modules.builtin.bin',
  'modules.builtin.modinfo',
  'modules.builtin.alias.bin',
  'modules.dep',
  'modules.dep.bin',
  'modules.devname',
  'modules.order',
  'modules.softdep',
  'modules.symbols',
  'modules.symbols.bin',
]

/**
 * Runs depmod below `directory` over the modules of `source`, or over those of `only`: path to file.
 * @returns where the indexes lie
 */
async function depmod(
  source: string,
  version: string,
  directory: string,
  only?: ReadonlyMap<string, string>,
): Promise<string> {
  await rm(directory, { recursive: true, force: true })
  const target = join(directory, 'lib/modules', version)
  await mkdir(target, { recursive: true })
  if (only === undefined) await run('cp', ['-al', join(source, 'kernel'), target])
  for (const [path, file] of only ?? []) {
    await mkdir(dirname(join(target, path)), { recursive: true })
    await cp(file, join(target, path))
  }
  for (const name of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo']) {
    await cp(join(source, name), join(target, name))
  }
  await run('depmod', ['-b', directory, version])
  return target
}
