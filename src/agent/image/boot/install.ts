/**
 * Makes a written disk bootable: tells UEFI firmware of the loader on the disk, puts one onto the EFI system partition of
 * a partition image first, or has the image's own installer write the boot sector for BIOS. Of software RAID, every member
 * becomes bootable (array-members.ts).
 *
 * Source: openstack/ironic-python-agent `extensions/image.py`, `efi_utils.py` (order of what is tried).
 */
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { RunContext } from '../../context.ts'
import { AgentFault } from '../../errors.ts'
import { type BootMode, presentBootMode } from '../../hardware/boot-mode.ts'
import { rereadPartitions } from '../../hardware/device-use.ts'
import { withMount } from '../../hardware/mounts.ts'
import { isMapped, pathsTo, withPartitionsOfPath } from '../../hardware/multipath.ts'
import { type FoundPartition, findPartition, hasUuid, probe } from '../../hardware/probe.ts'
import { arrayOf, hasArrays, type MdArray } from '../../hardware/raid/md.ts'
import { settle } from '../../hardware/sys-files.ts'
import { type EspPlace, findEspMirror, isEsp, makeBiosBootPartitions, mirrorEsp } from './array-members.ts'
import { addEntry, canListEntries } from './boot-entries.ts'
import { efiArch, fillEsp } from './fill-esp.ts'
import { addToFstab } from './fstab.ts'
import { type GrubTarget, installGrub, nameArray } from './grub.ts'
import { findLoaders, type Loader } from './loaders.ts'

export interface BootRequest {
  /** Null, or eight hex digits with 0x: a whole-disk image. */
  rootUuid: string | null
  efiUuid: string | null
  prepUuid: string | null
  targetMode: BootMode
  ignoreFailure: boolean
}

interface Disk extends BootRequest {
  device: string
  /** Null: firmware reads the disk as it is. */
  array: MdArray | null
}

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
    const bringsItsOwn = present === 'bios' && isWholeDisk
    if (bringsItsOwn && !(await hasArrays())) {
      agent.log.info('A whole-disk image: it brings its own boot loader')
      return
    }
    const device = await findDevice()
    const disk: Disk = { ...request, device, array: await arrayOf(device) }
    await rereadPartitions(device)
    if (bringsItsOwn) {
      if (disk.array !== null) await bootArrayByBios(disk.array, await guessRoot(device), context)
      return
    }
    if (present === 'uefi' && (await registerLoaders(disk, context))) return
    if (!isWholeDisk) await bootPartitionImage(disk, request.rootUuid ?? '', context)
  } catch (error) {
    if (!request.ignoreFailure) throw error
    agent.log.error(`Making the disk bootable failed, which is to be ignored: ${messageOf(error)}`)
  }
}

/**
 * Puts the loaders on the disk's EFI system partition into the firmware's list; of an array, those of every member.
 * @returns whether the disk boots by UEFI now
 */
async function registerLoaders(disk: Disk, { agent, progress }: RunContext): Promise<boolean> {
  const { device, efiUuid, array } = disk
  const canList = await canListEntries()
  if (!canList) {
    agent.log.warn("The firmware's boot entries cannot be changed: efibootmgr is missing or finds no variables")
    if (array === null) return false
  }
  const esp = (await findPartition(device, isEsp)) ?? (efiUuid === null ? null : await byUuid(device, efiUuid))
  if (esp === null) {
    throw new AgentFault(
      'DeviceNotFound',
      `Cannot make ${device} bootable by UEFI: it has no EFI system partition; is the image one for UEFI machines?`,
    )
  }
  const loaders = await loadersOn(esp, array)
  if (loaders.length === 0) agent.log.warn(`The EFI system partition ${esp.device} has no loader that is known`)
  if (loaders.length === 0) return false
  const places = await placesOf(disk, esp)
  for (const [index, { disk: on, partition }] of (canList ? places : []).entries()) {
    for (const { path, label: name } of loaders) {
      const label = array === null ? name : `${name} (RAID, part${index})`
      progress({ phase: 'boot entry', bytes: 0, total_bytes: null, detail: `${label} ${path}` })
      const add = () => addEntry({ path, label }, on, partition)
      await (isMapped(device) ? withPartitionsOfPath(on, add) : add()).catch(error => {
        throw new AgentFault('CommandExecutionError', `Cannot add a boot entry for ${on}: ${messageOf(error)}`, {
          cause: error,
        })
      })
      agent.log.info(`Boot entry "${label}" is ${path} on partition ${partition} of ${on}`)
    }
  }
  return true
}

