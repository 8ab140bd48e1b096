/**
 * What the conductor and the agent in the ramdisk say to each other: commands and their results, lookup, heartbeat,
 * steps, image_info, the hardware inventory. The shapes are those of ironic-python-agent, so that either side can be
 * swapped for Ironic's; of our own are `progress` in a running command's result and a header of heartbeats, which Ironic
 * ignores.
 * It holds no transport and no behaviour.
 *
 * Source: openstack/ironic-python-agent `extensions/base.py`, `hardware.py`, `inspector.py`; openstack/ironic
 * `api/controllers/v1/ramdisk.py`, `drivers/modules/agent_client.py`.
 */
import { type Static, Type } from 'typebox'
import { ChunkedImage } from './chunked-image.ts'
import { Nullable } from './field.ts'

const Text = Type.String()
const Loose = Type.Record(Type.String(), Type.Unknown())

// --- Commands -------------------------------------------------------------------------------------------------------

const commandStatuses = ['RUNNING', 'SUCCEEDED', 'FAILED', 'CLEAN_VERSION_MISMATCH', 'VERSION_MISMATCH'] as const

export const CommandError = Type.Object({
  /** Class name of the error: `ImageChecksumError`. */
  type: Text,
  code: Type.Integer(),
  /** Fixed text of the type; `details` says what happened. */
  message: Text,
  details: Text,
})
export type CommandError = Static<typeof CommandError>

/** How far a running command is. `total_bytes` is null while the size is unknown. */
export const Progress = Type.Object({
  /** `waiting`, `download`, `write`, `convert`, `verify`, `erase`, ...: shown as it is. */
  phase: Text,
  bytes: Type.Integer({ minimum: 0 }),
  total_bytes: Nullable(Type.Integer({ minimum: 0 })),
  /** Over the last seconds, not over the whole phase. */
  rate_bytes_per_s: Type.Number({ minimum: 0 }),
  /** When this phase began, ISO 8601. */
  started_at: Text,
  /** Which disk, which attempt: one short line for people. */
  detail: Type.Optional(Text),
})
export type Progress = Static<typeof Progress>

export const CommandResult = Type.Object({
  id: Text,
  /** Bare, without the extension (`prepare_image`), save for synchronous commands that failed. */
  command_name: Text,
  command_status: Type.Enum(commandStatuses),
  command_error: Nullable(CommandError),
  command_result: Type.Unknown(),
  /** Only of a Ferrite agent, only while RUNNING. */
  progress: Type.Optional(Progress),
})
export type CommandResult = Static<typeof CommandResult>

/**
 * The header by which a Ferrite agent's heartbeat says whether a command runs: one that runs needs no look, one that has
 * ended does. Ironic reads no such header; agents of others do not send it.
 */
export const commandHeader = 'ferrite-command'
export const commandHeaderValues = ['running', 'none'] as const
export type CommandHeader = (typeof commandHeaderValues)[number]

export const CommandList = Type.Object({ commands: Type.Array(CommandResult) })
export const CommandRequest = Type.Object({ name: Text, params: Loose })
export type CommandRequest = Static<typeof CommandRequest>

/** Body of every answer of the agent with a status of 400 or more. */
export const AgentFaultBody = Type.Object({ faultcode: Type.Enum(['Client', 'Server']), faultstring: Text })
export type AgentFaultBody = Static<typeof AgentFaultBody>

// --- Steps ----------------------------------------------------------------------------------------------------------

export const stepKinds = ['clean', 'deploy', 'service'] as const
export type StepKind = (typeof stepKinds)[number]

export const StepArgument = Type.Object({ description: Text, required: Type.Boolean() })

/** A step as the agent offers it. */
export const AgentStep = Type.Object({
  step: Text,
  interface: Text,
  priority: Type.Integer({ minimum: 0 }),
  reboot_requested: Type.Optional(Type.Boolean()),
  abortable: Type.Optional(Type.Boolean()),
  argsinfo: Type.Optional(Nullable(Type.Record(Type.String(), Type.Partial(StepArgument)))),
})
export type AgentStep = Static<typeof AgentStep>

/** Result of `<kind>.get_<kind>_steps`; the list itself is under `<kind>_steps`, keyed by the manager's name. */
export const StepsResult = Type.Object({
  hardware_manager_version: Type.Record(Type.String(), Type.String()),
  clean_steps: Type.Optional(Type.Record(Type.String(), Type.Array(AgentStep))),
  deploy_steps: Type.Optional(Type.Record(Type.String(), Type.Array(AgentStep))),
  service_steps: Type.Optional(Type.Record(Type.String(), Type.Array(AgentStep))),
})
export type StepsResult = Static<typeof StepsResult>

/** Parameters of `<kind>.execute_<kind>_step`. The version map comes under `<kind>_version`; unknown keys are allowed. */
export const ExecuteStepParams = Type.Object({
  step: Type.Object({ step: Text, interface: Type.Optional(Text), args: Type.Optional(Nullable(Loose)) }),
  node: Loose,
  ports: Type.Optional(Nullable(Type.Array(Loose))),
})

