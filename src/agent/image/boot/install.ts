/**
 * Makes a written disk bootable: tells UEFI firmware of the loader on the disk, puts one onto the EFI system partition of
 * a partition image first, or has the image's own installer write the boot sector for BIOS.
 *
 * Source: openstack/ironic-python-agent `extensions/image.py`, `efi_utils.py` (order of what is tried).
 */
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { RunContext } from '../../context.ts'
import { AgentFault } from '../../errors.ts'
import { settle } from '../../hardware/block-devices.ts'
import { type BootMode, presentBootMode } from '../../hardware/boot-mode.ts'
import { rereadPartitions } from '../../hardware/device-use.ts'
import { withMount } from '../../hardware/mounts.ts'
import { findPartition, hasUuid, type Signatures } from '../../hardware/probe.ts'
import { addEntry, canListEntries } from './boot-entries.ts'
import { efiArch, fillEsp } from './fill-esp.ts'
import { addToFstab } from './fstab.ts'
import { type GrubTarget, installGrub } from './grub.ts'
import { findLoaders } from './loaders.ts'

export interface BootRequest {
  /** Null, or eight hex digits with 0x: a whole-disk image. */
  rootUuid: string | null
  efiUuid: string | null
  prepUuid: string | null
  targetMode: BootMode
  ignoreFailure: boolean
}

type Disk = BootRequest & { device: string }

/**
 * @param findDevice asked for the disk when there is something to do on it
 * @throws AgentFault DeviceNotFound, InvalidImage, CommandExecutionError, unless failures are to be ignored
 */
export async function installBootloader(
  request: BootRequest,
  findDevice: () => Promise<string>,
  context: RunContext,
): Promise<void> {
  const { agent } = context
  const present = presentBootMode(agent.settings)
  if (present !== request.targetMode) {
    agent.log.warn(`The machine is to boot by ${request.targetMode}, and runs in ${present}: it may not boot`)
  }
  const isWholeDisk = request.rootUuid === null || /^0x[0-9a-f]{8}$/i.test(request.rootUuid)
  try {
    if (present === 'bios' && isWholeDisk) {
      agent.log.info('A whole-disk image: it brings its own boot loader')
      return
    }
    const device = await findDevice()
    if (/^\/dev\/md/.test(device)) {
      throw new AgentFault(
        'InvalidImage',
        `Cannot make ${device} bootable: firmware does not read software RAID, and this agent does not put boot loaders on the members of an array`,
      )
    }
    await rereadPartitions(device)
    const disk: Disk = { ...request, device }
    if (present === 'uefi' && (await registerLoaders(disk, context))) return
    if (!isWholeDisk) await bootPartitionImage(disk, request.rootUuid ?? '', context)
  } catch (error) {
    if (!request.ignoreFailure) throw error
    agent.log.error(`Making the disk bootable failed, which is to be ignored: ${messageOf(error)}`)
  }
}

/** Puts the loaders on the disk's EFI system partition into the firmware's list; false when there are none. */
async function registerLoaders({ device, efiUuid }: Disk, { agent, progress }: RunContext): Promise<boolean> {
  if (!(await canListEntries())) {
    agent.log.warn("The firmware's boot entries cannot be changed: efibootmgr is missing or finds no variables")
    return false
  }
  const esp = (await findPartition(device, isEsp)) ?? (efiUuid === null ? null : await byUuid(device, efiUuid))
  if (esp === null) {
    throw new AgentFault(
      'DeviceNotFound',
      `Cannot make ${device} bootable by UEFI: it has no EFI system partition; is the image one for UEFI machines?`,
    )
  }
  const loaders = await withMount(esp.device, [], findLoaders)
  if (loaders.length === 0) agent.log.warn(`The EFI system partition ${esp.device} has no loader that is known`)
  for (const loader of loaders) {
    progress({ phase: 'boot entry', bytes: 0, total_bytes: null, detail: `${loader.label} ${loader.path}` })
    await addEntry(loader, device, esp.signatures.partitionNumber ?? 1).catch(error => {
      throw new AgentFault('CommandExecutionError', `Cannot add a boot entry for ${device}: ${messageOf(error)}`, {
        cause: error,
      })
    })
    agent.log.info(`Boot entry "${loader.label}" is ${loader.path} on ${esp.device}`)
  }
  return loaders.length > 0
}

