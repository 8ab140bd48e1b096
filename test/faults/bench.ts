/**
 * `ferrite serve` as a child process and a few bench machines, and an operator who asks for things and waits. Everything
 * lies in one temporary directory and is gone at the end.
 */
import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from '#cli/client.ts'
import { freePorts, type Sections, ServiceProcess } from '#lab/service-process.ts'
import { bundleAgent } from '#ramdisk/agent-bundle.ts'
import { bmcCertificate } from './bmc.ts'
import { BenchMachine } from './machine.ts'

export type Node = Readonly<Record<string, unknown>>

/** Processors are shared with other tests. */
const patienceMs = 120_000

export class Bench {
  readonly directory: string
  readonly service: ServiceProcess
  readonly #bootUrl: string
  readonly #agent: string
  readonly #machines: BenchMachine[] = []
  #plugged = 0
  /** A test may end by an error of its own: neither agents nor loop devices outlive it. */
  readonly #onExit = () => {
    for (const machine of this.#machines) machine.scrap()
  }
  readonly #otherSecrets = new Set<string>()

  private constructor(directory: string, service: ServiceProcess, bootUrl: string) {
    this.directory = directory
    this.service = service
    this.#bootUrl = bootUrl
    this.#agent = join(directory, 'agent.mjs')
    process.once('exit', this.#onExit)
  }

  static async open(config: Sections = {}): Promise<Bench> {
    const directory = await mkdtemp(join(tmpdir(), 'ferrite-bench-'))
    const [apiPort = 0, httpPort = 0] = await freePorts(2)
    await mkdir(join(directory, 'boot'))
    await writeFile(join(directory, 'boot/kernel'), 'Nobody runs this kernel.\n')
    await writeFile(join(directory, 'boot/ramdisk'), 'The agent is started without this ramdisk.\n')
    await writeFile(join(directory, 'boot/bmc.crt'), bmcCertificate.certPem)
    await bundleAgent({ outFile: join(directory, 'agent.mjs') })
    const service = await ServiceProcess.start({
      directory,
      endpoint: `http://127.0.0.1:${apiPort}`,
      config: merged(ownConfig(directory, apiPort, httpPort), config),
    })
    return new Bench(directory, service, `http://127.0.0.1:${httpPort}/boot.ipxe`)
  }

  get api(): Api {
    return this.service.api
  }

  /** Plugs a machine and makes a node of its name, with a port. */
  async enrol(name: string, { diskMib = 5 * 1024, node = {} as Node } = {}): Promise<BenchMachine> {
    const machine = await this.plug(name, { diskMib })
    const { uuid } = await this.api.create('/v1/nodes', {
      name,
      driver: 'redfish',
      driver_info: this.driverInfo(machine),
      boot_interface: 'ipxe',
      network_interface: 'noop',
      automated_clean: false,
      ...node,
    })
    await this.api.create('/v1/ports', { node_uuid: uuid, address: machine.mac })
    return machine
  }

  async plug(name: string, { diskMib = 5 * 1024 } = {}): Promise<BenchMachine> {
    const machine = await BenchMachine.plug({
      name,
      number: ++this.#plugged,
      directory: this.directory,
      agent: this.#agent,
      bootUrl: this.#bootUrl,
      diskMib,
    })
    this.#machines.push(machine)
    return machine
  }

  driverInfo(machine: BenchMachine): Record<string, string> {
    return {
      redfish_address: machine.bmc.url,
      redfish_username: machine.bmc.account.username,
      redfish_password: machine.bmc.account.password,
      redfish_verify_ca: join(this.directory, 'boot/bmc.crt'),
      deploy_kernel: `file://${join(this.directory, 'boot/kernel')}`,
      deploy_ramdisk: `file://${join(this.directory, 'boot/ramdisk')}`,
      kernel_append_params: machine.kernelParameters,
    }
  }

  node(machine: BenchMachine): Promise<Node> {
    return this.api.get(`/v1/nodes/${machine.name}`)
  }

  async set(machine: BenchMachine, path: string, value: unknown): Promise<void> {
    await this.api.patch(`/v1/nodes/${machine.name}`, [{ op: 'add', path, value }])
  }

  async ask(machine: BenchMachine, target: string, more: object = {}): Promise<void> {
    await this.api.put(`/v1/nodes/${machine.name}/states/provision`, { target, ...more })
  }

  async bring(machine: BenchMachine, target: string, state: string, more: object = {}): Promise<Node> {
    await this.ask(machine, target, more)
    return await this.reached(machine, state)
  }

  /** Waits until the node rests, which must be in `state`. @param seen is told every look */
  async reached(machine: BenchMachine, state: string, seen: (node: Node) => void = () => {}): Promise<Node> {
    const end = performance.now() + patienceMs
    for (;;) {
      const node = await this.node(machine)
      seen(node)
      const found = `${machine.name} is in ${node.provision_state}: ${node.last_error}`
      if (node.provision_state === state && node.reservation === null) return node
      const rests = node.reservation === null && node.target_provision_state === null
      const failed = String(node.provision_state).endsWith(' failed')
      assert.ok(!rests && !failed, `${found}; expected ${state}\n${machine.agentLog()}`)
      assert.ok(performance.now() < end, `${found} after ${patienceMs} ms; expected ${state}\n${machine.agentLog()}`)
      await sleep(100)
    }
  }

  /** Waits until `isSo`; for what shows in a running step. */
  async until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
    const end = performance.now() + patienceMs
    while (!(await isSo())) {
      assert.ok(performance.now() < end, `${what}: not so after ${patienceMs} ms`)
      await sleep(50)
    }
  }

