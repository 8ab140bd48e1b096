/**
 * Firmware of an emulated server and its update service. An image is a JSON text `{"component": …, "version": …}`, which
 * the BMC really fetches from where it is told. What a component does with it differs, as it does in real servers: the BIOS
 * is written at the next start, the BMC changes its version a while after the task ended, a NIC waits for a start first.
 *
 * Source: DMTF DSP2046, UpdateService, SoftwareInventory.
 */
import { RedfishError } from '../messages.ts'
import { CHASSIS, type Resource, ROOT, resource } from '../resources.ts'
import { accepted, at, type Body, members, parameters, type Route } from '../routes.ts'
import type { Tasks } from './tasks.ts'

const SERVICE = `${ROOT}/UpdateService`
const INVENTORY = `${SERVICE}/FirmwareInventory`
const ADAPTERS = `${CHASSIS}/NetworkAdapters`
export const NIC = { id: 'NIC.1', serialNumber: 'LABNIC0001', model: 'Lab 25G', manufacturer: 'Ferrite' } as const

export type Component = 'bios' | 'bmc' | 'nic'
const ids: Readonly<Record<Component, string>> = { bios: 'BIOS', bmc: 'BMC', nic: NIC.id }

export class Firmware {
  readonly versions: Record<Component, string> = { bios: '1.0', bmc: '1.0.0', nic: '7.0' }
  /** Images that were fetched, in order. */
  readonly fetched: string[] = []
  durationMs = 0
  readonly #tasks: Tasks

  constructor(tasks: Tasks) {
    this.#tasks = tasks
  }

  get routes(): Route[] {
    return [
      {
        path: at(SERVICE),
        get: () =>
          resource(SERVICE, 'UpdateService.v1_14_0.UpdateService', 'Update service', {
            ServiceEnabled: true,
            FirmwareInventory: { '@odata.id': INVENTORY },
            Actions: {
              '#UpdateService.SimpleUpdate': {
                target: `${SERVICE}/Actions/UpdateService.SimpleUpdate`,
                'TransferProtocol@Redfish.AllowableValues': ['HTTP', 'HTTPS'],
              },
            },
          }),
      },
      members(INVENTORY, 'SoftwareInventory', () => Object.values(ids)),
      { path: at(`${INVENTORY}/*`), get: ({ id }) => this.#inventory(id) },
      { path: at(`${SERVICE}/Actions/UpdateService.SimpleUpdate`), post: ({ body }) => this.#update(body) },
      members(ADAPTERS, 'NetworkAdapter', () => [NIC.id]),
      {
        path: at(`${ADAPTERS}/${NIC.id}`),
        get: () => {
          this.#tasks.settle()
          return resource(`${ADAPTERS}/${NIC.id}`, 'NetworkAdapter.v1_10_0.NetworkAdapter', 'Network card', {
            SerialNumber: NIC.serialNumber,
            Model: NIC.model,
            Manufacturer: NIC.manufacturer,
            Controllers: [{ FirmwarePackageVersion: this.versions.nic }],
            Status: { State: 'Enabled', Health: 'OK' },
          })
        },
      },
    ]
  }

  #inventory(id: string): Resource | null {
    this.#tasks.settle()
    const component = (Object.keys(ids) as Component[]).find(one => ids[one] === id) // the keys are components
    if (!component) return null
    return resource(`${INVENTORY}/${id}`, 'SoftwareInventory.v1_10_0.SoftwareInventory', id, {
      Version: this.versions[component],
      Updateable: true,
    })
  }

  async #update(body: Body): Promise<Response> {
    const action = 'UpdateService.SimpleUpdate'
    const optional = [
      'Targets',
      'TransferProtocol',
      '@Redfish.OperationApplyTime',
      'Username',
      'Password',
      'ForceUpdate',
    ]
    const { ImageURI } = parameters(action, body, ['ImageURI'], optional)
    const image = await this.#fetch(String(ImageURI))
    const finish = () => {
      this.versions[image.component] = image.version
    }
    const work = { name: `Update of ${ids[image.component]}`, durationMs: this.durationMs, finish }
    const wait = { bmc: undefined, bios: 'Running', nic: 'Starting' } as const
    const untilReset = wait[image.component]
    return accepted(this.#tasks.start(untilReset ? { ...work, untilReset } : work))
  }

  async #fetch(url: string): Promise<{ component: Component; version: string }> {
    const refuse = (what: string) => new RedfishError('CouldNotEstablishConnection', `${url}: ${what}`)
    const response = await fetch(url).catch(error => {
      throw refuse(String(error.cause?.message ?? error.message))
    })
    if (!response.ok) throw refuse(`HTTP ${response.status}`)
    const image = (await response.json().catch(() => null)) as { component?: string; version?: string } | null // checked next
    if (!image || !Object.hasOwn(ids, image.component ?? '') || !image.version) throw refuse('no firmware image')
    this.fetched.push(url)
    return { component: image.component as Component, version: image.version } // hasOwn has just said so
  }
}
