/**
 * The resources of a BMC as JSON, each a pure function of the hardware. Only what a machine of ours has is shown; no
 * sensor or part is made up.
 *
 * Source: DMTF DSP2046 (resource and schema guide) 2023.3
 */
import { type Hardware, resetTypes } from './hardware.ts'
import { SESSION_TIMEOUT_S, type Session } from './sessions.ts'

export type Resource = Record<string, unknown>

export const ROOT = '/redfish/v1'
export const SYSTEM = `${ROOT}/Systems/1`
export const MANAGER = `${ROOT}/Managers/1`
export const CHASSIS = `${ROOT}/Chassis/1`
export const SESSIONS = `${ROOT}/SessionService/Sessions`
export const MEDIA = `${MANAGER}/VirtualMedia/Cd`

const FIRMWARE_VERSION = '1.0.0'
const link = (uri: string): Resource => ({ '@odata.id': uri })
const healthy = { State: 'Enabled', Health: 'OK' }

export function resource(uri: string, type: string, name: string, rest: Resource): Resource {
  return { '@odata.id': uri, '@odata.type': `#${type}`, Id: uri.split('/').pop(), Name: name, ...rest }
}

export function collection(uri: string, type: string, members: readonly string[]): Resource {
  return {
    '@odata.id': uri,
    '@odata.type': `#${type}Collection.${type}Collection`,
    Name: `${type} collection`,
    'Members@odata.count': members.length,
    Members: members.map(link),
  }
}

export function serviceRoot(hardware: Hardware): Resource {
  return {
    ...resource(ROOT, 'ServiceRoot.v1_16_0.ServiceRoot', 'Root Service', {
      RedfishVersion: '1.18.0',
      UUID: bmcUuid(hardware),
      Vendor: hardware.facts.manufacturer,
      Product: 'Lab BMC',
      ProtocolFeaturesSupported: {
        SelectQuery: false,
        FilterQuery: false,
        OnlyMemberQuery: false,
        ExcerptQuery: false,
        ExpandQuery: { ExpandAll: false, Levels: false, Links: false, NoLinks: false },
      },
      Systems: link(`${ROOT}/Systems`),
      Managers: link(`${ROOT}/Managers`),
      Chassis: link(`${ROOT}/Chassis`),
      SessionService: link(`${ROOT}/SessionService`),
      Links: { Sessions: link(SESSIONS), ManagerProvidingService: link(MANAGER) },
    }),
    Id: 'RootService',
  }
}

export function system(hardware: Hardware): Resource {
  const { facts } = hardware
  const boot = hardware.boot()
  return resource(SYSTEM, 'ComputerSystem.v1_22_0.ComputerSystem', facts.name, {
    SystemType: 'Physical',
    Manufacturer: facts.manufacturer,
    Model: facts.model,
    SKU: 'lab',
    SerialNumber: facts.serialNumber,
    AssetTag: facts.assetTag,
    UUID: facts.uuid,
    HostName: null,
    BiosVersion: facts.biosVersion,
    PowerState: hardware.power(),
    Status: { State: hardware.power() === 'Off' ? 'StandbyOffline' : 'Enabled', Health: 'OK', HealthRollup: 'OK' },
    Boot: {
      BootSourceOverrideEnabled: boot.enabled,
      'BootSourceOverrideEnabled@Redfish.AllowableValues': ['Disabled', 'Once', 'Continuous'],
      BootSourceOverrideTarget: boot.target,
      'BootSourceOverrideTarget@Redfish.AllowableValues': [...facts.bootTargets],
      BootSourceOverrideMode: facts.bootMode,
      'BootSourceOverrideMode@Redfish.AllowableValues': [facts.bootMode],
      ...(facts.bootTargets.includes('UefiHttp') ? { HttpBootUri: boot.url ?? null } : {}),
    },
    ProcessorSummary: {
      Count: 1,
      CoreCount: facts.cpus,
      LogicalProcessorCount: facts.cpus,
      Model: 'QEMU Virtual CPU',
      Status: healthy,
    },
    MemorySummary: { TotalSystemMemoryGiB: facts.memoryMb / 1024, Status: healthy },
    Processors: link(`${SYSTEM}/Processors`),
    Bios: link(`${SYSTEM}/Bios`),
    ...(facts.bootMode === 'UEFI' ? { SecureBoot: link(`${SYSTEM}/SecureBoot`) } : {}),
    EthernetInterfaces: link(`${SYSTEM}/EthernetInterfaces`),
    SimpleStorage: link(`${SYSTEM}/SimpleStorage`),
    Storage: link(`${SYSTEM}/Storage`),
    VirtualMedia: link(`${MANAGER}/VirtualMedia`),
    ...(hardware.serial && {
      SerialConsole: {
        MaxConcurrentSessions: CONSOLE_SESSIONS,
        WebSocket: { ServiceEnabled: true, Interactive: true, ConsoleURI: SERIAL_SOCKET },
      },
    }),
    ...(hardware.openScreen && {
      GraphicalConsole: {
        ServiceEnabled: true,
        MaxConcurrentSessions: CONSOLE_SESSIONS,
        ConnectTypesSupported: ['KVMIP'],
      },
    }),
    Links: { ManagedBy: [link(MANAGER)], Chassis: [link(CHASSIS)] },
    Actions: {
      '#ComputerSystem.Reset': {
        target: `${SYSTEM}/Actions/ComputerSystem.Reset`,
        'ResetType@Redfish.AllowableValues': [...resetTypes],
      },
    },
  })
}

