/**
 * For scenarios over several processes of the service on one PostgreSQL: the processes, a door that leads to whichever
 * of them lives, boot files on a disk that all share, simulated machines.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Api } from '../src/cli/client.ts'
import { startPostgres } from '../src/db/test-server.ts'
import { startFileServer } from '../src/images/file-server.ts'
import { freePorts, type Sections, ServiceProcess } from '../src/lab/service-process.ts'
import { systemClock } from '../src/lib/clock.ts'
import { silent } from '../src/lib/log.ts'
import { type BootSources, writeBootSources } from '../src/sim/boot-sources.ts'
import { instanceInfoOf, nodeOf } from '../src/sim/enrolment.ts'
import { Fleet } from '../src/sim/fleet.ts'
import { type ServedImage, serveImage } from '../src/sim/image-server.ts'
import type { SimMachine } from '../src/sim/machine.ts'
import type { Settings } from '../src/sim/settings.ts'
import { EventRecord, type Ground, Operator } from './simulated-site.ts'

export interface ClusterOptions {
  processes: number
  nodes: number
  settings: Settings
  /** Options that win over the cluster's own. */
  config?: Sections
  /** The conductor group of each process. Default: none has one. */
  groups?: readonly string[]
}

/** A cluster that is gone, with its directory and its database, at the end of the scope. */
export async function openCluster(options: ClusterOptions) {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-cluster-'))
  const record = new EventRecord()
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const postgres = await startPostgres()
  opened.defer(() => postgres.stop())
  const database = await postgres.create('ferrite')

  const root = join(directory, 'httpboot')
  const files = opened.use(await startFileServer({ host: '127.0.0.1', port: 0, root, log: silent }))
  const fleet = await Fleet.start({
    nodes: options.nodes,
    settings: options.settings,
    clock: systemClock,
    boot: { kind: 'scripts', url: () => `http://127.0.0.1:${files.port}/boot.ipxe` },
    onEvent: record.add,
  })
  opened.defer(() => fleet.stop())
  const image = await serveImage({ sizeBytes: 2 ** 20, seed: options.settings.seed })
  opened.defer(() => image.close())

  const ports = await freePorts(options.processes)
  const door = await openDoor(ports)
  opened.defer(door.close)
  const bootFolder = join(directory, 'boot')
  const boot = await writeBootSources(bootFolder, fleet.bmcCertificatePem)

  const processes = await Promise.all(
    ports.map((port, index) => {
      const home = join(directory, `host-${index + 1}`)
      const own: Sections = {
        DEFAULT: { host: `host-${index + 1}`, my_ip: '127.0.0.1', state_path: home },
        database: { connection: database },
        api: { host_ip: '127.0.0.1', port, public_endpoint: door.url },
        deploy: { http_root: root, http_url: `http://127.0.0.1:${files.port}` },
        pxe: { images_path: join(root, '.images'), instance_master_path: join(root, '.master') },
        ferrite: { http_serve: false, poll_interval_ms: 100 },
      }
      const group = options.groups?.[index]
      const conductor = {
        file_url_allowed_paths: bootFolder,
        ...options.config?.conductor,
        ...(group === undefined ? {} : { conductor_group: group }),
      }
      const config = { ...own, ...options.config, conductor }
      return ServiceProcess.start({ directory: home, endpoint: `http://127.0.0.1:${port}`, config })
    }),
  )
  opened.defer(async () => void (await Promise.all(processes.map(one => one.stop()))))
  const cluster = new Cluster({ processes, fleet, image, boot, database, url: door.url })
  const held = opened.move()
  return Object.assign(new Operator(cluster, record), { [Symbol.asyncDispose]: () => held.disposeAsync() })
}

class Cluster implements Ground {
  readonly processes: readonly ServiceProcess[]
  readonly fleet: Fleet
  readonly image: ServedImage
  /** URL of the database that all share. */
  readonly database: string
  /** Whichever process lives. */
  readonly service: { api: Api }
  readonly #boot: BootSources

  constructor(parts: Pick<Cluster, 'processes' | 'fleet' | 'image' | 'database'> & { boot: BootSources; url: string }) {
    this.processes = parts.processes
    this.fleet = parts.fleet
    this.image = parts.image
    this.#boot = parts.boot
    this.database = parts.database
    const client = { endpoint: parts.url, version: 'latest', headers: {}, tls: {}, timeoutMs: 60_000 }
    const sleep = (ms: number) => systemClock.sleep(ms)
    const api = new Api({ ...client, maxRetries: 20, retryIntervalMs: 500, sleep, notice() {} })
    this.service = { api }
  }

  /** The process of a conductor. */
  process(hostname: string): ServiceProcess {
    const found = this.processes[Number(hostname.replace('host-', '')) - 1]
    if (!found) throw new Error(`there is no process for conductor ${hostname}`)
    return found
  }

  instanceInfo(): Record<string, string> {
    return instanceInfoOf(this.image)
  }

  async enrol(machine: SimMachine): Promise<string> {
    return String((await this.service.api.create('/v1/nodes', nodeOf(machine, this.#boot))).uuid)
  }
}

/** What a load balancer does: each connection goes to a process that takes it, the next one's turn first. */
async function openDoor(ports: readonly number[]): Promise<{ url: string; close: () => Promise<void> }> {
  const open = new Set<Socket>()
  let turn = 0
  const server = createServer(client => {
    open.add(client)
    client.on('error', () => {}).on('close', () => open.delete(client))
    const order = ports.map((_, index) => ports[(turn + index) % ports.length] ?? 0)
    turn += 1
    const attempt = (left: readonly number[]) => {
      const [port, ...others] = left
      if (port === undefined || client.destroyed) {
        client.destroy()
        return
      }
      const inner = connect({ port, host: '127.0.0.1' })
      const next = () => attempt(others)
      inner.once('error', next).once('connect', () => {
        inner.off('error', next).on('error', () => client.destroy())
        inner.on('close', () => client.destroy())
        client.on('close', () => inner.destroy())
        client.pipe(inner).pipe(client)
      })
    }
    attempt(order)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
