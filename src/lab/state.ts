/**
 * What a lab is, as the file `lab.json` in its state directory tells it: network, machines, BMCs and their credentials.
 * Whoever wants to use a lab (the demo, a test, `ferrite lab status`) reads this file and nothing else. It says what was
 * built, never what goes on now: power states and counters are asked of the supervisor.
 */
import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Conflict, messageOf, NotFound } from '#lib/fault.ts'

export const Firmware = Type.Union([Type.Literal('bios'), Type.Literal('uefi')])
export type Firmware = Static<typeof Firmware>

export const NicModel = Type.Union([
  Type.Literal('virtio-net-pci'),
  Type.Literal('e1000e'),
  Type.Literal('e1000'),
  Type.Literal('vmxnet3'),
])
export type NicModel = Static<typeof NicModel>

export const DiskBus = Type.Union([
  Type.Literal('virtio'),
  Type.Literal('scsi'),
  Type.Literal('sata'),
  Type.Literal('nvme'),
])
export type DiskBus = Static<typeof DiskBus>

export const Accelerator = Type.Union([Type.Literal('tcg'), Type.Literal('kvm')])
export type Accelerator = Static<typeof Accelerator>

const LabNic = Type.Object({
  /** Lower case with colons. */
  mac: Type.String(),
  model: NicModel,
  /** `ipxe`: the card's own boot ROM. `none`: UEFI boots with the firmware's PXE client, BIOS not at all. */
  rom: Type.Union([Type.Literal('ipxe'), Type.Literal('none')]),
  /** The host's side of the cable, a port of the bridge in the lab's namespace. */
  tap: Type.String(),
})
export type LabNic = Static<typeof LabNic>

const LabDisk = Type.Object({
  bus: DiskBus,
  /** How many devices of the machine lead to it. */
  paths: Type.Integer(),
  size_bytes: Type.Integer(),
  serial: Type.String(),
  /** `0x` and 16 hex digits; null where the bus has no such name. */
  wwn: Type.Union([Type.String(), Type.Null()]),
  /** The raw file that holds the disk's content. */
  file: Type.String(),
})
export type LabDisk = Static<typeof LabDisk>

const LabBmc = Type.Object({
  /** `https://ADDRESS`; only reachable inside the lab's namespace (or through `ferrite lab forward`). */
  url: Type.String(),
  address: Type.String(),
  port: Type.Integer(),
  username: Type.String(),
  password: Type.String(),
  /** Path of the one ComputerSystem: the value of `redfish_system_id`. */
  system_path: Type.String(),
  certificate_file: Type.String(),
  key_file: Type.String(),
  /** SHA-256 of the certificate's DER, hex in lower case. */
  certificate_sha256: Type.String(),
  /** One line of JSON per request. */
  access_log: Type.String(),
})
export type LabBmc = Static<typeof LabBmc>

export const LabMachine = Type.Object({
  name: Type.String(),
  uuid: Type.String(),
  firmware: Firmware,
  /** UEFI firmware that starts with its makers' keys enrolled, and refuses what they did not sign. */
  secure_boot: Type.Boolean(),
  memory_mb: Type.Integer(),
  cpus: Type.Integer(),
  serial_number: Type.String(),
  asset_tag: Type.String(),
  directory: Type.String(),
  nics: Type.Array(LabNic),
  disks: Type.Array(LabDisk),
  bmc: LabBmc,
  /** Every byte the machine wrote to its serial port, since the lab was made. */
  serial_log: Type.String(),
  /** The same as lines, without terminal codes, each with the time and the seconds since power-on. */
  timed_log: Type.String(),
  /** Unix socket: what the machine writes from now on, and what is typed to it. */
  console_socket: Type.String(),
})
export type LabMachine = Static<typeof LabMachine>

export const LabState = Type.Object({
  version: Type.Literal(1),
  name: Type.String(),
  directory: Type.String(),
  created_at: Type.String(),
  /** Name of the network namespace, as `ip netns` knows it. */
  namespace: Type.String(),
  accelerator: Accelerator,
  /** Unix socket of the supervisor: HTTP. */
  control_socket: Type.String(),
  supervisor_log: Type.String(),
  /** From the BMC's 204 for "power on" until the machine runs; as long again for "power off". */
  power_delay_ms: Type.Integer(),
  network: Type.Object({
    bridge: Type.String(),
    /** Where the service listens: API, boot files, DHCP. */
    address: Type.String(),
    subnet: Type.String(),
    netmask: Type.String(),
    dhcp_first: Type.String(),
    dhcp_last: Type.String(),
    bmc_subnet: Type.String(),
  }),
  machines: Type.Array(LabMachine),
})
export type LabState = Static<typeof LabState>

const validator = Compile(LabState)

export const stateFile = (directory: string): string => join(directory, 'lab.json')

/**
 * Reads `lab.json` of a state directory.
 * @throws NotFound when there is no lab; Conflict when the file is not one we can read
 */
export async function readState(directory: string): Promise<LabState> {
  const file = stateFile(directory)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new NotFound(
      `Cannot use the lab in ${directory}: ${messageOf(error)}; expected a lab made by "ferrite lab up"`,
    )
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Conflict(`Cannot use the lab in ${directory}: lab.json is not JSON (${messageOf(error)})`)
  }
  if (validator.Check(value)) return value
  const [first] = validator.Errors(value)
  throw new Conflict(
    `Cannot use the lab in ${directory}: lab.json is not of this version (${first?.instancePath} ${first?.message})`,
  )
}

/** Writes `lab.json`, readable by us alone since it holds passwords; half a file is never seen. */
export async function writeState(state: LabState): Promise<void> {
  await mkdir(state.directory, { recursive: true })
  const temporary = `${stateFile(state.directory)}.new`
  await writeFile(temporary, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  await chmod(temporary, 0o600)
  await rename(temporary, stateFile(state.directory))
}

/** The namespace of the lab in `directory`: two checkouts with labs of one name do not meet. */
export function namespaceOf(name: string, directory: string): string {
  return `ferrite-${name}-${createHash('sha256').update(directory).digest('hex').slice(0, 6)}`
}
