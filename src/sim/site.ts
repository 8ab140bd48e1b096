/**
 * A data centre on this host's loopback: the service as a child process, a fleet of simulated machines, and a small
 * image to deploy. It needs no root and leaves nothing outside of its directory.
 */
import { join, resolve } from 'node:path'
import { freePorts, type Sections, ServiceProcess } from '#lab/service-process.ts'
import { systemClock } from '#lib/clock.ts'
import { type BootSources, writeBootSources } from './boot-sources.ts'
import { driverInfoOf, instanceInfoOf, nodeOf } from './enrolment.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import { type ServedImage, serveImage } from './image-server.ts'
import type { SimMachine } from './machine.ts'
import type { Settings } from './settings.ts'

export interface SiteOptions {
  /** Configuration, database, logs. */
  directory: string
  nodes: number
  settings: Settings
  /** Of the API; undefined for a free one. */
  port?: number
  imageSizeBytes?: number
  /** Options that win over the site's own. */
  config?: Sections
  onEvent?: FleetOptions['onEvent']
}

export class Site {
  readonly directory: string
  readonly service: ServiceProcess
  readonly fleet: Fleet
  readonly image: ServedImage
  readonly #boot: BootSources

  private constructor(parts: Pick<Site, 'directory' | 'service' | 'fleet' | 'image'>, boot: BootSources) {
    this.directory = parts.directory
    this.service = parts.service
    this.fleet = parts.fleet
    this.image = parts.image
    this.#boot = boot
  }

  /** Machines are off and unknown to the service. */
  static async start(options: SiteOptions): Promise<Site> {
    const directory = resolve(options.directory)
    const [free = 0, httpPort = 0] = await freePorts(2)
    const apiPort = options.port ?? free
    await using started = new AsyncDisposableStack()
    const fleet = await Fleet.start({
      nodes: options.nodes,
      settings: options.settings,
      clock: systemClock,
      boot: { kind: 'scripts', url: () => `http://127.0.0.1:${httpPort}/boot.ipxe` },
      ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
    })
    started.defer(() => fleet.stop())
    const image = await serveImage({ sizeBytes: options.imageSizeBytes ?? 8 * 2 ** 20, seed: options.settings.seed })
    started.defer(() => image.close())
    const boot = await writeBootSources(join(directory, 'boot'), fleet.bmcCertificatePem)
    const service = await ServiceProcess.start({
      directory,
      endpoint: `http://127.0.0.1:${apiPort}`,
      config: merged(ownConfig({ directory, apiPort, httpPort }), options.config ?? {}),
    })
    started.move()
    return new Site({ directory, service, fleet, image }, boot)
  }

  /** What an operator knows of a machine, for `driver_info`. */
  driverInfo(machine: SimMachine): Record<string, unknown> {
    return driverInfoOf(machine, this.#boot)
  }

  /** The site's image, for `instance_info`. */
  instanceInfo(): Record<string, string> {
    return instanceInfoOf(this.image)
  }

  /** Makes a node of the machine's name. @returns its UUID */
  async enrol(machine: SimMachine): Promise<string> {
    return String((await this.service.api.create('/v1/nodes', nodeOf(machine, this.#boot))).uuid)
  }

  async stop(): Promise<void> {
    await this.service.stop()
    await this.fleet.stop()
    await this.image.close()
  }
}

function ownConfig(site: { directory: string; apiPort: number; httpPort: number }): Sections {
  return {
    DEFAULT: {
      host: 'ferrite-sim',
      my_ip: '127.0.0.1',
      state_path: join(site.directory, 'state'),
      // Ramdisks are what is simulated here.
      default_inspect_interface: 'agent',
    },
    api: { host_ip: '127.0.0.1', port: site.apiPort, ramdisk_heartbeat_timeout: 60 },
    conductor: { file_url_allowed_paths: join(site.directory, 'boot') },
    ferrite: { http_host: '127.0.0.1', http_port: site.httpPort, poll_interval_ms: 250 },
  }
}

function merged(own: Sections, more: Sections): Sections {
  const names = new Set([...Object.keys(own), ...Object.keys(more)])
  return Object.fromEntries([...names].map(section => [section, { ...own[section], ...more[section] }]))
}
