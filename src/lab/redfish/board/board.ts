/**
 * The parts of a server that its BMC alone sees: BIOS settings, firmware, a RAID controller, secure boot, lights, tasks and
 * subscriptions. A machine of QEMU has none of them, so that the lab's BMCs come without a board; tests and simulations
 * give theirs one. It is put beside the hardware, which knows nothing of it.
 */

import type { ResetType } from '../hardware.ts'
import { RedfishError } from '../messages.ts'
import { CHASSIS, type Resource, ROOT, SYSTEM } from '../resources.ts'
import type { Body, Route } from '../routes.ts'
import { BiosSettings } from './bios-settings.ts'
import { EventService } from './event-service.ts'
import { Firmware } from './firmware.ts'
import { SecureBoot } from './secure-boot.ts'
import { Tasks } from './tasks.ts'
import { Volumes } from './volumes.ts'

/** Resets after which the firmware has not started anew. */
const noStart: readonly ResetType[] = ['ForceOff', 'GracefulShutdown', 'Nmi']

export class Board {
  readonly tasks: Tasks
  readonly bios = new BiosSettings()
  readonly secureBoot = new SecureBoot()
  readonly events = new EventService()
  readonly volumes: Volumes
  readonly firmware: Firmware
  /** By path of the resource that has it. */
  readonly lights = new Map<string, boolean>([
    [SYSTEM, false],
    [CHASSIS, false],
  ])

  /** @param now milliseconds since the epoch; tasks end by it */
  constructor(now: () => number = Date.now) {
    this.tasks = new Tasks(now)
    this.volumes = new Volumes(this.tasks)
    this.firmware = new Firmware(this.tasks)
  }

  /** What the hardware does at this reset, the board does as well. */
  onReset(type: ResetType): void {
    if (noStart.includes(type)) return
    this.bios.onReset()
    this.secureBoot.onReset()
    this.tasks.onReset()
  }

  get routes(): Route[] {
    const parts = [this.tasks, this.bios, this.secureBoot, this.events, this.volumes, this.firmware]
    return parts.flatMap(part => part.routes)
  }

  /** What the board adds to a resource of the machine. */
  adds(path: string): Resource {
    const link = (uri: string) => ({ '@odata.id': uri })
    const light = this.lights.get(path)
    const lit = light === undefined ? {} : { LocationIndicatorActive: light }
    switch (path) {
      case ROOT:
        return {
          UpdateService: link(`${ROOT}/UpdateService`),
          EventService: link(`${ROOT}/EventService`),
          Tasks: link(`${ROOT}/TaskService`),
          Registries: link(`${ROOT}/Registries`),
        }
      case SYSTEM:
        this.tasks.settle()
        return { ...lit, BiosVersion: this.firmware.versions.bios, SecureBoot: link(`${SYSTEM}/SecureBoot`) }
      case CHASSIS:
        return { ...lit, NetworkAdapters: link(`${CHASSIS}/NetworkAdapters`) }
      case `${ROOT}/Managers/1`:
        this.tasks.settle()
        return { FirmwareVersion: this.firmware.versions.bmc }
      default:
        return lit
    }
  }

  /** @throws RedfishError */
  switchLight(path: string, body: Body): void {
    const { LocationIndicatorActive: lit, ...rest } = body
    const [unknown] = Object.keys(rest)
    if (unknown !== undefined) throw new RedfishError('PropertyNotWritable', unknown)
    if (typeof lit !== 'boolean') {
      throw new RedfishError(
        'PropertyValueTypeError',
        JSON.stringify(lit ?? null),
        'LocationIndicatorActive',
        'true or false',
      )
    }
    this.lights.set(path, lit)
  }
}
