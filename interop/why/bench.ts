/**
 * The bench of `npm run interop:why`: the real service with its dnsmasq and file server, machines on its network, and an
 * operator who enrols them, asks for work, and asks why. Everything lies in one directory and in network namespaces of
 * this process, and is gone at the end.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { Api } from '#cli/client.ts'
import { type Sections, ServiceProcess } from '#lab/service-process.ts'
import { selfSigned } from '#lib/x509.ts'
import type { Explanation } from '#protocol/why.ts'
import { bundleAgent } from '#ramdisk/agent-bundle.ts'
import { bridge, makeBridge, netmask, serviceAddress } from './cable.ts'
import { bmcCertificate, NetMachine } from './machine.ts'

export type Node = Readonly<Record<string, unknown>>

/** A machine as it is enrolled, where that is not as it really is. */
export interface Enrolment {
  driver?: 'redfish' | 'ipmi'
  driverInfo?: Record<string, string>
  /** Default: one with the machine's address. */
  ports?: readonly Record<string, unknown>[]
  node?: Record<string, unknown>
  /** Default 5 GiB; 0: none. */
  diskMib?: number
  diskFolder?: string
  /** Of its IPMI BMC; default 8. */
  sessions?: number
}

/** Processors are shared with whoever else runs here. */
const patienceMs = 240_000
/** How long an agent may stay silent. */
const silenceS = 20

export class Bench {
  readonly directory: string
  /** What was begun for one fault, and ends with it. */
  around = new AsyncDisposableStack()
  readonly #api = selfSigned({ commonName: 'api', ipAddresses: [serviceAddress], ...today() })
  #service: ServiceProcess | undefined
  #configured = ''
  #linesRead = 0
  #plugged = 0

  private constructor(directory: string) {
    this.directory = directory
  }

  static async open(): Promise<Bench> {
    const bench = new Bench(await mkdtemp(join(tmpdir(), 'ferrite-why-')))
    await makeBridge()
    await mkdir(join(bench.directory, 'boot'))
    await writeFile(join(bench.directory, 'boot/kernel'), kernel())
    await writeFile(join(bench.directory, 'boot/ramdisk'), gzipSync(randomBytes(2_000_000)))
    await writeFile(join(bench.directory, 'boot/bmc.crt'), bmcCertificate.certPem)
    await bundleAgent({ outFile: join(bench.directory, 'agent.mjs') })
    return bench
  }

  get service(): ServiceProcess {
    assert.ok(this.#service, 'the service was started')
    return this.#service
  }

  get api(): Api {
    return this.service.api
  }

  /** Has the service run with these options beside the bench's own, on the same state. */
  async configure(config: Sections = {}): Promise<void> {
    const wanted = JSON.stringify(config)
    if (this.#service?.pid !== undefined && this.#configured === wanted) return
    await this.#service?.stop()
    const merged = this.config(config)
    const api = merged.api ?? {}
    this.#service = await ServiceProcess.start({
      directory: this.directory,
      endpoint: `${api.enable_ssl_api ? 'https' : 'http'}://${serviceAddress}:6385`,
      config: merged,
      ca: this.#api.certPem,
    })
    this.#configured = wanted
  }

