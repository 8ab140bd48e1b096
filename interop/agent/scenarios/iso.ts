/** `ferrite iso`, as somebody makes it who has a USB stick and no service: a BIOS and a UEFI machine start from it. */
import { join } from 'node:path'
import { FIRMWARE_CODE, FIRMWARE_VARIABLES } from '#lab/qemu.ts'
import { run as runProgram } from '#lib/run.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { LoneWorld } from '../lone-machine.ts'
import type { Scenario } from '../scenario.ts'

async function run(): Promise<readonly string[]> {
  const ramdisk = await buildRamdisk({ log: line => console.log(line) })
  const notes: string[] = []
  for (const bootMode of ['bios', 'uefi'] as const) {
    const world = await LoneWorld.open()
    try {
      const iso = join(world.directory, 'agent.iso')
      const parameters = `console=ttyS0,115200 ${world.parameters}`
      const from = ['--ramdisk', join(ramdisk.kernel, '..')]
      await runProgram(join(import.meta.dirname, '../../../ferrite'), [
        ...['iso', ...from, '--output', iso, '--parameters', parameters],
      ])
      const flash = (unit: number, file: string, readonly: string) =>
        `if=pflash,unit=${unit},format=raw,readonly=${readonly},file=${file}`
      const firmware =
        bootMode === 'bios'
          ? []
          : [
              ...['-drive', flash(0, FIRMWARE_CODE, 'on')],
              ...['-drive', flash(1, await world.variables(FIRMWARE_VARIABLES), 'off')],
            ]
      const seconds = await world.boot({
        program: 'qemu-system-x86_64',
        args: ['-machine', 'q35', '-cpu', 'max', ...firmware, '-cdrom', iso],
        architecture: 'x86_64',
        bootMode,
      })
      notes.push(`${bootMode}: heartbeat after ${seconds.toFixed(0)} s`)
    } finally {
      await world.close()
    }
  }
  return notes
}

export default {
  name: 'iso',
  title: 'an ISO made by hand, booted by BIOS and by UEFI: the agent tells what the machine is, and looks it up',
  packages: ['isolinux', 'syslinux-common', 'xorriso', 'mtools', 'grub-efi-amd64-bin'],
  run,
} satisfies Scenario
