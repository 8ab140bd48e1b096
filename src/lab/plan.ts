/**
 * From what is asked for to what a lab will be: names, addresses, MACs, credentials, files. It decides and writes
 * nothing; `Lab` carries it out. Chance comes from the caller's system: credentials and MACs differ between labs, so
 * that two labs enrolled at one service do not clash.
 */
import { createHash, randomBytes, randomInt, randomUUID, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { InvalidInput } from '#lib/fault.ts'
import { selfSigned } from '#lib/x509.ts'
import { bmcAddress, MAX_MACHINES, plan as network } from './network.ts'
import { SYSTEM } from './redfish/resources.ts'
import {
  type Accelerator,
  type DiskBus,
  type Firmware,
  type LabDisk,
  type LabMachine,
  type LabNic,
  type LabState,
  type NicModel,
  namespaceOf,
} from './state.ts'

export interface DiskOptions {
  /** Default `virtio`. */
  bus?: DiskBus
  /** How often the machine sees it, for `scsi`; default 1. */
  paths?: number
  /** Default 8. The file is sparse: it takes what is written to it. */
  sizeGib?: number
}

export interface MachineOptions {
  /** Default `uefi`. */
  firmware?: Firmware
  /** How the switch stands at first that the BMC of a UEFI machine has; default false. */
  secureBoot?: boolean
  /** Default 1024. */
  memoryMb?: number
  /** Default 1. */
  cpus?: number
  /** Default one disk. */
  disks?: readonly DiskOptions[]
  /** Number of network cards; default 1. */
  nics?: number
  /** Default `virtio-net-pci`. */
  nicModel?: NicModel
  /** Default `ipxe`: the card boots by itself. */
  nicRom?: LabNic['rom']
}

/** Defaults for all machines, the differences of single ones, and what concerns the lab as a whole. */
export interface PlanOptions extends MachineOptions {
  name: string
  directory: string
  nodes: number
  /** The n-th entry changes the n-th machine. */
  machines?: readonly MachineOptions[]
  accelerator: Accelerator
  powerDelayMs: number
}

export interface LabPlan {
  state: LabState
  /** Certificates and keys: file to content. */
  files: ReadonlyMap<string, string>
}

/** @throws InvalidInput names the option, what was found, what was expected */
export function planLab(options: PlanOptions): LabPlan {
  const { name, directory, nodes } = options
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) {
    throw new InvalidInput(`Cannot make a lab: found the name "${name}", expected letters a-z, digits and dashes`)
  }
  check('number of machines', nodes, 1, MAX_MACHINES)
  const files = new Map<string, string>()
  const lot = randomBytes(2)
  const machines = Array.from({ length: nodes }, (_, index) => {
    const machine = planMachine({ directory, index, lot, options: { ...options, ...options.machines?.[index] } })
    const { certPem, keyPem } = certificate(machine)
    files.set(machine.bmc.certificate_file, certPem)
    files.set(machine.bmc.key_file, keyPem)
    machine.bmc.certificate_sha256 = createHash('sha256').update(new X509Certificate(certPem).raw).digest('hex')
    return machine
  })
  const state: LabState = {
    version: 1,
    name,
    directory,
    created_at: new Date().toISOString(),
    namespace: namespaceOf(name, directory),
    accelerator: options.accelerator,
    control_socket: join(directory, 'control.sock'),
    supervisor_log: join(directory, 'supervisor.log'),
    power_delay_ms: options.powerDelayMs,
    network,
    machines,
  }
  return { state, files }
}

interface MachinePlan {
  directory: string
  index: number
  /** Two bytes that tell this lab's MACs from another's. */
  lot: Buffer
  options: MachineOptions
}

