/**
 * What the ramdisk holds, as data: packages, programs, kernel modules. Add a tool by naming its package and its program
 * here; its libraries follow by themselves. Firmware is deliberately absent: it is not free to redistribute and large.
 */
import type { ModuleChoice } from './modules.ts'

/** What differs between processor architectures; the key is Debian's name. */
export const architectures = {
  amd64: {
    kernelPackage: 'linux-image-amd64',
    /** `process.arch` of a Node that runs there. */
    nodeArch: 'x64',
    /** How the tools for its programs are called. */
    gnuName: 'x86_64-linux-gnu',
    libraryDirectories: ['/usr/lib/x86_64-linux-gnu', '/usr/lib', '/usr/lib64', '/usr/lib/systemd'],
    programs: ['dmidecode', 'efibootmgr'],
    packages: ['dmidecode', 'efibootmgr'],
  },
  arm64: {
    kernelPackage: 'linux-image-arm64',
    nodeArch: 'arm64',
    gnuName: 'aarch64-linux-gnu',
    libraryDirectories: ['/usr/lib/aarch64-linux-gnu', '/usr/lib', '/usr/lib/systemd'],
    programs: ['dmidecode', 'efibootmgr'],
    packages: ['dmidecode', 'efibootmgr'],
  },
} as const

export type Architecture = keyof typeof architectures

/** Packages that programs and files are picked from, beside the kernel's and what these depend on. */
export const packages = [
  'busybox-static',
  'ca-certificates',
  'chrony',
  'dmsetup',
  'dosfstools',
  'e2fsprogs',
  'ethtool',
  'fdisk',
  'gdisk',
  'hdparm',
  'iproute2',
  'ipmitool',
  'kmod',
  'kpartx',
  'libatomic1',
  'libstdc++6',
  'mdadm',
  'mount',
  'multipath-tools',
  'nvme-cli',
  'pciutils',
  'qemu-utils',
  'smartmontools',
  'udev',
  'util-linux',
  'xfsprogs',
  'xz-utils',
]

export const programs = [
  'blkdiscard',
  'blkid',
  'blockdev',
  'chronyd',
  'dmsetup',
  'e2fsck',
  'ethtool',
  'fallocate',
  'findmnt',
  'hdparm',
  'ip',
  'ipmitool',
  'kmod',
  'kpartx',
  'losetup',
  'lsblk',
  'lscpu',
  'lspci',
  'mdadm',
  'mkfs.ext2',
  'mkfs.ext3',
  'mkfs.ext4',
  'mkfs.fat',
  'mkfs.vfat',
  'mkfs.xfs',
  'mkswap',
  'modprobe',
  'mount',
  'multipath',
  'multipathd',
  'nvme',
  'partx',
  'qemu-img',
  'resize2fs',
  'sfdisk',
  'sgdisk',
  'smartctl',
  'udevadm',
  'umount',
  'wipefs',
  'xz',
]

/** Other files and directories, by path. */
export const paths = [
  '/etc/mke2fs.conf',
  '/usr/lib/systemd/systemd-udevd',
  '/usr/lib/systemd/network/99-default.link',
  '/usr/lib/udev/ata_id',
  '/usr/lib/udev/cdrom_id',
  '/usr/lib/udev/scsi_id',
  // The rules that name disks and NICs and load drivers, and those that tell makers of device-mapper devices that udev is
  // done; none that assembles, mounts or tunes anything by itself.
  ...[
    '50-udev-default',
    '55-dm',
    '60-block',
    '60-cdrom_id',
    '60-persistent-storage',
    '60-persistent-storage-dm',
    '63-md-raid-arrays',
    '75-net-description',
    '80-drivers',
    '80-net-setup-link',
    '95-dm-notify',
  ].map(name => `/usr/lib/udev/rules.d/${name}.rules`),
  '/usr/share/misc/pci.ids',
]

/** Programs that busybox stands in for; one that exists in full is not replaced. */
export const busyboxApplets =
  'acpid ash awk base64 basename cat chmod chown chroot clear cmp cp cpio cttyhack cut date dd df dirname dmesg du echo ' +
  'env expr false find free grep gunzip gzip halt head hexdump hostname hwclock id kill killall less ln ls lsmod md5sum ' +
  'mkdir mkfifo mknod mktemp more mv nc nproc nslookup od passwd pidof ping ping6 poweroff printf ps ' +
  'pwd readlink realpath reboot renice rm rmdir rmmod sed seq setsid sh sha1sum sha256sum sha512sum shred sleep sort stat strings ' +
  'stty switch_root sync tail tar tee test tftp time timeout top touch tr traceroute true truncate tty udhcpc umount uname ' +
  'uniq unlink unzip uptime usleep vi watch wc wget which xargs xxd yes zcat'