  /** Bytes of the image that are on the disk, by what the node shows of a running write. */
  async writtenBytes(machine: BenchMachine): Promise<number> {
    const { driver_internal_info: internal } = await this.node(machine)
    const { progress } = internal as { progress?: { phase: string; bytes: number } | null } // as served
    return progress?.phase === 'write' ? progress.bytes : 0
  }

  /** Files that the service has published for a node, and images that its store holds or is making. */
  async leftovers(machine: BenchMachine): Promise<string[]> {
    const { uuid } = await this.node(machine)
    const state = join(this.directory, 'state')
    const own = [join(state, 'httpboot/agent_images', String(uuid)), join(state, 'images', String(uuid))]
    return [
      ...own.filter(path => existsSync(path)),
      ...readdirSync(join(state, 'httpboot')).filter(n => n.includes(String(uuid))),
    ]
  }

  /** Images of the store: whole ones by the SHA-256 of what was fetched, and files of those in the making. */
  storedImages(): { whole: string[]; work: string[] } {
    const root = join(this.directory, 'state/master-images')
    return { whole: globSync('*', { cwd: join(root, 'entries') }), work: globSync('work/*/*', { cwd: root }) }
  }

  /** A text that must not be found in any log or answer. */
  secret(text: string): string {
    this.#otherSecrets.add(text)
    return text
  }

  serviceLog(): string {
    return readFileSync(this.service.logFile, 'utf8')
  }

  /** Looks for secrets in everything that is there for people: logs, nodes, their history. */
  async checkSecrets(): Promise<void> {
    const secrets = new Set(this.#otherSecrets)
    for (const machine of this.#machines) {
      secrets.add(machine.bmc.account.password)
      for (const token of machine.tokens) secrets.add(token)
    }
    const shown = [this.serviceLog(), ...this.#machines.map(machine => machine.agentLog())]
    for (const node of await this.api.list('/v1/nodes', 'nodes', { query: { detail: true }, limit: 0 })) {
      shown.push(JSON.stringify(node))
      shown.push(JSON.stringify(await this.api.get(`/v1/nodes/${String(node.uuid)}/history`, { detail: true })))
    }
    for (const secret of secrets) {
      for (const text of shown) assert.ok(!text.includes(secret), `a secret is shown in ${around(text, secret)}`)
    }
  }

  async close(): Promise<void> {
    await this.service.stop()
    process.off('exit', this.#onExit)
    for (const machine of this.#machines) await machine.remove()
    await rm(this.directory, { recursive: true, force: true })
  }
}

function ownConfig(directory: string, apiPort: number, httpPort: number): Sections {
  const parameters = {
    'ipa-listen-host': '127.0.0.1',
    'ipa-advertise-host': '127.0.0.1',
    'ipa-image-download-connection-retries': 3,
    'ipa-image-download-connection-retry-interval': 0.2,
  }
  const words = Object.entries(parameters).map(([name, value]) => `${name}=${value}`)
  return {
    DEFAULT: {
      host: 'bench',
      my_ip: '127.0.0.1',
      state_path: join(directory, 'state'),
      default_inspect_interface: 'agent',
    },
    api: { host_ip: '127.0.0.1', port: apiPort },
    conductor: { file_url_allowed_paths: join(directory, 'boot') },
    // Overwriting whole disks would be all that these tests do.
    deploy: { erase_devices_priority: 0 },
    ferrite: { http_host: '127.0.0.1', http_port: httpPort, poll_interval_ms: 200 },
    pxe: { kernel_append_params: words.join(' ') },
    redfish: { connection_attempts: 4, connection_retry_interval: 1, connect_timeout: 2, read_timeout: 1 },
  }
}

function merged(own: Sections, more: Sections): Sections {
  const names = new Set([...Object.keys(own), ...Object.keys(more)])
  return Object.fromEntries([...names].map(section => [section, { ...own[section], ...more[section] }]))
}

function around(text: string, found: string): string {
  const at = text.indexOf(found)
  return text.slice(Math.max(0, at - 300), at)
}
