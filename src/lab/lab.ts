/**
 * A lab from outside: bring it up, use it, take it down. The demo, the VM tests and `ferrite lab` all go through here.
 *
 *     const lab = await labUp({ nodes: 1, name: 'boot-test', directory, attached: true })
 *     lab.spawn(process.execPath, ['src/main.ts', 'serve', ...])   // inside the lab's namespace
 *     ...
 *     await lab.down()
 *
 * The machines themselves live in the supervisor, a process of its own; a `Lab` is only a handle on it.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Conflict, Fault, Forbidden, messageOf, NotFound } from '#lib/fault.ts'
import { type RunOptions, run } from '#lib/run.ts'
import { chooseAccelerator } from './accelerator.ts'
import { ensureHostPackages, forLab } from './host-packages.ts'
import { createNetwork, destroyNetwork } from './network.ts'
import { type MachineOptions, planLab } from './plan.ts'
import { socketPath } from './sockets.ts'
import { type Accelerator, type LabMachine, type LabState, readState, writeState } from './state.ts'
import type { LabStatus } from './supervisor.ts'

/** The lab's supervisor could not be started, or does not answer. */
export class LabFailed extends Fault {
  readonly status = 500
  readonly code = 'lab-failed'
}

export interface LabOptions extends MachineOptions {
  /** Default `lab`. */
  name?: string
  /** State directory; default `var/lab/NAME` of the checkout. It is removed by `down`. */
  directory?: string
  /** Number of machines; default 1. */
  nodes?: number
  /** The n-th entry changes the n-th machine. */
  machines?: readonly MachineOptions[]
  /** Default `auto`: KVM where a Linux kernel really runs under it, else TCG. */
  accelerator?: Accelerator | 'auto'
  /** How long a machine takes from "power on" accepted to running, and to "off"; default 1000. */
  powerDelayMs?: number
  /** The lab ends with the calling process, however that ends. Default false: it stays until `ferrite lab down`. */
  attached?: boolean
  /** Gets a line for each thing that takes time. */
  log?: (line: string) => void
}

const START_LIMIT_MS = 60_000
const ROOT = resolve(import.meta.dirname, '../..')

/** Where the lab of this name keeps its state, unless told otherwise. */
export const defaultDirectory = (name: string): string => join(ROOT, 'var/lab', name)

/**
 * Makes a lab and starts it, its machines switched off. What a lab of the same directory left when it was killed is
 * removed first. Needs root: for the namespace and its interfaces, nothing else.
 * @throws Conflict when such a lab is up already; InvalidInput for wrong options; LabFailed with the supervisor's words
 */
export async function labUp(options: LabOptions = {}): Promise<Lab> {
  const { name = 'lab', log = () => {}, attached = false } = options
  const directory = resolve(options.directory ?? defaultDirectory(name))
  if (process.geteuid?.() !== 0) {
    throw new Forbidden('Cannot make a lab: not root. Network namespaces need it; try again with sudo')
  }
  await ensureHostPackages(forLab, log)
  await claimDirectory(directory, log)
  const accelerator = await chooseAccelerator(options.accelerator ?? 'auto', log)
  const { nodes = 1, powerDelayMs = 1000 } = options
  const { state, files } = planLab({ ...options, name, directory, nodes, accelerator, powerDelayMs })
  await writeState(state)
  const lab = new Lab(state)
  try {
    for (const machine of state.machines) await mkdir(machine.directory, { recursive: true })
    for (const [file, content] of files) await writeFile(file, content, { mode: 0o600 })
    await createNetwork(state)
    await startSupervisor(lab, attached)
  } catch (error) {
    await lab.down()
    throw error
  }
  return lab
}

/** The lab of a state directory. @throws NotFound when there is none */
export async function openLab(directory: string): Promise<Lab> {
  return new Lab(await readState(resolve(directory)))
}

export class Lab {
  readonly state: LabState

  constructor(state: LabState) {
    this.state = state
  }

  /** @throws NotFound */
  machine(name: string): LabMachine {
    const found = this.state.machines.find(machine => machine.name === name)
    if (found !== undefined) return found
    const known = this.state.machines.map(machine => machine.name).join(', ')
    throw new NotFound(`Cannot use the machine ${name}: the lab ${this.state.name} has ${known}`)
  }

