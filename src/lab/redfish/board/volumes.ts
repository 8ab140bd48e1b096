/**
 * A RAID controller of an emulated server: drives, and the volumes that are made of them, at once or at the machine's next
 * start. Source: DMTF DSP2046, Storage, Volume, Drive; Swordfish volume schema (RAIDType).
 */
import { RedfishError } from '../messages.ts'
import { type Resource, resource, SYSTEM } from '../resources.ts'
import { accepted, at, type Body, json, members, type Route } from '../routes.ts'
import type { Tasks } from './tasks.ts'

const ID = 'RAID.1'
const STORAGE = `${SYSTEM}/Storage/${ID}`
const VOLUMES = `${STORAGE}/Volumes`
const gib = 1024 ** 3

export interface Drive {
  id: string
  mediaType: 'HDD' | 'SSD'
  protocol: 'SAS' | 'SATA'
  sizeBytes: number
}

export interface Volume {
  id: string
  name: string
  raidType: string
  sizeBytes: number
  drives: readonly string[]
}

/** Least drives of each type, and how many of n drives hold data. */
const raidTypes: Readonly<Record<string, { least: number; data: (drives: number) => number }>> = {
  RAID0: { least: 1, data: n => n },
  RAID1: { least: 2, data: () => 1 },
  RAID5: { least: 3, data: n => n - 1 },
  RAID6: { least: 4, data: n => n - 2 },
  RAID10: { least: 4, data: n => n / 2 },
  RAID50: { least: 6, data: n => n - 2 },
  RAID60: { least: 8, data: n => n - 4 },
}

export class Volumes {
  /** Of the controller, among the system's storage. */
  readonly id = ID
  readonly drives: readonly Drive[]
  readonly volumes: Volume[] = []
  /** When changes are made; OnReset: at the machine's next start. */
  applyTimes: readonly ('Immediate' | 'OnReset')[] = ['Immediate', 'OnReset']
  durationMs = 0
  readonly #tasks: Tasks
  #made = 0

  constructor(tasks: Tasks) {
    this.#tasks = tasks
    const drive = (id: number, mediaType: Drive['mediaType'], sizeGib: number): Drive => {
      return { id: `Disk.${id}`, mediaType, protocol: mediaType === 'HDD' ? 'SAS' : 'SATA', sizeBytes: sizeGib * gib }
    }
    const disks = [0, 1, 2, 3].map(id => drive(id, 'HDD', 1000))
    this.drives = [...disks, drive(4, 'SSD', 400), drive(5, 'SSD', 400)]
  }

  get routes(): Route[] {
    const volumePath = (id: string) => `${VOLUMES}/${id}`
    return [
      { path: at(STORAGE), get: () => this.#storage() },
      { path: at(`${STORAGE}/Drives/*`), get: ({ id }) => this.#drive(id) },
      {
        ...members(VOLUMES, 'Volume', () => this.#settled().map(({ id }) => id)),
        get: () => ({
          '@odata.id': VOLUMES,
          '@odata.type': '#VolumeCollection.VolumeCollection',
          Name: 'Volumes',
          '@Redfish.OperationApplyTimeSupport': { SupportedValues: [...this.applyTimes] },
          Members: this.#settled().map(({ id }) => ({ '@odata.id': volumePath(id) })),
        }),
        post: ({ body }) => this.#create(body),
      },
      {
        path: at(`${VOLUMES}/*`),
        get: ({ id }) => {
          const volume = this.#settled().find(one => one.id === id)
          return volume ? show(volume) : null
        },
        delete: ({ id }) => this.#delete(id),
      },
    ]
  }

  #settled(): readonly Volume[] {
    this.#tasks.settle()
    return this.volumes
  }

  #storage(): Resource {
    const controller = {
      MemberId: '0',
      Name: 'Lab RAID',
      SupportedRAIDTypes: Object.keys(raidTypes),
      SupportedDeviceProtocols: ['SAS', 'SATA'],
      Status: { State: 'Enabled', Health: 'OK' },
    }
    return resource(STORAGE, 'Storage.v1_16_0.Storage', 'Lab RAID', {
      StorageControllers: [controller],
      Drives: this.drives.map(({ id }) => ({ '@odata.id': `${STORAGE}/Drives/${id}` })),
      Volumes: { '@odata.id': VOLUMES },
      Status: { State: 'Enabled', Health: 'OK' },
    })
  }

  #drive(id: string): Resource | null {
    const drive = this.drives.find(one => one.id === id)
    if (!drive) return null
    const used = this.#settled().filter(volume => volume.drives.includes(id))
    return resource(`${STORAGE}/Drives/${id}`, 'Drive.v1_19_0.Drive', id, {
      MediaType: drive.mediaType,
      Protocol: drive.protocol,
      CapacityBytes: drive.sizeBytes,
      SerialNumber: `LABDRIVE${id.slice(-1)}`,
      Status: { State: 'Enabled', Health: 'OK' },
      Links: { Volumes: used.map(volume => ({ '@odata.id': `${VOLUMES}/${volume.id}` })) },
    })
  }