/** One socket with all cores; each core is a thread. */
export function processor(hardware: Hardware): Resource {
  const { cpus } = hardware.facts
  return resource(`${SYSTEM}/Processors/CPU.1`, 'Processor.v1_20_0.Processor', 'CPU', {
    ProcessorType: 'CPU',
    ProcessorArchitecture: 'x86',
    InstructionSet: 'x86-64',
    Model: 'QEMU Virtual CPU',
    TotalCores: cpus,
    TotalThreads: cpus,
    Status: healthy,
  })
}

export function bios(hardware: Hardware): Resource {
  return resource(`${SYSTEM}/Bios`, 'Bios.v1_2_1.Bios', 'BIOS settings', {
    Attributes: { BootMode: hardware.facts.bootMode === 'UEFI' ? 'Uefi' : 'Bios' },
  })
}

export const nicIds = (hardware: Hardware): string[] => hardware.facts.nics.map((_, index) => `NIC.${index + 1}`)

export function ethernetInterface(hardware: Hardware, id: string): Resource | null {
  const index = nicIds(hardware).indexOf(id)
  const nic = hardware.facts.nics[index]
  if (nic === undefined) return null
  const mac = nic.mac.toUpperCase()
  return resource(
    `${SYSTEM}/EthernetInterfaces/${id}`,
    'EthernetInterface.v1_12_0.EthernetInterface',
    `Network card ${index + 1}`,
    {
      MACAddress: mac,
      PermanentMACAddress: mac,
      InterfaceEnabled: true,
      LinkStatus: hardware.linkUp(index) ? 'LinkUp' : 'LinkDown',
      Status: healthy,
      Links: { Chassis: link(CHASSIS) },
    },
  )
}

export function simpleStorage(hardware: Hardware): Resource {
  return resource(`${SYSTEM}/SimpleStorage/1`, 'SimpleStorage.v1_3_1.SimpleStorage', 'Disks', {
    Devices: hardware.facts.disks.map(disk => ({
      Name: disk.name,
      CapacityBytes: disk.sizeBytes,
      Status: healthy,
    })),
    Status: healthy,
    Links: { Storage: link(`${SYSTEM}/Storage/1`), Chassis: link(CHASSIS) },
  })
}

export function storage(hardware: Hardware): Resource {
  return resource(`${SYSTEM}/Storage/1`, 'Storage.v1_16_0.Storage', 'Disks', {
    Drives: hardware.facts.disks.map((_, index) => link(`${SYSTEM}/Storage/1/Drives/${index}`)),
    'Drives@odata.count': hardware.facts.disks.length,
    Status: healthy,
  })
}

export function drive(hardware: Hardware, id: string): Resource | null {
  const disk = hardware.facts.disks[/^\d+$/.test(id) ? Number(id) : -1]
  if (disk === undefined) return null
  return resource(`${SYSTEM}/Storage/1/Drives/${id}`, 'Drive.v1_19_0.Drive', disk.name, {
    CapacityBytes: disk.sizeBytes,
    SerialNumber: disk.serial,
    Protocol: disk.protocol,
    MediaType: 'SSD',
    BlockSizeBytes: 512,
    Status: healthy,
  })
}

export function manager(hardware: Hardware): Resource {
  return resource(MANAGER, 'Manager.v1_19_1.Manager', 'BMC', {
    ManagerType: 'BMC',
    Manufacturer: hardware.facts.manufacturer,
    Model: 'Lab BMC',
    FirmwareVersion: FIRMWARE_VERSION,
    UUID: bmcUuid(hardware),
    PowerState: 'On',
    DateTime: `${new Date().toISOString().slice(0, 19)}Z`,
    DateTimeLocalOffset: '+00:00',
    Status: healthy,
    VirtualMedia: link(`${MANAGER}/VirtualMedia`),
    Links: { ManagerForServers: [link(SYSTEM)], ManagerForChassis: [link(CHASSIS)] },
  })
}