  /** Power states and counters, as they are now. @throws LabFailed when the supervisor does not answer */
  async status(): Promise<LabStatus> {
    return (await this.#control('GET', '/status')) as LabStatus // our own process of the same checkout
  }

  /** Injects a fault; the kinds are those of `faults.ts`. */
  async fault(machine: string, kind: string, value?: string): Promise<void> {
    await this.#control('POST', '/fault', { machine, kind, ...(value === undefined ? {} : { value }) })
  }

  /** Runs a program inside the lab's namespace to its end. */
  exec(command: string, args: readonly string[] = [], options: RunOptions = {}): ReturnType<typeof run> {
    return run('ip', this.#inside(command, args), { ...options, env: { ...noProxy, ...options.env } })
  }

  /**
   * Starts a program inside the lab's namespace: the service, dnsmasq. It ends with the calling process; `detached`
   * programs stay until the lab goes down.
   */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    const leash = options.detached === true ? [] : ['setpriv', '--pdeathsig', 'TERM']
    const [program = command, ...rest] = [...leash, command, ...args]
    const env = { ...process.env, ...noProxy, ...options.env }
    return spawn('ip', this.#inside(program, rest), { ...options, env })
  }

  /** A TCP connection to an address inside the namespace, from wherever we are. */
  async connect(host: string, port: number): Promise<Socket> {
    const request = httpRequest({
      socketPath: socketPath(this.state.control_socket),
      method: 'CONNECT',
      path: `${host}:${port}`,
    })
    return new Promise((resolve, reject) => {
      request.on('error', error => reject(this.#silent(error)))
      request.on('connect', (response, socket, head) => {
        if (response.statusCode !== 200) {
          reject(new LabFailed(`Cannot connect to ${host}:${port} in the lab: ${response.statusMessage}`))
          socket.destroy()
          return
        }
        if (head.length > 0) socket.unshift(head)
        resolve(socket as Socket) // of a request over a unix socket, hence a Socket
      })
      request.end()
    })
  }

  /**
   * Makes an address inside the namespace reachable at a port of this host's loopback.
   * @param listenPort 0 for a free one
   */
  async forward(host: string, port: number, listenPort = 0): Promise<{ port: number; close(): Promise<void> }> {
    const open = new Set<Socket>()
    const server = createServer(async client => {
      open.add(client)
      client.on('error', () => {})
      client.on('close', () => open.delete(client))
      const inside = await this.connect(host, port).catch(() => null)
      if (inside === null) return client.destroy()
      inside.on('error', () => client.destroy())
      client.on('close', () => inside.destroy())
      client.pipe(inside).pipe(client)
      return undefined
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(listenPort, '127.0.0.1', resolve)
    })
    const close = async (): Promise<void> => {
      for (const client of open) client.destroy()
      await new Promise<void>(resolve => server.close(() => resolve()))
    }
    return { port: (server.address() as AddressInfo).port, close } // it listens on TCP
  }

  /** How much a machine has written to its serial port: a place to look from later. */
  async serialSize(machine: string): Promise<number> {
    return (await this.serialText(machine)).bytes
  }

  /** What a machine wrote to its serial port since the byte `from`. */
  async serialText(machine: string, from = 0): Promise<{ text: string; bytes: number }> {
    const bytes = await readFile(this.machine(machine).serial_log).catch(() => Buffer.alloc(0))
    return { text: bytes.subarray(from).toString(), bytes: bytes.length }
  }

  /**
   * Waits until a machine has written something that matches.
   * @param wait.from look only behind this byte of the log
   * @throws LabFailed after `wait.timeoutMs`, with the last lines the machine wrote
   */
  async waitForSerial(
    machine: string,
    pattern: RegExp,
    wait: { timeoutMs: number; from?: number; signal?: AbortSignal },
  ): Promise<RegExpExecArray> {
    const deadline = Date.now() + wait.timeoutMs
    for (;;) {
      wait.signal?.throwIfAborted()
      const { text } = await this.serialText(machine, wait.from)
      const match = pattern.exec(text)
      if (match !== null) return match
      if (Date.now() > deadline) {
        const tail = text.trimEnd().split('\n').slice(-15).join('\n')
        throw new LabFailed(`${machine} did not write ${pattern} within ${wait.timeoutMs} ms; its last lines:\n${tail}`)
      }
      await sleep(100)
    }
  }

  /**
   * Takes the lab down: machines lose power, every process inside the namespace ends, the namespace and the state
   * directory are removed. Works on whatever is left of a lab, too.
   */
  async down(): Promise<void> {
    await this.#control('POST', '/down').catch(() => {}) // a dead supervisor cannot, and need not
    await destroyNetwork(this.state.namespace)
    await rm(this.state.directory, { recursive: true, force: true })
  }

  #inside(command: string, args: readonly string[]): string[] {
    return ['netns', 'exec', this.state.namespace, command, ...args]
  }

  async #control(method: string, path: string, body?: unknown): Promise<unknown> {
    const { statusCode, text } = await new Promise<{ statusCode: number; text: string }>((resolve, reject) => {
      const request = httpRequest(
        { socketPath: socketPath(this.state.control_socket), method, path, timeout: 60_000 },
        async response => {
          let text = ''
          for await (const chunk of response) text += chunk
          resolve({ statusCode: response.statusCode ?? 0, text })
        },
      )
      request.on('timeout', () => request.destroy(new Error('no answer for 60 s')))
      request.on('error', error => reject(this.#silent(error)))
      request.end(body === undefined ? '' : JSON.stringify(body))
    })
    const answer: unknown = JSON.parse(text)
    if (statusCode === 200) return answer
    throw new Conflict((answer as { message: string }).message) // what the supervisor answers to a fault
  }

  #silent(error: unknown): LabFailed {
    const { name, supervisor_log } = this.state
    const said = existsSync(supervisor_log) ? readFileSync(supervisor_log, 'utf8').trim().split('\n').slice(-6) : []
    const advice = '"ferrite lab down" removes what is left. Its last words'
    const message = `The supervisor of the lab ${name} does not answer: ${messageOf(error)}; ${advice}:\n${said.join('\n')}`
    return new LabFailed(message, { cause: error })
  }
}

/** Nothing outside can be reached from the namespace, so a proxy of the host's is of no use there. */
const noProxy = { NO_PROXY: '*', no_proxy: '*' }

/** The directory is ours to use and, later, to remove: new, empty, or of a lab that is no more. */
async function claimDirectory(directory: string, log: (line: string) => void): Promise<void> {
  const entries: string[] = await readdir(directory).catch(() => [])
  if (entries.length === 0) return
  if (!entries.includes('lab.json')) {
    throw new Conflict(`Cannot make a lab in ${directory}: it holds other files; expected a new or empty directory`)
  }
  const old = await openLab(directory)
  const alive = await old.status().then(
    () => true,
    () => false,
  )
  if (alive) throw new Conflict(`Cannot make a lab in ${directory}: the lab ${old.state.name} is up there already`)
  log(`removing what is left of the lab ${old.state.name}`)
  await old.down()
}

async function startSupervisor(lab: Lab, attached: boolean): Promise<void> {
  const { directory, supervisor_log, name } = lab.state
  const output = await open(supervisor_log, 'a')
  const script = join(import.meta.dirname, 'supervisor.ts')
  const child = lab.spawn(process.execPath, [script, directory, ...(attached ? ['--attached'] : [])], {
    detached: !attached,
    stdio: ['ignore', output.fd, output.fd],
    cwd: ROOT,
  })
  await output.close()
  let ended: string | null = null
  child.on('error', error => {
    ended = messageOf(error)
  })
  child.on('exit', (code, signal) => {
    ended = signal ?? `status ${code}`
  })
  child.unref()
  const deadline = Date.now() + START_LIMIT_MS
  while (ended === null && Date.now() < deadline) {
    const up = await lab.status().then(
      () => true,
      () => false,
    )
    if (up) return
    await sleep(50)
  }
  const said = (await readFile(supervisor_log, 'utf8')).trim().split('\n').slice(-8).join('\n')
  throw new LabFailed(
    `Cannot start the lab ${name}: its supervisor ${ended === null ? 'is silent' : `ended with ${ended}`}: ${said}`,
  )
}
