/** `ferrite ramdisk build`: makes the kernel and the initramfs that machines boot to be inspected, cleaned and deployed. */
import { Command, Option } from 'commander'
import { runProgram } from '#lib/run-program.ts'
import { buildRamdisk, type RamdiskBuild } from './build.ts'
import { type Architecture, architectures } from './contents.ts'
import { allFeatures, type Feature } from './features.ts'

type BuildArguments = {
  output?: string
  with: (Feature | 'full')[]
  package: string[]
  module: string[]
  add: string[]
  cache: string
  best?: true
  force?: true
  arch?: Architecture
  node?: string
}

/** @returns the exit status */
export async function main(args: string[]): Promise<number> {
  const program = new Command('ferrite ramdisk').description('The ramdisk with the agent').exitOverride()
  program
    .command('build')
    .description('Builds kernel and initramfs from Debian packages, or finds the build of the same inputs')
    .option('--output <directory>', 'where the three files go; default: var/build/ramdisk, with --with ramdisk-NAME')
    .addOption(
      new Option('--with <name...>', 'what to put in beside; full: all of it')
        .choices([...allFeatures, 'full'])
        .default([]),
    )
    .option('--package <name...>', 'all files of further Debian packages, such as firmware', [])
    .option('--module <name...>', "further modules of Debian's kernel", [])
    .option('--add <directory...>', 'files of your own, which get the paths that they have in there', [])
    .option('--cache <directory>', 'where packages are kept', 'var/build/cache')
    .option('--best', 'compress as far as it goes: a fifth smaller, a minute or more slower')
    .option('--force', "fetch the archive's lists anew and build in any case")
    .addOption(new Option('--arch <name>', "default: this machine's").choices(Object.keys(architectures)))
    .option('--node <file>', 'the Node to pack, for another architecture than this one')
    .action(async (options: BuildArguments) => {
      const startedAt = performance.now()
      const build = await buildRamdisk({
        outDir: options.output ?? ['var/build/ramdisk', ...options.with].join('-'),
        features: options.with.flatMap(name => (name === 'full' ? allFeatures : [name])),
        additions: { packages: options.package, modules: options.module, directories: options.add },
        cacheDir: options.cache,
        compression: options.best ? 'best' : 'fast',
        force: options.force === true,
        ...(options.arch === undefined ? {} : { architecture: options.arch }),
        ...(options.node === undefined ? {} : { nodeFile: options.node }),
        log: line => process.stderr.write(`ramdisk: ${line}\n`),
      })
      process.stdout.write(summary(build, performance.now() - startedAt))
    })
  return runProgram(program, args)
}

function summary(build: RamdiskBuild, tookMs: number): string {
  const { manifest } = build
  const how = build.built ? `built in ${(tookMs / 1000).toFixed(1)} s` : 'up to date'
  return [
    `kernel     ${build.kernel}  ${megabytes(manifest.kernel.size_bytes)} (${manifest.kernel_version})`,
    `initramfs  ${build.initramfs}  ${megabytes(manifest.initramfs.size_bytes)}, unpacked ${megabytes(manifest.unpacked_bytes)}`,
    `manifest   ${build.manifestFile}  ${manifest.packages.length} packages, ${manifest.kernel_modules} kernel modules`,
    `${how}, compression: ${manifest.compression}\n`,
  ].join('\n')
}

/** Megabytes are 10^6 bytes, as disks and downloads are counted. */
function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
