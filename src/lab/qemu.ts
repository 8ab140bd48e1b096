/**
 * The command line of QEMU for a machine of the lab. Pure: what is asked for goes in, arguments come out.
 *
 * Each device that can boot has an id (`disk0`, `nic0`, `cd0`); its `bootindex` says its place in the order, and can be
 * changed while the machine runs (`qom-set`), to take effect with the next reset. The serial port is standard output
 * and input, so that nothing written early is lost.
 */
import { join } from 'node:path'
import type { BootOverride } from './redfish/hardware.ts'
import type { Accelerator, LabDisk, LabMachine, LabNic } from './state.ts'

export const MANUFACTURER = 'Ferrite'
export const MODEL = 'Lab Machine'

export interface QemuRequest {
  machine: LabMachine
  accelerator: Accelerator
  /** Ids in the order in which the firmware shall try them. */
  bootOrder: readonly string[]
  /** What is in the CD slot. */
  media: MediaSource | null
  /** Firmware with keys enrolled, that starts only what they signed. */
  secureBoot: boolean
  /** Firmware boots over HTTP and leaves PXE out. */
  httpBoot: boolean
  /** What every access of this kind to the disks fails with: an input/output error. */
  diskError: 'read' | 'write' | null
}

/** Arguments for qemu-system-x86_64. It starts stopped; `cont` lets it run. Files are absolute. */
export function qemuArguments(request: QemuRequest): string[] {
  const { machine, accelerator, bootOrder, media, secureBoot } = request
  const bootindex = (id: string): string => {
    const place = bootOrder.indexOf(id)
    return place < 0 ? '' : `,bootindex=${place}`
  }
  const smbios = `manufacturer=${MANUFACTURER},product=${MODEL},serial=${machine.serial_number}`
  return [
    ...['-name', `${machine.name},debug-threads=on`],
    ...[
      '-accel',
      accelerator,
      '-machine',
      `q35,graphics=off${secureBoot ? ',smm=on' : ''}`,
      '-cpu',
      accelerator === 'kvm' ? 'host' : 'max',
    ],
    ...['-smp', `${machine.cpus}`, '-m', `${machine.memory_mb}`],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-S'],
    ...['-uuid', machine.uuid],
    ...['-smbios', `type=1,${smbios},uuid=${machine.uuid},sku=lab,family=Lab`],
    ...['-smbios', `type=3,manufacturer=${MANUFACTURER},serial=${machine.serial_number},asset=${machine.asset_tag}`],
    // Sleep states would make "power off" of some systems a suspend.
    ...['-global', 'ICH9-LPC.disable_s3=1'],
    ...['-chardev', 'stdio,id=serial0,signal=off', '-serial', 'chardev:serial0'],
    ...['-qmp', `unix:${QMP_SOCKET},server=on,wait=off`],
    // There is no graphics card: what it shows is that.
    ...['-vnc', `unix:${SCREEN_SOCKET}`],
    ...firmwareArguments(request),
    ...(machine.disks.some(disk => disk.bus === 'scsi') ? ['-device', 'virtio-scsi-pci,id=scsi0'] : []),
    ...machine.disks.flatMap((disk, index) => diskArguments(disk, index, request.diskError, bootindex(`disk${index}`))),
    ...machine.nics.flatMap((nic, index) => nicArguments(nic, index, bootindex(`nic${index}`))),
    ...(media === null ? [] : ['-blockdev', JSON.stringify(mediaNode(media))]),
    ...['-device', `ide-cd,id=cd0,bus=ide.5${media === null ? '' : ',drive=media0'}${bootindex('cd0')}`],
  ]
}

/**
 * Where the copies of the firmware's variables of a UEFI machine lie. With keys and without are two: whether there are keys
 * is what switches secure boot.
 */
export const variablesFile = (machine: LabMachine, { secureBoot }: { secureBoot: boolean }): string =>
  join(machine.directory, secureBoot ? 'uefi-variables-secure.fd' : 'uefi-variables.fd')

/** Relative to the machine's directory, QEMU's working folder: the path of a unix socket may have 107 characters. */
export const QMP_SOCKET = 'qmp.sock'
export const SCREEN_SOCKET = 'screen.sock'

export const FIRMWARE_CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd'
export const FIRMWARE_VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd'
/** Built to keep its variables from the system, which secure boot is nothing without. */
export const SECURE_CODE = '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd'
/** With the keys that machines are sold with. */
export const SECURE_VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.ms.fd'