  /** Has the service serve its API over TLS, with a certificate of an authority that nobody else knows. */
  async configureSecure(): Promise<void> {
    await writeFile(this.#bootFile('api.crt'), this.#api.certPem)
    await writeFile(this.#bootFile('api.key'), this.#api.keyPem, { mode: 0o600 })
    const files = { cert_file: this.#bootFile('api.crt'), key_file: this.#bootFile('api.key') }
    await this.configure({ api: { enable_ssl_api: true, ...files } })
  }

  /** The bench's options with these on top. */
  config(more: Sections = {}): Sections {
    const own = ownConfig(this.directory)
    const names = new Set([...Object.keys(own), ...Object.keys(more)])
    return Object.fromEntries([...names].map(name => [name, { ...own[name], ...more[name] }]))
  }

  /** The service is started anew for the next fault. */
  async stopService(): Promise<void> {
    await this.#service?.stop()
    this.#configured = ''
  }

  /** A machine with power and cable, known to nobody. */
  async plug({ diskMib = 5 * 1024, diskFolder, sessions }: Enrolment = {}): Promise<NetMachine> {
    const number = ++this.#plugged
    const machine = await NetMachine.plug({
      ...{ name: `machine-${number}`, number, diskMib, directory: this.directory },
      ...(diskFolder === undefined ? {} : { diskFolder }),
      ...(sessions === undefined ? {} : { sessions }),
      agent: join(this.directory, 'agent.mjs'),
    })
    this.around.defer(() => machine.remove())
    return machine
  }

  /** A node for the machine, of the machine's name. */
  async enrol(machine: NetMachine, { driver = 'redfish', driverInfo, ports, node }: Enrolment = {}): Promise<string> {
    const bmc = driver === 'ipmi' ? machine.ipmi : { ...machine.redfish, redfish_verify_ca: this.#bootFile('bmc.crt') }
    const { uuid } = await this.api.create('/v1/nodes', {
      name: machine.name,
      driver,
      driver_info: {
        ...bmc,
        deploy_kernel: `file://${this.#bootFile('kernel')}`,
        deploy_ramdisk: `file://${this.#bootFile('ramdisk')}`,
        ...driverInfo,
      },
      boot_interface: 'ipxe',
      network_interface: 'noop',
      automated_clean: false,
      ...node,
    })
    for (const port of ports ?? [{ address: machine.mac }]) {
      await this.api.create('/v1/ports', { node_uuid: uuid, ...port })
    }
    return String(uuid)
  }

  /** A machine whose node is available. */
  async available(given: Enrolment = {}): Promise<NetMachine> {
    const machine = await this.plug(given)
    await this.enrol(machine, given)
    await this.reach(machine, 'manage', 'manageable')
    await this.reach(machine, 'provide', 'available')
    return machine
  }

  async set(machine: NetMachine, path: string, value: unknown): Promise<void> {
    await this.api.patch(`/v1/nodes/${machine.name}`, [{ op: 'add', path, value }])
  }

  ask(machine: NetMachine, target: string, more: object = {}): Promise<unknown> {
    return this.api.put(`/v1/nodes/${machine.name}/states/provision`, { target, ...more })
  }

  node(machine: NetMachine): Promise<Node> {
    return this.api.get(`/v1/nodes/${machine.name}`)
  }

  /** What an operator reads; it is never empty. */
  async why(machine: NetMachine): Promise<Explanation> {
    const told = (await this.api.get(`/v1/nodes/${machine.name}/why`)) as Explanation // as served
    assert.ok(told.cause !== '' && told.summary !== '', `an explanation is empty: ${JSON.stringify(told)}`)
    return told
  }

  /** Asks for a verb that is to succeed. */
  async reach(machine: NetMachine, target: string, state: string, more: object = {}): Promise<void> {
    await this.ask(machine, target, more)
    const { node } = await this.rests(machine)
    assert.equal(node.provision_state, state, `${machine.name}: ${node.last_error}\n${machine.agentLog()}`)
  }

  /** Asks for a verb that is to fail, and why it did, once the node rests. */
  async failure(machine: NetMachine, target: string, more: object = {}): Promise<Explanation> {
    await this.ask(machine, target, more)
    return (await this.rests(machine)).why
  }

  /** Waits until nobody works on the node; asks why all the while, for it is answered at any time. */
  async rests(machine: NetMachine): Promise<{ node: Node; why: Explanation }> {
    const end = performance.now() + patienceMs
    for (;;) {
      const why = await this.why(machine)
      const node = await this.node(machine)
      if (node.target_provision_state === null || String(node.provision_state).endsWith(' failed')) {
        if (node.reservation === null) return { node, why: await this.why(machine) }
      }
      const found = `${machine.name} is in ${node.provision_state}: ${JSON.stringify(why)}`
      assert.ok(performance.now() < end, `${found} after ${patienceMs} ms\n${machine.agentLog()}`)
      await sleep(300)
    }
  }

  /** Waits until something is so. */
  async until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
    const end = performance.now() + patienceMs
    while (!(await isSo())) {
      assert.ok(performance.now() < end, `${what}: not so after ${patienceMs} ms`)
      await sleep(50)
    }
  }

  /** Waits until so many bytes of an image lie on the machine's disk. */
  async writes(machine: NetMachine, bytes: number): Promise<void> {
    await this.until('an image is written', async () => {
      const { driver_internal_info: internal, last_error } = await this.node(machine)
      assert.equal(last_error, null, machine.agentLog())
      const { progress } = internal as { progress?: { phase: string; bytes: number } | null } // as served
      return progress?.phase === 'write' && progress.bytes >= bytes
    })
  }

  /** Errors that the service logged since this was asked last. */
  async newErrors(): Promise<string[]> {
    const lines = (await this.file('service.log')).split('\n')
    const found = lines.slice(this.#linesRead).filter(line => line.includes('"level":"error"'))
    this.#linesRead = lines.length - 1
    return found
  }

  /** A file below the bench's directory. */
  file(path: string): Promise<string> {
    return readFile(join(this.directory, path), 'utf8')
  }

  /** Below the service's root of boot files. */
  published(path: string): string {
    return join(this.directory, 'state/httpboot', path)
  }

  async close(): Promise<void> {
    await this.around.disposeAsync()
    await this.#service?.stop()
    await rm(this.directory, { recursive: true, force: true })
  }

  #bootFile(name: string): string {
    return join(this.directory, 'boot', name)
  }
}

function today(): { notBefore: Date; notAfter: Date } {
  const hourMs = 3600_000
  return { notBefore: new Date(Date.now() - hourMs), notAfter: new Date(Date.now() + 24 * hourMs) }
}

/** Looks like one of Linux from outside, and is as long as it says; nobody runs it. */
function kernel(): Buffer {
  const file = Buffer.alloc(200_000, 'Nobody runs this kernel.')
  file[0x1f1] = 4
  file.write('HdrS', 0x202, 'latin1')
  file.writeUInt32LE((file.length - 5 * 512) >> 4, 0x1f4)
  return file
}

function ownConfig(directory: string): Sections {
  const parameters = {
    'ipa-disk-wait-attempts': 1,
    'ipa-image-download-connection-retries': 2,
    'ipa-image-download-connection-retry-interval': 0.2,
    'ipa-image-download-connection-timeout': 5,
  }
  const words = Object.entries(parameters).map(([name, value]) => `${name}=${value}`)
  return {
    DEFAULT: {
      host: 'bench',
      my_ip: serviceAddress,
      state_path: join(directory, 'state'),
      enabled_hardware_types: 'redfish,ipmi',
    },
    agent: { command_timeout: 5 },
    conductor: {
      file_url_allowed_paths: join(directory, 'boot'),
      deploy_callback_timeout: silenceS,
      inspect_wait_timeout: silenceS,
      power_state_change_timeout: 10,
      sync_power_state_interval: 5,
      power_state_sync_max_retries: 1,
    },
    deploy: { erase_devices_priority: 0, erase_devices_metadata_priority: 10 },
    ferrite: {
      manage_dnsmasq: true,
      dhcp_interface: bridge,
      dhcp_range: `10.77.0.100,10.77.0.250,${netmask},10m`,
      poll_interval_ms: 300,
      boot_attempts: 1,
      agent_lost_timeout: 10,
    },
    pxe: { kernel_append_params: words.join(' ') },
    redfish: { connection_attempts: 2, connection_retry_interval: 1, connect_timeout: 2, read_timeout: 2 },
    ipmi: { command_retry_timeout: 6 },
  }
}
