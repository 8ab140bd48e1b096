/**
 * The interfaces of a driver that say what a machine boots, and from where: a ramdisk, an instance, an installer, or the
 * volumes of a storage. What holds for every function of theirs is said in `driver.ts`.
 */
import type { BootFile } from '#boot/ramdisk-files.ts'
import type { NodeContext, Validated } from './driver.ts'

/** Why a ramdisk boots. */
export type RamdiskMode = 'deploy' | 'clean' | 'inspect' | 'rescue' | 'service'

/** What the boots of an instance start where that is not its disk: URLs or absolute paths of this host. */
export type InstanceBoot =
  | { kind: 'ramdisk'; kernel: string; ramdisk: string; parameters: string }
  | { kind: 'iso'; iso: string }

/** What a boot interface can do besides; Ironic's names. */
export type BootCapability = 'ramdisk_boot' | 'ramdisk_boot_configdrive' | 'iscsi_volume_boot'

/** An installer of an operating system that works by itself, as a kickstart tells it. */
export interface Installer {
  kernel: BootFile
  ramdisk: BootFile
  /** The installer's own system; null where the repository has it. */
  stage2: BootFile | null
  /** URL of the packages; null where the kickstart names the image of a system. */
  repository: string | null
  kickstart: string
}

export interface BootInterface extends Validated {
  /** Absent: none. */
  readonly capabilities?: readonly BootCapability[]
  /**
   * May the agent's token travel with the ramdisk, where nobody else reads it? It is made beforehand then and comes among
   * the kernel parameters. Absent: no.
   */
  carriesToken?(ctx: NodeContext, mode: RamdiskMode): boolean
  /**
   * Makes the next boot start the ramdisk with these kernel parameters (boot files written, boot device set). The
   * machine is off, or will be power cycled afterwards.
   */
  prepareRamdisk(ctx: NodeContext, options: { mode: RamdiskMode; parameters: Record<string, string> }): Promise<void>
  cleanUpRamdisk(ctx: NodeContext): Promise<void>
  /** Makes the next boots start the instance: what its deploy interface says (`instanceBoot`), else its disk. */
  prepareInstance(ctx: NodeContext): Promise<void>
  cleanUpInstance(ctx: NodeContext): Promise<void>
  /** Makes the next boot start an installer. `cleanUpRamdisk` takes its files away. Absent where that cannot be done. */
  prepareInstaller?(ctx: NodeContext, installer: Installer): Promise<void>
  /** Does the BMC fetch an ISO from there by itself, so that nothing of it is to be had here? Absent: never. */
  passesOn?(ctx: NodeContext, iso: string): boolean
  /** Has this host what the instance boots from, if that is not its disk? Absent where a host keeps nothing for it. */
  servesInstance?(ctx: NodeContext): Promise<boolean>
  /** Takes away what this host has for an instance that another one serves. The machine is not asked anything. */
  stopServing?(ctx: NodeContext): Promise<void>
}

/** A volume of an iSCSI target, and who may have it. */
export interface IscsiVolume {
  /** An address, IPv6 in brackets, or a name. */
  readonly host: string
  readonly port: number
  readonly iqn: string
  readonly lun: number
  /** The name that the storage knows the node by. */
  readonly initiator: string
  /** CHAP. */
  readonly login?: { readonly username: string; readonly password: string }
}

export interface StorageInterface extends Validated {
  /**
   * What the instance boots from instead of its disk, the volume with its system first; empty: its disk. Absent: always.
   * @throws InvalidInput naming what the volume target lacks
   */
  bootVolumes?(ctx: NodeContext): Promise<readonly IscsiVolume[]>
}