/** Modules with which the initramfs finds its root; loaded in this order by the first init. */
export const rootModules = ['loop', 'squashfs', 'overlay']

/**
 * Kernel modules of the generic variant: wired network cards, disks and their controllers, what a BMC shows to its host
 * (USB CD-ROM, USB network, IPMI), file systems of images and config drives.
 */
export const modules: ModuleChoice = {
  names: [
    'button',
    'evdev',
    'virtio_pci',
    'virtio_net',
    'virtio_blk',
    'virtio_scsi',
    'virtio_rng',
    'virtio_console',
    'vmxnet3',
    'hv_netvsc',
    'hv_storvsc',
    'xen-netfront',
    'xen-blkfront',
    'vmw_pvscsi',
    'qemu_fw_cfg',
    'bonding',
    '8021q',
    'dm_mod',
    'dm_multipath',
    'dm_round_robin',
    'dm_service_time',
    'scsi_dh_alua',
    'scsi_dh_emc',
    'scsi_dh_rdac',
    'loop',
    'nbd',
    'ext4',
    'xfs',
    'btrfs',
    'vfat',
    'isofs',
    'udf',
    'squashfs',
    'overlay',
    'efivarfs',
    'nls_ascii',
    'nls_cp437',
    'nls_iso8859_1',
    'nls_utf8',
    'sd_mod',
    'sr_mod',
    'sg',
    'ses',
    'usb_storage',
    'uas',
    'usbhid',
    'hid_generic',
    'cdc_ether',
    'rndis_host',
    'efi_pstore',
    'tpm_tis',
    'tpm_crb',
    'watchdog',
    'iTCO_wdt',
    'edac_core',
  ],
  match: [
    /^kernel\/drivers\/net\/(ethernet|phy|mdio)\//,
    /^kernel\/drivers\/(ata|nvme\/host|message\/fusion|char\/ipmi|nvdimm|usb\/host)\//,
    /^kernel\/drivers\/scsi\//,
    /^kernel\/drivers\/md\/raid/,
    /^kernel\/drivers\/(mmc\/(core|host)|block\/(mtip32xx|rsxx))/,
    /^kernel\/arch\/x86\/crypto\/crc/,
  ],
  exclude: [
    // PC cards, tape and floppy era controllers, debugging, storage targets' side, cards that only network equipment has.
    /pcmcia|_cs\.ko|\/tcm_|\/(8390|sis|dec|sun|adaptec|alteon|dlink|fealnx|natsemi|packetengines|rdc|silan|smsc|tehuti|ti|via)\//,
    /scsi\/(scsi_debug|st|osst|ch|aha|advansys|aic94xx|am53c974|atp870u|a100u2w|dc395x|dmx3191d|esp_scsi|fdomain|gdth)/,
    /scsi\/(initio|ips|nsp32|ppa|imm|sym53c8xx_2|wd719x|myrb|myrs|mvumi|dpt_i2o|3w-xxxx|aic7xxx|bfa|cxlflash|elx\/efct)/,
    /ata\/pata_(?!acpi|legacy|marvell|jmicron|via|amd|atiixp|ali|sis|serverworks|hpt|pdc|it821x|oldpiix|sch|mpiix|rz)/,
    /usb\/host\/(.*hcd-(cs|pcmcia)|isp|sl811|r8a|max3421|fotg|bcma|ssb|u132|oxu)/,
    /mmc\/host\/(?!sdhci-pci|sdhci-acpi|sdhci|cqhci)/,
    /ethernet\/(mellanox\/mlxsw|netronome|microchip|altera|ezchip|agere|cadence|xilinx|synopsys|stmicro)/,
    /net\/phy\/(mdio-|sfp-machine|phylink-)/,
    // Cards of before 2010 that no server of today has, and those that are nothing without firmware that nobody adds.
    /ethernet\/(3com|brocade|cavium\/liquidio|chelsio\/cxgb3?\/|fujitsu|micrel|myricom|neterion|qlogic\/netxen|sfc\/(falcon|siena)|xircom)/,
    // InfiniBand's own drivers are not here, and this needs them.
    /nvme-rdma/,
  ],
}