/** What an array brought of loaders lies in the mirror once it has been moved there. */
async function loadersOn({ device, signatures }: FoundPartition, array: MdArray | null): Promise<Loader[]> {
  if (array === null || signatures.type !== null) return await withMount(device, [], findLoaders)
  const mirror = await findEspMirror(array)
  if (mirror === null || (await probe(mirror)).type === null) return []
  return await withMount(mirror, [], findLoaders)
}

async function placesOf({ device, array }: Disk, esp: FoundPartition): Promise<EspPlace[]> {
  if (array !== null) return await mirrorEsp(array, esp)
  // The entry names the partition by its GUID, which is the same by every path; efibootmgr knows no mapped devices.
  const [path = device] = await pathsTo(device)
  return [{ disk: path, partition: esp.signatures.partitionNumber ?? 1 }]
}

async function bootPartitionImage(request: Disk, rootUuid: string, context: RunContext): Promise<void> {
  const { device, efiUuid, prepUuid, targetMode, array } = request
  const root = await byUuid(device, rootUuid)
  if (root === null) {
    throw new AgentFault('DeviceNotFound', `Cannot make ${device} bootable: no partition has the root UUID ${rootUuid}`)
  }
  if (efiUuid !== null || targetMode === 'uefi') {
    await bootByUefi(request, { root: root.device, rootUuid }, context)
    if (presentBootMode(context.agent.settings) === 'uefi' || array !== null) await registerLoaders(request, context)
    return
  }
  if (array !== null) return await bootArrayByBios(array, root.device, context)
  const prep = prepUuid === null ? null : await byUuid(device, prepUuid)
  const target: GrubTarget =
    prep === null ? { kind: 'bios', disks: [device] } : { kind: 'power', partition: prep.device }
  await runInstaller({ root: root.device, array }, target, context)
}

/** The boot sector of every member, so that the machine starts from any of them. */
async function bootArrayByBios(array: MdArray, root: string, context: RunContext): Promise<void> {
  requireInstaller(root, context)
  await makeBiosBootPartitions(array)
  await runInstaller({ root, array }, { kind: 'bios', disks: array.disks }, context)
}

/** Where the system of a whole-disk image is, when nobody said: by its partition's type, else the first that may be it. */
async function guessRoot(device: string): Promise<string> {
  const found =
    (await findPartition(device, ({ partitionType }) => ROOT_TYPES.includes(partitionType ?? ''))) ??
    (await findPartition(device, ({ type }) => /^(ext[234]|xfs|btrfs)$/.test(type ?? '')))
  if (found !== null) return found.device
  throw new AgentFault(
    'DeviceNotFound',
    `Cannot make ${device} bootable: found no partition with a root file system; instance_info image_rootfs_uuid names it`,
  )
}

async function bootByUefi(
  { device, efiUuid, array }: Disk,
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
  await runInstaller({ root, array }, { kind: 'uefi', esp: esp.device }, context, rootPath =>
    addToFstab(rootPath, { uuid, mountPoint: '/boot/efi' }),
  )
}

async function runInstaller(
  { root, array }: { root: string; array: MdArray | null },
  target: GrubTarget,
  context: RunContext,
  after: (rootPath: string) => Promise<void> = async () => {},
): Promise<void> {
  requireInstaller(root, context)
  const { progress, signal } = context
  progress({ phase: 'boot loader', bytes: 0, total_bytes: null, detail: root })
  // GRUB's configuration names the root by its UUID only where udev has made a link of that name.
  await run('udevadm', ['trigger', '--action=change', root]).catch(() => {})
  await settle()
  await withMount(root, ['rw'], async rootPath => {
    if (array !== null) await nameArray(rootPath, array.uuid)
    await installGrub(rootPath, target, signal)
    await after(rootPath)
  })
  await run('sync', [])
}

/** Before anything is changed for it. @throws AgentFault InvalidImage */
function requireInstaller(root: string, { agent }: RunContext): void {
  if (agent.options.runImageInstaller) return
  throw new AgentFault(
    'InvalidImage',
    `Cannot make ${root} bootable: that takes running the image's own boot loader installer, which is not allowed; ` +
      '[agent] enable_bios_bootloader_install of the conductor allows it',
  )
}

/** Root of x86-64 and of arm64. Source: The Discoverable Partitions Specification (UAPI.2) */
const ROOT_TYPES = ['4f68bce3-e8cd-4db1-96e7-fbcaf984b709', 'b921b045-1df0-41c3-af44-4c6f280d3fae']

const byUuid = (device: string, uuid: string) => findPartition(device, signatures => hasUuid(signatures, uuid))
