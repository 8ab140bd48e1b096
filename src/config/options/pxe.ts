/** [pxe]: network boot, and the store of instance images (the names are historical). */
import { boolean, choice, dict, integer, octal, path, string } from '../kinds.ts'

const template = (what: string) =>
  path({
    default: null,
    ironic: 'the packaged template',
    mutable: true,
    effective: true,
    help: `Template of ${what}. Unset: built in.`,
  })

export const pxe = {
  kernel_append_params: string({
    default: 'nofb vga=normal',
    mutable: true,
    effective: true,
    deprecatedNames: ['pxe.pxe_append_params'],
    help: "Kernel parameters of ramdisks. A node's own win; %default% in them stands for these.",
  }),
  images_path: path({
    default: '$state_path/images',
    ironic: '/var/lib/ironic/images/',
    effective: true,
    help: "Directory of nodes' instance images.",
  }),
  instance_master_path: path({
    default: '$state_path/master-images',
    ironic: '/var/lib/ironic/master_images',
    effective: true,
    help: 'Store of instance images. Must be on the file system of images_path and http_root.',
  }),
  image_cache_size: integer({
    default: 20480,
    min: 0,
    effective: true,
    help: 'MiB the store may take. Images in use are never dropped.',
  }),
  image_cache_ttl: integer({
    default: 10080,
    min: 0,
    effective: true,
    help: 'Minutes after which unused images are dropped.',
  }),
  tftp_server: string({ default: '$my_ip', effective: true, help: 'Address of the TFTP server that DHCP announces.' }),
  tftp_root: path({
    default: '$state_path/tftpboot',
    ironic: '/tftpboot',
    effective: true,
    help: 'Directory of the TFTP server.',
  }),
  tftp_master_path: path({
    default: '$state_path/master-boot-files',
    ironic: '/tftpboot/master_images',
    effective: true,
    help: 'Store of kernels and ramdisks.',
  }),
  pxe_config_subdir: string({
    default: 'pxelinux.cfg',
    effective: true,
    help: 'Directory of per-machine boot scripts below the root.',
  }),
  pxe_bootfile_name: string({ default: 'pxelinux.0', effective: true, help: 'PXE loader of BIOS machines.' }),
  uefi_pxe_bootfile_name: string({ default: 'bootx64.efi', effective: true, help: 'PXE loader of UEFI machines.' }),
  ipxe_bootfile_name: string({ default: 'undionly.kpxe', effective: true, help: 'iPXE loader of BIOS machines.' }),
  uefi_ipxe_bootfile_name: string({ default: 'snponly.efi', effective: true, help: 'iPXE loader of UEFI machines.' }),
  pxe_bootfile_name_by_arch: dict({
    default: {},
    effective: true,
    help: 'PXE loaders by architecture, or architecture-mode.',
  }),
  ipxe_bootfile_name_by_arch: dict({
    default: {},
    effective: true,
    help: 'iPXE loaders by architecture, or architecture-mode.',
  }),
  pxe_config_template: template('pxelinux configurations'),
  uefi_pxe_config_template: template('GRUB configurations'),
  ipxe_config_template: template("nodes' iPXE scripts"),
  pxe_config_template_by_arch: dict({
    default: {},
    mutable: true,
    effective: true,
    help: 'Templates by architecture.',
  }),
  ipxe_boot_script: path({
    default: null,
    ironic: 'the packaged script',
    effective: true,
    help: 'boot.ipxe. Unset: built in.',
  }),
  ipxe_fallback_script: string({
    default: null,
    effective: true,
    help: 'iPXE script for machines that no node is waiting for.',
  }),
  initial_grub_template: path({
    default: null,
    ironic: 'the packaged template',
    effective: true,
    help: 'First GRUB configuration. Unset: built in.',
  }),
  ipxe_timeout: integer({
    default: 0,
    min: 0,
    effective: true,
    help: 'Milliseconds iPXE gives a download of kernel or ramdisk. 0: no limit.',
  }),
  ipxe_use_swift: boolean({ default: false, mutable: true, help: 'Let machines load Glance kernels from Swift.' }),
  boot_retry_timeout: integer({
    default: null,
    min: 60,
    effective: true,
    help: 'Seconds without a sign of life of the ramdisk after which the machine is rebooted. Unset: never.',
  }),
  boot_retry_check_interval: integer({
    default: 90,
    min: 1,
    help: 'Seconds between two looks for such machines.',
  }),
  enable_netboot_fallback: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Keep a boot script for deployed machines that boots their disk.',
  }),
  loader_file_paths: dict({ default: {}, effective: true, help: 'Loaders to copy into tftp_root: name:path.' }),
  dir_permission: octal({
    default: null,
    effective: true,
    help: 'Permissions of directories made below tftp_root and http_root.',
  }),
  file_permission: octal({ default: 0o644, effective: true, help: 'Permissions of files made there.' }),
  default_ephemeral_format: string({
    default: 'ext4',
    mutable: true,
    effective: true,
    help: 'File system of ephemeral partitions.',
  }),
  enable_insecure_template_override: boolean({
    default: false,
    effective: true,
    help: 'Let nodes name their own templates. Whoever may change nodes then reads files of this host.',
  }),
  ip_version: choice({
    choices: ['4', '6'],
    default: '4',
    mutable: true,
    deprecated: 'it has no effect',
    help: 'Unused.',
  }),
}