/** WebSockets, where OpenBMC has them. */
export const SERIAL_SOCKET = '/console/default'
export const SCREEN_SOCKET = '/kvm/0'
const CONSOLE_SESSIONS = 8

/** As TransferProtocolType has them. */
export const MEDIA_PROTOCOLS = ['HTTP', 'HTTPS', 'NFS', 'CIFS'] as const
/** The whole image is fetched before the machine sees it. */
export const MEDIA_METHODS = ['Upload'] as const
/** The WebSocket that images are sent to. */
export const MEDIA_SOCKET = '/nbd/0'

export function virtualMedia(hardware: Hardware): Resource {
  const media = hardware.media()
  return resource(MEDIA, 'VirtualMedia.v1_6_3.VirtualMedia', 'Virtual CD', {
    MediaTypes: ['CD', 'DVD'],
    Image: media?.image ?? null,
    ImageName: media?.image?.split('/').pop() ?? null,
    Inserted: media !== null,
    WriteProtected: true,
    ConnectedVia: media === null ? 'NotConnected' : media.image === null ? 'Applet' : 'URI',
    TransferProtocolType: media === null ? null : protocolOf(media.image),
    TransferMethod: media?.image === null ? 'Stream' : 'Upload',
    Actions: {
      '#VirtualMedia.InsertMedia': {
        target: `${MEDIA}/Actions/VirtualMedia.InsertMedia`,
        'TransferProtocolType@Redfish.AllowableValues': MEDIA_PROTOCOLS,
        'TransferMethod@Redfish.AllowableValues': MEDIA_METHODS,
      },
      '#VirtualMedia.EjectMedia': { target: `${MEDIA}/Actions/VirtualMedia.EjectMedia` },
    },
    ...(hardware.streamMedia && { Oem: { OpenBMC: { WebSocketEndpoint: MEDIA_SOCKET } } }),
  })
}

function protocolOf(image: string | null): string {
  if (image === null) return 'OEM'
  if (/^(https?|nfs):/i.test(image)) return image.slice(0, image.indexOf(':')).toUpperCase()
  return /^((cifs|smb):)?\/\//i.test(image) ? 'CIFS' : 'NFS'
}

/** @param sensors its links to what it measures */
export function chassis(hardware: Hardware, sensors: Resource): Resource {
  const { facts } = hardware
  return resource(CHASSIS, 'Chassis.v1_25_0.Chassis', facts.name, {
    ChassisType: 'RackMount',
    Manufacturer: facts.manufacturer,
    Model: facts.model,
    SerialNumber: facts.serialNumber,
    AssetTag: facts.assetTag,
    PowerState: hardware.power(),
    Status: healthy,
    ...sensors,
    Links: { ComputerSystems: [link(SYSTEM)], ManagedBy: [link(MANAGER)] },
  })
}

export function sessionService(): Resource {
  return resource(`${ROOT}/SessionService`, 'SessionService.v1_1_9.SessionService', 'Session Service', {
    ServiceEnabled: true,
    SessionTimeout: SESSION_TIMEOUT_S,
    Status: healthy,
    Sessions: link(SESSIONS),
  })
}

/** The token is told once, in the header of the reply that makes the session. */
export function session(session: Session): Resource {
  return resource(`${SESSIONS}/${session.id}`, 'Session.v1_7_1.Session', 'User session', {
    UserName: session.username,
    SessionType: 'Redfish',
  })
}

/** Services and resources by their address, for clients that ask for OData's own documents. */
export function odataDocument(): Resource {
  const service = (name: string, uri: string): Resource => ({ name, kind: 'Singleton', url: uri })
  return {
    '@odata.context': `${ROOT}/$metadata`,
    value: [
      service('Service', ROOT),
      service('Systems', `${ROOT}/Systems`),
      service('Managers', `${ROOT}/Managers`),
      service('Chassis', `${ROOT}/Chassis`),
      service('Sessions', SESSIONS),
    ],
  }
}

/** The BMC's own UUID, made from the machine's: the last group is turned around. */
function bmcUuid(hardware: Hardware): string {
  const parts = hardware.facts.uuid.split('-')
  const last = parts.pop() ?? ''
  return [...parts, [...last].reverse().join('')].join('-')
}
