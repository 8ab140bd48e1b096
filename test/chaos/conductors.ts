/** Conductors as processes, on one database, behind one front; and somebody who kills them at random. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts, ServiceProcess } from '../../src/lab/service-process.ts'
import { messageOf } from '../../src/lib/fault.ts'
import type { Chance } from '../../src/sim/chance.ts'
import { Front } from './front.ts'

export interface ConductorsOptions {
  directory: string
  count: number
  /** `[database] connection`. */
  database: string
  /** Where kernels and ramdisks lie. */
  bootFiles: string
}

/** How long one that was killed stays away, before it starts again. */
const longestAwayMs = 1000
const startAttempts = 3

export class Conductors {
  readonly api: Front
  readonly bootFiles: Front
  readonly all: readonly ServiceProcess[]
  kills = 0
  /** What those said that did not come back at the first try: on a busy host a start may take longer than it may. */
  readonly failedStarts: string[] = []

  private constructor(parts: { api: Front; bootFiles: Front; all: readonly ServiceProcess[] }) {
    this.api = parts.api
    this.bootFiles = parts.bootFiles
    this.all = parts.all
  }

  static async start({ directory, count, database, bootFiles }: ConductorsOptions): Promise<Conductors> {
    const ports = await freePorts(2 * count)
    const [apiPorts, httpPorts] = [ports.slice(0, count), ports.slice(count)]
    const [api, http] = [await Front.open(apiPorts), await Front.open(httpPorts)]
    const all: ServiceProcess[] = []
    for (const [index, port] of apiPorts.entries()) {
      const name = `conductor-${index + 1}`
      const own = join(directory, name)
      const service = await ServiceProcess.start({
        directory: own,
        endpoint: `http://127.0.0.1:${port}`,
        config: {
          DEFAULT: { host: name, my_ip: '127.0.0.1', state_path: join(own, 'state') },
          database: { connection: database },
          api: { host_ip: '127.0.0.1', port, public_endpoint: api.url, ramdisk_heartbeat_timeout: 60 },
          // Boot files are the same whoever wrote them: all conductors serve one folder.
          deploy: { http_root: join(directory, 'http'), http_url: http.url },
          conductor: { file_url_allowed_paths: bootFiles, max_concurrent_deploy: 10_000, max_concurrent_clean: 10_000 },
          ferrite: {
            http_host: '127.0.0.1',
            http_port: httpPorts[index] ?? 0,
            api_url: api.url,
            poll_interval_ms: 500,
          },
          pxe: { boot_retry_timeout: 60 },
        },
      })
      all.push(service)
    }
    return new Conductors({ api, bootFiles: http, all })
  }

  /** Kills one for good. */
  async kill(hostname: string): Promise<void> {
    const victim = this.all[Number(hostname.replace('conductor-', '')) - 1]
    if (!victim) throw new Error(`there is no process for ${hostname}`)
    await victim.kill('SIGKILL')
    this.kills += 1
  }

  /**
   * Kills one of those that run every `everyMs`, and starts it again soon after, until the signal. Each gets that long to
   * live after it has started, lest a slow host see nothing but starts.
   */
  async killAtRandom(chance: Chance, everyMs: number, signal: AbortSignal): Promise<void> {
    const upSince = new Map(this.all.map(service => [service, performance.now()]))
    const returning = new Set<Promise<void>>()
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal }).catch(() => {})
      const awayMs = chance.within([0, longestAwayMs])
      const ripe = [...upSince].flatMap(([service, sinceMs]) =>
        performance.now() - sinceMs >= everyMs ? [service] : [],
      )
      const victim = ripe[Math.floor(chance.next() * ripe.length)]
      if (signal.aborted || victim === undefined) continue
      upSince.delete(victim)
      await victim.kill('SIGKILL')
      this.kills += 1
      const back = sleep(awayMs)
        .then(() => this.#bringBack(victim))
        .then(() => void upSince.set(victim, performance.now()))
      returning.add(back)
      back.finally(() => returning.delete(back)).catch(() => {})
    }
    await Promise.all(returning)
  }

  async #bringBack(victim: ServiceProcess): Promise<void> {
    for (let left = startAttempts; ; left--) {
      try {
        return void (await victim.resume())
      } catch (error) {
        this.failedStarts.push(messageOf(error))
        if (left <= 1) throw error
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map(service => service.stop()))
    await Promise.all([this.api.close(), this.bootFiles.close()])
  }
}
