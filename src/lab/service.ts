/**
 * `ferrite serve` inside a lab's namespace, reachable from outside through a port of the loopback: what the demo and
 * the tests over real machines drive. It can be killed and started again on the same state, which is the point of half
 * of those tests. It configures the service as an operator would, by an INI file.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Api } from '#cli/client.ts'
import { Fault } from '#lib/fault.ts'
import type { Lab } from './lab.ts'
import type { LabMachine } from './state.ts'

/** The service did not start, or ended by itself. */
export class ServiceFailed extends Fault {
  readonly status = 500
  readonly code = 'service-failed'
}

/** Options of the configuration file, by section; they win over the lab's own. */
export type Sections = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>

export interface ServiceOptions {
  lab: Lab
  ramdisk: { kernel: string; initramfs: string }
  /** Directories that file:// images may come from, besides the ramdisk's. */
  imageFolders?: readonly string[]
  config?: Sections
}

const main = resolve(import.meta.dirname, '../main.ts')
const apiPort = 6385
const startLimitMs = 30_000

export class LabService {
  readonly lab: Lab
  /** URL of the API on this host's loopback. */
  readonly endpoint: string
  readonly api: Api
  /** What the service wrote: one JSON object a line. */
  readonly logFile: string
  readonly #configFile: string
  readonly #close: () => Promise<void>
  #child: ChildProcess | undefined

  private constructor(lab: Lab, configFile: string, forwarded: { port: number; close(): Promise<void> }) {
    this.lab = lab
    this.#configFile = configFile
    this.#close = forwarded.close
    this.logFile = join(lab.state.directory, 'service.log')
    this.endpoint = `http://127.0.0.1:${forwarded.port}`
    this.api = new Api({
      endpoint: this.endpoint,
      version: 'latest',
      headers: {},
      tls: {},
      timeoutMs: 60_000,
      maxRetries: 5,
      retryIntervalMs: 1000,
      sleep: ms => sleep(ms),
      notice() {},
    })
  }

  /** Writes the configuration and starts the service; returns when it answers. @throws ServiceFailed with its words */
  static async start(options: ServiceOptions): Promise<LabService> {
    const { lab } = options
    const configFile = join(lab.state.directory, 'ferrite.conf')
    await mkdir(join(lab.state.directory, 'service'), { recursive: true })
    await writeFile(configFile, iniText(sectionsOf(options)))
    const forwarded = await lab.forward(lab.state.network.address, apiPort)
    const service = new LabService(lab, configFile, forwarded)
    try {
      await service.resume()
    } catch (error) {
      await service.stop()
      throw error
    }
    return service
  }

  /** Process id of the running service; undefined while it is down. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts the service on the state it has. @returns milliseconds until it answered */
  async resume(): Promise<number> {
    const log = await open(this.logFile, 'a')
    const began = performance.now()
    const args = ['--disable-warning=ExperimentalWarning', main, 'serve', '--config-file', this.#configFile]
    const child = this.lab.spawn(process.execPath, args, { stdio: ['ignore', log.fd, log.fd] })
    await log.close()
    this.#child = child
    for (;;) {
      if (await answers(this.endpoint)) return performance.now() - began
      const ended = child.exitCode !== null || child.signalCode !== null
      if (ended || performance.now() - began > startLimitMs) {
        throw new ServiceFailed(`ferrite serve ${ended ? 'ended' : 'does not answer'}:\n${await this.lastLines(15)}`)
      }
      await sleep(50)
    }
  }

  /** Ends the service as `kill` does, and waits until it is gone. */
  async kill(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  async stop(): Promise<void> {
    await this.kill('SIGTERM')
    await this.#close()
  }

  async lastLines(count: number): Promise<string> {
    const text = await readFile(this.logFile, 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-count).join('\n')
  }
}

/** driver_info of a lab machine, as an operator would know it: the BMC's address, account and certificate. */
export function driverInfoOf(machine: LabMachine): Record<string, string> {
  return {
    redfish_address: machine.bmc.url,
    redfish_system_id: machine.bmc.system_path,
    redfish_username: machine.bmc.username,
    redfish_password: machine.bmc.password,
    redfish_verify_ca: machine.bmc.certificate_file,
  }
}

function sectionsOf({ lab, ramdisk, imageFolders = [], config = {} }: ServiceOptions): Sections {
  const { network, directory, name } = lab.state
  const own: Sections = {
    DEFAULT: { host: `ferrite-${name}`, my_ip: network.address, state_path: join(directory, 'service') },
    conductor: {
      deploy_kernel: `file://${ramdisk.kernel}`,
      deploy_ramdisk: `file://${ramdisk.initramfs}`,
      file_url_allowed_paths: [...new Set([resolve(ramdisk.kernel, '..'), ...imageFolders])].join(','),
    },
    ferrite: {
      manage_dnsmasq: true,
      dhcp_interface: network.bridge,
      dhcp_range: `${network.dhcp_first},${network.dhcp_last},${network.netmask},10m`,
    },
    pxe: { kernel_append_params: 'nofb vga=normal console=tty0 console=ttyS0' },
    // Wiping what names partitions and file systems is enough for disks that are made anew with each lab.
    deploy: { erase_devices_priority: 0, erase_devices_metadata_priority: 10 },
    api: { ramdisk_heartbeat_timeout: 60 },
  }
  const names = new Set([...Object.keys(own), ...Object.keys(config)])
  return Object.fromEntries([...names].map(section => [section, { ...own[section], ...config[section] }]))
}

function iniText(sections: Sections): string {
  const parts = Object.entries(sections).map(([section, options]) => {
    const lines = Object.entries(options).map(([name, value]) => `${name} = ${value}`)
    return `[${section}]\n${lines.join('\n')}\n`
  })
  return parts.join('\n')
}

async function answers(endpoint: string): Promise<boolean> {
  try {
    return (await fetch(endpoint, { signal: AbortSignal.timeout(2000) })).status === 200
  } catch {
    return false
  }
}
