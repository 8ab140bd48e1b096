/**
 * `ferrite serve` as a child process, configured by an INI file as an operator would: for development, demos and tests.
 * It can be killed and started again on the same state. It knows nothing of machines.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { get as getPlain, type IncomingMessage } from 'node:http'
import { get as getSecure } from 'node:https'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Api } from '#cli/client.ts'
import { Fault } from '#lib/fault.ts'

/** The service did not start, or ended by itself. */
export class ServiceFailed extends Fault {
  readonly status = 500
  readonly code = 'service-failed'
}

/** Options of the configuration file, by section. */
export type Sections = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>

export interface ServiceProcessOptions {
  /** Holds `ferrite.conf` and `service.log`; made when it is not there. */
  directory: string
  config: Sections
  /** URL that the API answers at once it runs. */
  endpoint: string
  /** Authority of its certificate, PEM; without one: those of the system. */
  ca?: string
  /** How to start a program; default: here. */
  spawn?: (command: string, args: readonly string[], options: SpawnOptions) => ChildProcess
  /** Done when the service was stopped for good: what was set up around it. */
  onStop?: () => Promise<void>
}

/** These two are those of the `ferrite` script, so that what is measured here is what runs elsewhere. */
const allocator = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '131072' }
const nodeOptions = [
  '--disable-warning=ExperimentalWarning',
  '--min-semi-space-size=8',
  '--max-semi-space-size=8',
  '--initial-old-space-size=64',
  '--heap-growing-percent=60',
]
const main = resolve(import.meta.dirname, '../main.ts')
const startLimitMs = 30_000

export class ServiceProcess {
  readonly endpoint: string
  readonly api: Api
  /** What the service wrote: one JSON object a line. */
  readonly logFile: string
  readonly #configFile: string
  readonly #spawn: NonNullable<ServiceProcessOptions['spawn']>
  readonly #onStop: () => Promise<void>
  readonly #tls: { readonly ca?: string }
  #child: ChildProcess | undefined

  private constructor({ directory, endpoint, ca, spawn: spawnHere = spawn, onStop }: ServiceProcessOptions) {
    this.#tls = ca === undefined ? {} : { ca }
    this.#onStop = onStop ?? (async () => {})
    this.endpoint = endpoint
    this.logFile = join(directory, 'service.log')
    this.#configFile = join(directory, 'ferrite.conf')
    this.#spawn = spawnHere
    this.api = new Api({
      endpoint,
      version: 'latest',
      headers: {},
      tls: this.#tls,
      timeoutMs: 60_000,
      maxRetries: 5,
      retryIntervalMs: 1000,
      sleep: ms => sleep(ms),
      notice() {},
    })
  }

  /** Writes the configuration and starts the service; returns when it answers. @throws ServiceFailed with its words */
  static async start(options: ServiceProcessOptions): Promise<ServiceProcess> {
    const service = new ServiceProcess(options)
    await mkdir(options.directory, { recursive: true })
    await writeFile(service.#configFile, iniText(options.config))
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
    const args = [...nodeOptions, main, 'serve', '--config-file', this.#configFile]
    const child = this.#spawn(process.execPath, args, {
      stdio: ['ignore', log.fd, log.fd],
      env: { ...allocator, ...process.env },
    })
    await log.close()
    this.#child = child
    // Whatever ends this process, an error of its own above all, takes the service along.
    const onExit = () => child.kill('SIGKILL')
    process.once('exit', onExit)
    child.once('exit', () => process.off('exit', onExit))
    for (;;) {
      const ended = child.exitCode !== null || child.signalCode !== null
      if (!ended && (await answers(this.endpoint, this.#tls))) return performance.now() - began
      if (ended || performance.now() - began > startLimitMs) {
        await this.kill('SIGKILL')
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
    await this.#onStop()
  }

  async lastLines(count: number): Promise<string> {
    const text = await readFile(this.logFile, 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-count).join('\n')
  }
}

/** Ports of the loopback that nobody listens on at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map(server => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}

function iniText(sections: Sections): string {
  const parts = Object.entries(sections).map(([section, options]) => {
    const lines = Object.entries(options).map(([name, value]) => `${name} = ${value}`)
    return `[${section}]\n${lines.join('\n')}\n`
  })
  return parts.join('\n')
}

async function answers(endpoint: string, tls: { readonly ca?: string }): Promise<boolean> {
  const get = endpoint.startsWith('https:') ? getSecure : getPlain
  const request = get(endpoint, { ...tls, agent: false, signal: AbortSignal.timeout(2000) })
  request.on('error', () => {})
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage] // what the event brings
    response.resume()
    await once(response, 'end')
    return response.statusCode === 200
  } catch {
    return false
  }
}
