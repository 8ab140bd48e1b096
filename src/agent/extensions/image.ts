/**
 * The extension image: making a written disk bootable. Conductors call it after partition images, and on UEFI machines
 * after every image.
 *
 * Source: openstack/ironic-python-agent `extensions/image.py`.
 */
import type { Command } from '../commands.ts'
import { AgentFault } from '../errors.ts'
import type { Hardware } from '../hardware/manager.ts'
import { installBootloader } from '../image/boot/install.ts'

export function imageCommands(hardware: Hardware): Record<string, Command> {
  return {
    install_bootloader: {
      kind: 'async',
      params: [
        'root_uuid',
        'efi_system_part_uuid',
        'prep_boot_part_uuid',
        'target_boot_mode',
        'ignore_bootloader_failure',
      ],
      validate: params => {
        readRequest(params)
      },
      run: async (params, context) => {
        const { agent } = context
        const { ignoreFailure, ...request } = readRequest(params)
        const findDevice = async () => (await hardware.call('osInstallDevice', agent.node)).name
        const ignore = ignoreFailure ?? agent.options.ignoreBootloaderFailure
        await installBootloader({ ...request, ignoreFailure: ignore }, findDevice, context)
        return null
      },
    },
  }
}

function readRequest(params: Record<string, unknown>) {
  const mode = params.target_boot_mode ?? 'bios'
  if (mode !== 'bios' && mode !== 'uefi') throw misfit('target_boot_mode', mode, 'bios or uefi')
  const ignore = params.ignore_bootloader_failure ?? null
  if (ignore !== null && typeof ignore !== 'boolean') throw misfit('ignore_bootloader_failure', ignore, 'true or false')
  return {
    rootUuid: uuidOf(params, 'root_uuid'),
    efiUuid: uuidOf(params, 'efi_system_part_uuid'),
    prepUuid: uuidOf(params, 'prep_boot_part_uuid'),
    targetMode: mode,
    ignoreFailure: ignore,
  } as const
}

function uuidOf(params: Record<string, unknown>, name: string): string | null {
  const value = params[name] ?? null
  if (value === null || value === '') return null
  if (typeof value === 'string' && /^[0-9a-fA-Fx-]+$/.test(value)) return value
  throw misfit(name, value, 'the UUID of a file system or partition')
}

function misfit(name: string, found: unknown, expected: string): AgentFault {
  return new AgentFault(
    'InvalidCommandParamsError',
    `Cannot read ${name}: found ${JSON.stringify(found)}, expected ${expected}`,
  )
}