// --- Nodes, lookup, heartbeat ----------------------------------------------------------------------------------------

/** The node as the agent sees it: masked in the lookup, whole in the parameters of a step. */
export const AgentNode = Type.Object({
  uuid: Text,
  properties: Loose,
  instance_info: Loose,
  driver_internal_info: Type.Optional(Loose),
  driver_info: Type.Optional(Loose),
  /** What was built, and what is to be built. */
  raid_config: Type.Optional(Type.Unknown()),
  target_raid_config: Type.Optional(Type.Unknown()),
})
export type AgentNode = Static<typeof AgentNode>

/** Which containers may run as steps, and how. Source: [agent_containers]. */
export const ContainerPolicy = Type.Object({
  allow_arbitrary_containers: Type.Boolean(),
  allowed_containers: Type.Array(Text),
  runner: Type.Enum(['podman', 'docker']),
  pull_options: Type.Array(Text),
  run_options: Type.Array(Text),
})
export type ContainerPolicy = Static<typeof ContainerPolicy>

export const LookupConfig = Type.Object({
  heartbeat_timeout: Type.Number({ exclusiveMinimum: 0 }),
  /** At least 32 characters: adopt it. `******`: it was given out before, keep your own. */
  agent_token: Type.Optional(Nullable(Text)),
  agent_token_required: Type.Optional(Nullable(Type.Boolean())),
  agent_md5_checksum_enable: Type.Optional(Nullable(Type.Boolean())),
  agent_skip_bmc_detect: Type.Optional(Nullable(Type.Boolean())),
  disable_deep_image_inspection: Type.Optional(Nullable(Type.Boolean())),
  permitted_image_formats: Type.Optional(Nullable(Type.Array(Text))),
  enable_bios_bootloader_install: Type.Optional(Nullable(Type.Boolean())),
  tls_min_version: Type.Optional(Nullable(Text)),
  tls_cipher_suites: Type.Optional(Nullable(Text)),
  agent_containers: Type.Optional(Nullable(ContainerPolicy)),
})
export type LookupConfig = Static<typeof LookupConfig>

export const LookupAnswer = Type.Object({ node: AgentNode, config: LookupConfig })
export type LookupAnswer = Static<typeof LookupAnswer>

/** What a token looks like to everyone but its first receiver. */
export const maskedToken = '******'

export const HeartbeatBody = Type.Object({
  callback_url: Text,
  agent_version: Type.Optional(Nullable(Text)),
  agent_token: Type.Optional(Nullable(Text)),
  /** PEM of the certificate the agent answers with. */
  agent_verify_ca: Type.Optional(Nullable(Text)),
  agent_status: Type.Optional(Nullable(Text)),
  agent_status_message: Type.Optional(Nullable(Text)),
})
export type HeartbeatBody = Static<typeof HeartbeatBody>

// --- Images ---------------------------------------------------------------------------------------------------------

/** What to write to the disk. Unknown keys are allowed and ignored. */
export const ImageInfo = Type.Object({
  id: Text,
  urls: Type.Array(Text, { minItems: 1 }),
  /** `raw` is written bit for bit; others are inspected and converted. */
  disk_format: Type.Optional(Nullable(Text)),
  container_format: Type.Optional(Nullable(Text)),
  stream_raw_images: Type.Optional(Nullable(Type.Boolean())),
  /** Lower-case hex digest, or the URL of a checksum file. */
  checksum: Type.Optional(Nullable(Text)),
  os_hash_algo: Type.Optional(Nullable(Text)),
  os_hash_value: Type.Optional(Nullable(Text)),
  image_server_auth_strategy: Type.Optional(Nullable(Text)),
  image_server_user: Type.Optional(Nullable(Text)),
  image_server_password: Type.Optional(Nullable(Text)),
  /** base64 of the whole value of the Authorization header. */
  image_request_authorization: Type.Optional(Nullable(Text)),
  proxies: Type.Optional(Nullable(Type.Record(Type.String(), Type.String()))),
  no_proxy: Type.Optional(Nullable(Text)),
  node_uuid: Type.Optional(Nullable(Text)),
  configdrive: Type.Optional(Nullable(Text)),
  /** `partition` for partition images; anything else, and absence, mean the whole disk. */
  image_type: Type.Optional(Nullable(Text)),
  /** What hardware managers of others may ask for. */
  kernel: Type.Optional(Nullable(Text)),
  ramdisk: Type.Optional(Nullable(Text)),
  root_gb: Type.Optional(Type.Integer()),
  root_mb: Type.Optional(Type.Integer()),
  swap_mb: Type.Optional(Type.Integer()),
  ephemeral_mb: Type.Optional(Type.Integer()),
  ephemeral_format: Type.Optional(Nullable(Text)),
  preserve_ephemeral: Type.Optional(Nullable(Type.Boolean())),
  /** Told for completeness; agents read the node. */
  deploy_boot_mode: Type.Optional(Nullable(Text)),
  boot_option: Type.Optional(Nullable(Text)),
  disk_label: Type.Optional(Nullable(Text)),
  /** From Ferrite's conductors to Ferrite's agents: the same image in chunks. Others ignore the key and take `urls`. */
  ferrite_chunked: Type.Optional(Nullable(ChunkedImage)),
})
export type ImageInfo = Static<typeof ImageInfo>

