/**
 * What a simulation drives: a service of its own that it starts on a state in a temporary directory, or any service that
 * speaks the API, whose machines then are told where its API is instead of being booted by it. Either way there is a
 * fleet, an image to deploy, and what an operator would enrol of a machine.
 */
import { rm } from 'node:fs/promises'
import type { Api } from '#cli/client.ts'
import type { Sections } from '#lab/service-process.ts'
import { systemClock } from '#lib/clock.ts'
import { driverInfoOf, instanceInfoOf } from './enrolment.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import { serveImage } from './image-server.ts'
import type { SimMachine } from './machine.ts'
import type { Settings } from './settings.ts'
import { Site } from './site.ts'

export interface Target {
  readonly endpoint: string
  /** Of the service, where it is ours or was named. */
  readonly pid: number | undefined
  /** Where the service writes its log; undefined where it is not ours. */
  readonly logFile: string | undefined
  readonly fleet: Fleet
  readonly instanceInfo: Record<string, unknown>
  /** Fields of a node to enrol, without its name. */
  enrolment(machine: SimMachine): Record<string, unknown>
  stop(): Promise<void>
}

interface Common {
  nodes: number
  settings: Settings
  onEvent: NonNullable<FleetOptions['onEvent']>
}

/** Starts `ferrite serve` in `directory`, which is removed at the end unless it is kept. */
export async function ownTarget(
  options: Common & { directory: string; keep: boolean; config: Sections },
): Promise<Target> {
  const { directory, keep, config, ...rest } = options
  // Standing machines are cleanings that last, and how many else are under way is the simulation's to say.
  const conductor = { max_concurrent_deploy: rest.nodes, max_concurrent_clean: rest.nodes, ...config.conductor }
  const site = await Site.start({ directory, ...rest, config: { ...config, conductor } })
  return {
    endpoint: site.service.endpoint,
    get pid() {
      return site.service.pid
    },
    logFile: site.service.logFile,
    fleet: site.fleet,
    instanceInfo: site.instanceInfo(),
    enrolment: machine => ({ ...interfaces, driver_info: site.driverInfo(machine) }),
    async stop() {
      await site.stop()
      if (!keep) await rm(directory, { recursive: true, force: true })
    },
  }
}

/**
 * @param options.address of this host, at which the service reaches BMCs and agents
 * @param options.pid of the service, where it runs on this host and is to be measured
 */
export async function foreignTarget(
  options: Common & { api: Api; endpoint: string; address: string; prefix: string; pid: number | undefined },
): Promise<Target> {
  const { settings, endpoint, address, api } = options
  await api.get('/v1')
  await using started = new AsyncDisposableStack()
  const fleet = await Fleet.start({
    ...options,
    clock: systemClock,
    boot: { kind: 'assumed', apiUrl: () => endpoint },
  })
  started.defer(() => fleet.stop())
  const image = await serveImage({ sizeBytes: 2 ** 20, seed: settings.seed, address })
  // Published and never run: machines here assume what their kernel would be told.
  const boot = { kernel: image.url, ramdisk: image.url, bmcCertificate: false as const }
  const held = started.move()
  return {
    endpoint,
    pid: options.pid,
    logFile: undefined,
    fleet,
    instanceInfo: instanceInfoOf(image),
    enrolment: machine => ({ ...interfaces, driver_info: driverInfoOf(machine, boot) }),
    async stop() {
      await held.disposeAsync()
      await image.close()
    },
  }
}

const interfaces = {
  driver: 'redfish',
  boot_interface: 'ipxe',
  deploy_interface: 'direct',
  inspect_interface: 'agent',
  network_interface: 'noop',
}