  #create(body: Body): Response {
    const { RAIDType, CapacityBytes, Links, Name } = body
    const type = raidTypes[String(RAIDType)]
    if (!type)
      throw new RedfishError('PropertyValueNotInList', `${RAIDType}`, 'RAIDType', Object.keys(raidTypes).join(', '))
    const links = (Links as { Drives?: { '@odata.id'?: string }[] } | undefined)?.Drives ?? [] // read below, one by one
    const ids = links.map(link => String(link['@odata.id']).split('/').pop() ?? '')
    const drives = ids.map(id => {
      const drive = this.drives.find(one => one.id === id)
      if (!drive) throw new RedfishError('ResourceMissingAtURI', `${STORAGE}/Drives/${id}`)
      return drive
    })
    if (drives.length < type.least) {
      throw new RedfishError(
        'PropertyValueConflict',
        'Links/Drives',
        `${drives.length}`,
        `${RAIDType} needs ${type.least}`,
      )
    }
    const most = Math.min(...ids.map(id => this.#free(id))) * type.data(drives.length)
    const sizeBytes = typeof CapacityBytes === 'number' ? CapacityBytes : most
    if (sizeBytes > most) {
      throw new RedfishError(
        'PropertyValueConflict',
        'CapacityBytes',
        `${sizeBytes}`,
        `these drives have room for ${most}`,
      )
    }
    const add = () => {
      const id = `Volume.${++this.#made}`
      this.volumes.push({ id, name: String(Name ?? id), raidType: String(RAIDType), sizeBytes, drives: ids })
    }
    return this.#work('volume is made', body['@Redfish.OperationApplyTime'], add)
  }

  /** Bytes of a drive that no volume uses. */
  #free(id: string): number {
    const drive = this.drives.find(one => one.id === id)
    const used = this.volumes
      .filter(volume => volume.drives.includes(id))
      .reduce(
        (sum, volume) => sum + volume.sizeBytes / (raidTypes[volume.raidType]?.data(volume.drives.length) ?? 1),
        0,
      )
    return (drive?.sizeBytes ?? 0) - used
  }

  #delete(id: string): Response {
    const isLater = this.applyTimes.length > 0 && !this.applyTimes.includes('Immediate')
    return this.#work('volume is deleted', isLater ? 'OnReset' : 'Immediate', () => {
      const index = this.volumes.findIndex(one => one.id === id)
      if (index >= 0) this.volumes.splice(index, 1)
    })
  }

  #work(name: string, applyTime: unknown, finish: () => void): Response {
    if (applyTime !== undefined && !this.applyTimes.some(time => time === applyTime)) {
      throw new RedfishError(
        'PropertyValueNotInList',
        `${applyTime}`,
        '@Redfish.OperationApplyTime',
        this.applyTimes.join(', '),
      )
    }
    const isLater = applyTime === 'OnReset' || !this.applyTimes.includes('Immediate')
    if (!isLater && this.durationMs === 0) {
      finish()
      const last = this.volumes.at(-1)
      return json(201, last ? show(last) : {}, last ? { Location: `${VOLUMES}/${last.id}` } : {})
    }
    const work = { name, durationMs: this.durationMs, finish }
    return accepted(this.#tasks.start(isLater ? { ...work, untilReset: 'New' } : work))
  }
}

function show(volume: Volume): Resource {
  return resource(`${VOLUMES}/${volume.id}`, 'Volume.v1_10_0.Volume', volume.name, {
    RAIDType: volume.raidType,
    CapacityBytes: volume.sizeBytes,
    Identifiers: [
      { DurableNameFormat: 'NAA', DurableName: `60050760${volume.id.replace(/\D/g, '').padStart(8, '0')}` },
    ],
    Links: { Drives: volume.drives.map(id => ({ '@odata.id': `${STORAGE}/Drives/${id}` })) },
    Status: { State: 'Enabled', Health: 'OK' },
  })
}