/** Virtual media: a file, or what is read over a unix socket by NBD. */
export type MediaSource = { file: string } | { socket: string }

/** Its block node, for the command line and for `blockdev-add`. */
export function mediaNode(source: MediaSource): Record<string, unknown> {
  const file =
    'file' in source
      ? { driver: 'file', filename: source.file }
      : { driver: 'nbd', server: { type: 'unix', path: source.socket } }
  return { driver: 'raw', 'node-name': 'media0', 'read-only': true, file }
}

/**
 * The order in which a machine tries its devices: what the override asks for, then the usual order (disks, network,
 * CD), as firmware does that falls through.
 */
export function bootOrder(machine: LabMachine, override: BootOverride): string[] {
  const disks = machine.disks.map((_, index) => `disk${index}`)
  const nics = machine.nics.map((_, index) => `nic${index}`)
  const usual = [...disks, ...nics, 'cd0']
  const first: string[] = { None: [], Pxe: nics, UefiHttp: nics, Hdd: disks, Cd: ['cd0'] }[override.target]
  return [...first, ...usual.filter(id => !first.includes(id))]
}

function firmwareArguments({ machine, secureBoot, httpBoot }: QemuRequest): string[] {
  if (machine.firmware === 'bios') return [] // SeaBIOS is QEMU's own default
  const flash = (unit: number, file: string, readOnly: 'on' | 'off'): string[] => [
    '-drive',
    `if=pflash,unit=${unit},format=raw,readonly=${readOnly},file=${file.replaceAll(',', ',,')}`,
  ]
  // OVMF takes PXE before HTTP for each card, and says only so how to leave it out.
  const withoutPxe = ['IPv4PXESupport', 'IPv6PXESupport'].flatMap(name => [
    '-fw_cfg',
    `name=opt/org.tianocore/${name},string=n`,
  ])
  return [
    ...flash(0, secureBoot ? SECURE_CODE : FIRMWARE_CODE, 'on'),
    ...flash(1, variablesFile(machine, { secureBoot }), 'off'),
    ...(secureBoot ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    ...(httpBoot ? withoutPxe : []),
  ]
}

function nicArguments(nic: LabNic, index: number, bootindex: string): string[] {
  const rom = nic.rom === 'none' ? ',romfile=' : ''
  return [
    ...['-netdev', `tap,id=net${index},ifname=${nic.tap},script=no,downscript=no`],
    ...['-device', `${nic.model},id=nic${index},netdev=net${index},mac=${nic.mac}${rom}${bootindex}`],
  ]
}

function diskArguments(disk: LabDisk, index: number, error: QemuRequest['diskError'], bootindex: string): string[] {
  // What the guest flushes stays in the host's page cache: it outlives the machine's power, and that is all we claim.
  const cache = { 'no-flush': true }
  // Each path opens the file for itself.
  const locking = disk.paths > 1 ? { locking: 'off' } : {}
  const file = { driver: 'file', filename: disk.file, discard: 'unmap', cache, ...locking }
  const faulty = { driver: 'blkdebug', image: file, 'inject-error': [{ event: 'none', iotype: error, errno: 5 }] }
  const node = { driver: 'raw', file: error === null ? file : faulty, discard: 'unmap', cache }
  return Array.from({ length: disk.paths }, (_, path) => {
    const name = path === 0 ? `${index}` : `${index}-path${path}`
    // Firmware is told of the first one only.
    const device = `${diskDevice(disk, name, index)}${path === 0 ? bootindex : ''}`
    return [
      ...['-blockdev', JSON.stringify({ ...node, 'node-name': `block${name}` })],
      ...['-device', disk.paths > 1 ? `${device},share-rw=on` : device],
    ]
  }).flat()
}

function diskDevice(disk: LabDisk, name: string, index: number): string {
  const common = `id=disk${name},drive=block${name},serial=${disk.serial}`
  switch (disk.bus) {
    case 'virtio':
      return `virtio-blk-pci,${common}`
    case 'scsi':
      return `scsi-hd,bus=scsi0.0,${common},wwn=${disk.wwn}`
    case 'sata':
      return `ide-hd,bus=ide.${index},${common},wwn=${disk.wwn}`
    case 'nvme':
      return `nvme,${common}`
  }
}