/** Partitions around a partition image, by the names that `get_partition_uuids` has for them. */
export const partitionNames = [
  'efi system partition',
  'BIOS Boot partition',
  'PReP Boot partition',
  'ephemeral',
  'swap',
  'configdrive',
  'root',
] as const
export type PartitionName = (typeof partitionNames)[number]

export const PartitionUuids = Type.Object({
  /** File system UUID, or for whole-disk images the disk identifier `0x1234abcd`. Absent before any image. */
  'root uuid': Type.Optional(Text),
  'efi system partition uuid': Type.Optional(Nullable(Text)),
  /** Only of POWER machines without UEFI. */
  'PReP Boot partition uuid': Type.Optional(Nullable(Text)),
  /** Device by name of the partition; only after a partition image. */
  partitions: Type.Optional(Type.Record(Type.String(), Type.String())),
})
export type PartitionUuids = Static<typeof PartitionUuids>

// --- Inventory ------------------------------------------------------------------------------------------------------

const MaybeText = Nullable(Text)

export const Disk = Type.Object({
  /** `/dev/sda` */
  name: Text,
  model: MaybeText,
  /** Bytes. */
  size: Type.Integer(),
  rotational: Type.Boolean(),
  wwn: MaybeText,
  serial: MaybeText,
  vendor: MaybeText,
  wwn_with_extension: MaybeText,
  wwn_vendor_extension: MaybeText,
  /** SCSI host:channel:target:lun. */
  hctl: MaybeText,
  by_path: MaybeText,
  /** Sizes of a sector in bytes. */
  logical_sectors: Nullable(Type.Integer()),
  physical_sectors: Nullable(Type.Integer()),
  tran: MaybeText,
})
export type Disk = Static<typeof Disk>

export const NetworkInterface = Type.Object({
  name: Text,
  mac_address: Text,
  ipv4_address: MaybeText,
  ipv6_address: MaybeText,
  has_carrier: Type.Boolean(),
  /** `[[type, hex], ...]` of the neighbour's frame, when collected. */
  lldp: Nullable(Type.Array(Type.Tuple([Type.Integer(), Text]))),
  /** PCI ids with 0x. */
  vendor: MaybeText,
  product: MaybeText,
  client_id: MaybeText,
  biosdevname: MaybeText,
  speed_mbps: Nullable(Type.Integer()),
  pci_address: MaybeText,
  driver: MaybeText,
})
export type NetworkInterface = Static<typeof NetworkInterface>

export const Inventory = Type.Object({
  interfaces: Type.Array(NetworkInterface),
  cpu: Type.Object({
    model_name: MaybeText,
    /** MHz, as text. */
    frequency: MaybeText,
    count: Type.Integer(),
    architecture: Text,
    flags: Type.Array(Text),
    socket_count: Nullable(Type.Integer()),
  }),
  disks: Type.Array(Disk),
  /** Bytes the kernel has; MiB of the modules in the machine. */
  memory: Type.Object({ total: Type.Integer(), physical_mb: Nullable(Type.Integer()) }),
  bmc_address: MaybeText,
  bmc_v6address: MaybeText,
  bmc_mac: Type.Optional(MaybeText),
  system_vendor: Type.Object({
    product_name: Text,
    serial_number: Text,
    manufacturer: Text,
    firmware: Type.Object({ vendor: Text, version: Text, build_date: Text }),
  }),
  boot: Type.Object({ current_boot_mode: Type.Enum(['bios', 'uefi']), pxe_interface: MaybeText }),
  hostname: MaybeText,
})
export type Inventory = Static<typeof Inventory>

/** What the agent posts to `continue_inspection`. Collectors add keys of their own. */
export const InspectionData = Type.Object({
  inventory: Inventory,
  root_disk: Type.Optional(Disk),
  boot_interface: Type.Optional(MaybeText),
  configuration: Type.Optional(
    Type.Object({
      collectors: Type.Array(Text),
      managers: Type.Array(Type.Object({ name: Text, version: Text })),
    }),
  ),
  /** Null, or a line per collector that failed. */
  error: Nullable(Text),
  /** base64 of a tar.gz. */
  logs: Type.Optional(Text),
})
export type InspectionData = Static<typeof InspectionData>

export const InspectionAnswer = Type.Object({ uuid: Text })