async function bootPartitionImage(request: Disk, rootUuid: string, context: RunContext): Promise<void> {
  const { device, efiUuid, prepUuid, targetMode } = request
  const root = await byUuid(device, rootUuid)
  if (root === null) {
    throw new AgentFault('DeviceNotFound', `Cannot make ${device} bootable: no partition has the root UUID ${rootUuid}`)
  }
  if (efiUuid !== null || targetMode === 'uefi') {
    await bootByUefi(request, { root: root.device, rootUuid }, context)
    if (presentBootMode(context.agent.settings) === 'uefi') await registerLoaders(request, context)
    return
  }
  const prep = prepUuid === null ? null : await byUuid(device, prepUuid)
  const target: GrubTarget =
    prep === null ? { kind: 'bios', disks: [device] } : { kind: 'power', partition: prep.device }
  await runInstaller(root.device, target, context)
}

async function bootByUefi(
  { device, efiUuid }: Disk,
  { root, rootUuid }: { root: string; rootUuid: string },
  context: RunContext,
): Promise<void> {
  const esp = (efiUuid === null ? null : await byUuid(device, efiUuid)) ?? (await findPartition(device, isEsp))
  if (esp === null) {
    throw new AgentFault('DeviceNotFound', `Cannot make ${device} bootable by UEFI: it has no EFI system partition`)
  }
  const uuid = esp.signatures.uuid ?? efiUuid ?? ''
  const arch = efiArch(process.arch)
  // Nothing of the image is run, and none of its device nodes means anything, while it is only copied from.
  const mountPoint = await withMount(root, ['rw', 'nodev', 'nosuid', 'noexec'], async rootPath => {
    const copied = await withMount(esp.device, ['rw'], espPath =>
      fillEsp({ root: rootPath, esp: espPath }, { rootUuid, arch }),
    )
    if (copied !== null) await addToFstab(rootPath, { uuid, mountPoint: copied })
    return copied
  })
  if (mountPoint !== null) {
    context.agent.log.info(`The image's own loader was copied from its ${mountPoint} to ${esp.device}`)
    return
  }
  await runInstaller(root, { kind: 'uefi', esp: esp.device }, context, rootPath =>
    addToFstab(rootPath, { uuid, mountPoint: '/boot/efi' }),
  )
}

async function runInstaller(
  root: string,
  target: GrubTarget,
  { agent, progress, signal }: RunContext,
  after: (rootPath: string) => Promise<void> = async () => {},
): Promise<void> {
  if (!agent.options.runImageInstaller) {
    throw new AgentFault(
      'InvalidImage',
      `Cannot make ${root} bootable: that takes running the image's own boot loader installer, which is not allowed; ` +
        '[agent] enable_bios_bootloader_install of the conductor allows it',
    )
  }
  progress({ phase: 'boot loader', bytes: 0, total_bytes: null, detail: root })
  // GRUB's configuration names the root by its UUID only where udev has made a link of that name.
  await run('udevadm', ['trigger', '--action=change', root]).catch(() => {})
  await settle()
  await withMount(root, ['rw'], async rootPath => {
    await installGrub(rootPath, target, signal)
    await after(rootPath)
  })
  await run('sync', [])
}

/** By its type in a GPT or in an MBR. */
function isEsp({ partitionType }: Signatures): boolean {
  return partitionType === 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b' || partitionType === '0xef'
}

const byUuid = (device: string, uuid: string) => findPartition(device, signatures => hasUuid(signatures, uuid))
