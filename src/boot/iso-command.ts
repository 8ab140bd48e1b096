/**
 * `ferrite iso`: makes a bootable ISO of a ramdisk, for USB sticks, for media that a BMC is given by hand, for machines
 * that cannot boot from a network. The service makes its own, one for each node.
 */
import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { loadConfig } from '#config/load.ts'
import { InvalidInput } from '#lib/fault.ts'
import { runProgram } from '#lib/run-program.ts'
import { buildBootIso } from './iso.ts'
import { hostLoaders } from './iso-loaders.ts'

type IsoArguments = { ramdisk: string; output: string; parameters: string; arch: string }

/** @returns the exit status */
export async function main(args: string[]): Promise<number> {
  const program = new Command('ferrite iso')
    .description('Makes a bootable ISO of a ramdisk, for BIOS and UEFI as far as this host has loaders')
    .exitOverride()
    .option('--ramdisk <directory>', 'where its kernel and initramfs are', 'var/build/ramdisk')
    .option('--output <file>', 'the ISO', 'var/build/ferrite-agent.iso')
    .option('--parameters <text>', "the kernel's, such as ipa-api-url=http://192.0.2.1:6385", 'console=tty0')
    .option('--arch <name>', 'of the machines: x86_64 or aarch64', 'x86_64')
    .action(async (options: IsoArguments) => {
      const made = await makeIso(options)
      process.stdout.write(`${made.path}  for ${made.modes.join(' and ')}\n`)
    })
  return runProgram(program, args)
}

async function makeIso({ ramdisk: directory, output, parameters, arch }: IsoArguments) {
  const [kernel, ramdisk] = [join(directory, 'ferrite-agent.kernel'), join(directory, 'ferrite-agent.initramfs')]
  for (const file of [kernel, ramdisk]) {
    await access(file).catch(() => {
      throw new InvalidInput(`Cannot build a boot ISO: ${file} is not there; expected what ferrite ramdisk build makes`)
    })
  }
  const path = resolve(output)
  const tftp_master_path = resolve('var/build/cache/loaders')
  const config = await loadConfig({ overrides: { pxe: { tftp_master_path } } })
  const { bios, efi } = await hostLoaders(config, arch)
  const grubConfigPath = config.DEFAULT.grub_config_path
  await buildBootIso(path, { kernel, ramdisk, parameters, publisher: null, bios, efi, grubConfigPath, files: {} })
  return { path, modes: [...(bios ? ['BIOS'] : []), ...(efi ? ['UEFI'] : [])] }
}