function planMachine({ directory, index, lot, options }: MachinePlan): LabMachine {
  const { memoryMb = 1024, cpus = 1, nics = 1, disks = [{}] } = options
  check('memory of a machine in MB', memoryMb, 128, 65_536)
  check('number of processors of a machine', cpus, 1, 64)
  check('number of network cards of a machine', nics, 1, 8)
  check('number of disks of a machine', disks.length, 0, 16)
  if (disks.filter(disk => disk.bus === 'sata').length > 0 && disks.length > 5) {
    throw new InvalidInput(`Cannot make a lab: found ${disks.length} disks, expected at most 5 beside the CD with SATA`)
  }
  const { firmware = 'uefi', secureBoot = false } = options
  if (secureBoot && firmware !== 'uefi') {
    throw new InvalidInput('Cannot make a lab: found secure boot for a machine with BIOS, expected UEFI')
  }
  const name = `node-${index}`
  const folder = join(directory, name)
  const address = bmcAddress(index)
  const serial = `LAB${hex(lot)}${String(index).padStart(3, '0')}`.toUpperCase()
  return {
    name,
    uuid: randomUUID(),
    firmware,
    secure_boot: secureBoot,
    memory_mb: memoryMb,
    cpus,
    serial_number: serial,
    asset_tag: `${serial}-A`,
    directory: folder,
    nics: Array.from({ length: nics }, (_, nic) => ({
      mac: `52:54:${hex(lot.subarray(0, 1))}:${hex(lot.subarray(1))}:${hex(Buffer.from([index]))}:${hex(Buffer.from([nic]))}`,
      model: options.nicModel ?? 'virtio-net-pci',
      rom: options.nicRom ?? 'ipxe',
      tap: `tap${index}-${nic}`,
    })),
    disks: disks.map((disk, number) => planDisk({ folder, serial, number, disk })),
    bmc: {
      url: `https://${address}`,
      address,
      port: 443,
      username: 'admin',
      password: randomBytes(12).toString('base64url'),
      system_path: SYSTEM,
      certificate_file: join(folder, 'bmc.crt'),
      key_file: join(folder, 'bmc.key'),
      certificate_sha256: '',
      access_log: join(folder, 'bmc-access.log'),
    },
    serial_log: join(folder, 'serial.log'),
    timed_log: join(folder, 'serial.timed.log'),
    console_socket: join(folder, 'console.sock'),
  }
}

interface DiskPlan {
  folder: string
  serial: string
  number: number
  disk: DiskOptions
}

function planDisk({ folder, serial, number, disk }: DiskPlan): LabDisk {
  const { bus = 'virtio', paths = 1, sizeGib = 8 } = disk
  check('number of paths to a disk', paths, 1, bus === 'scsi' ? 4 : 1)
  if (!(sizeGib > 0 && sizeGib <= 65_536)) {
    throw new InvalidInput(`Cannot make a lab: found a disk of ${sizeGib} GiB, expected more than 0 and at most 65536`)
  }
  // Names that registered makers cannot have: format 5, and a locally chosen number.
  const wwn = `0x5${randomBytes(7).toString('hex')}${randomInt(16).toString(16)}`
  return {
    bus,
    paths,
    size_bytes: Math.floor((sizeGib * 1024 ** 3) / 4096) * 4096,
    serial: `${serial}D${number}`,
    wwn: bus === 'scsi' || bus === 'sata' ? wwn : null,
    file: join(folder, `disk${number}.raw`),
  }
}

function certificate({ name, bmc }: LabMachine): { certPem: string; keyPem: string } {
  const now = Date.now()
  const dayMs = 86_400_000
  return selfSigned({
    commonName: `bmc-${name}`,
    ipAddresses: [bmc.address],
    notBefore: new Date(now - dayMs),
    notAfter: new Date(now + 3650 * dayMs),
    curve: 'p256',
  })
}

function check(what: string, found: number, least: number, most: number): void {
  if (Number.isInteger(found) && found >= least && found <= most) return
  throw new InvalidInput(
    `Cannot make a lab: found ${found} as ${what}, expected a whole number from ${least} to ${most}`,
  )
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
