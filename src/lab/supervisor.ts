/**
 * The process that is a lab while it is up: it runs inside the lab's namespace, holds the machines and their BMCs, and
 * answers on a unix socket. Started by `labUp`, never by hand; its one argument is the state directory, `lab.json` in
 * there says the rest. If it dies, the kernel ends the machines with it.
 *
 *   GET  /status                    what goes on: power, counters
 *   POST /fault {machine, kind, value}
 *   POST /down                      all machines lose power; the process ends
 *   CONNECT address:port            a pipe to that address inside the namespace
 *
 * With `--attached` it belongs to the process that started it: when that one ends, it takes the lab down by itself.
 */
import { readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Fault, InvalidInput, messageOf, NotFound } from '#lib/fault.ts'
import { ipmiPort } from '#protocol/ipmi/packet.ts'
import { type BmcFaults, failingIpmi, failingService, injectFault, lyingHardware, noBmcFaults } from './faults.ts'
import { IpmiBmc } from './ipmi/bmc.ts'
import { type IpmiPort, openIpmiPort } from './ipmi/server.ts'
import { type Counters, Machine } from './machine.ts'
import { destroyNetwork, setBlocked } from './network.ts'
import type { BootOverride, PowerState } from './redfish/hardware.ts'
import { RedfishServer } from './redfish/server.ts'
import { redfishService } from './redfish/service.ts'
import { socketPath } from './sockets.ts'
import { type LabMachine, type LabState, readState } from './state.ts'

export interface MachineStatus {
  name: string
  power: PowerState
  boot: BootOverride
  media: string | null
  counters: Counters
  faults: BmcFaults & { unreachable: boolean }
  /** As they were asked for, `bmc-delay 3000`, until they are cleared. */
  injected: readonly string[]
}

export interface LabStatus {
  pid: number
  machines: MachineStatus[]
}

const FaultRequest = Type.Object(
  { machine: Type.String(), kind: Type.String(), value: Type.Optional(Type.String()) },
  { additionalProperties: false },
)
const faultRequest = Compile(FaultRequest)

interface Rack {
  machine: Machine
  server: RedfishServer
  ipmi: IpmiPort
  faults: BmcFaults
  unreachable: boolean
  injected: Map<string, string>
}

class Supervisor {
  readonly #state: LabState
  readonly #racks = new Map<string, Rack>()
  readonly #control = createServer((request, response) => this.#answer(request, response))
  #closing: Promise<void> | null = null

  constructor(state: LabState) {
    this.#state = state
    this.#control.on('connect', (request, socket, head) => relay(request.url ?? '', socket, head))
  }

  async start(): Promise<void> {
    for (const machine of this.#state.machines) this.#racks.set(machine.name, await this.#mount(machine))
    await rm(this.#state.control_socket, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#control.once('error', reject)
      this.#control.listen(socketPath(this.#state.control_socket), resolve)
    })
    log(`lab ${this.#state.name} is up with ${this.#racks.size} machines`)
  }

  /** Takes power from all machines and closes all BMCs. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all(
      [...this.#racks.values()].flatMap(({ machine, server, ipmi }) => [
        machine.close(),
        server.end(),
        ipmi[Symbol.asyncDispose](),
      ]),
    )
    this.#control.close()
    log('lab is down')
  }

  async #mount(labMachine: LabMachine): Promise<Rack> {
    const { bmc } = labMachine
    const machine = new Machine(labMachine, this.#state, log)
    await machine.prepare()
    const faults = noBmcFaults()
    const hardware = lyingHardware(machine, faults)
    const service = redfishService({
      hardware,
      account: { username: bmc.username, password: bmc.password },
      now: Date.now,
    })
    const server = new RedfishServer({
      service: failingService(service, faults),
      certPem: await readFile(bmc.certificate_file, 'utf8'),
      keyPem: await readFile(bmc.key_file, 'utf8'),
      address: bmc.address,
      port: bmc.port,
      accessLog: bmc.access_log,
    })
    await server.open()
    const { before, ...port } = failingIpmi(faults, () => !rack.unreachable)
    const account = { name: bmc.username, password: bmc.password, privilege: 'ADMINISTRATOR' } as const
    const ipmi = new IpmiBmc({ hardware, users: [account], before })
    const rack: Rack = {
      machine,
      server,
      ipmi: await openIpmiPort(ipmi, { ...port, address: bmc.address, port: ipmiPort }),
      faults,
      unreachable: false,
      injected: new Map(),
    }
    return rack
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#handle(request).then(
      body => reply(response, 200, body),
      error => {
        if (!(error instanceof Fault)) log(`${request.method} ${request.url} failed: ${messageOf(error)}`)
        reply(response, error instanceof Fault ? error.status : 500, { message: messageOf(error) })
      },
    )
  }

  async #handle(request: IncomingMessage): Promise<unknown> {
    switch (`${request.method} ${request.url}`) {
      case 'GET /status':
        return this.#status()
      case 'POST /fault':
        return this.#fault(await readJson(request))
      case 'POST /down':
        // The answer goes out first: whoever asked waits for the process's end next.
        setImmediate(() => this.close().then(() => process.exit(0)))
        return {}
      default:
        throw new NotFound(`Cannot answer ${request.method} ${request.url}: the supervisor has no such command`)
    }
  }

  #status(): LabStatus {
    const machines = [...this.#racks].map(([name, { machine, faults, unreachable, injected }]) => ({
      name,
      power: machine.power(),
      boot: machine.boot(),
      media: machine.media()?.image ?? null,
      counters: machine.counters,
      faults: { ...faults, unreachable },
      injected: [...injected].map(([kind, value]) => `${kind} ${value}`.trim()),
    }))
    return { pid: process.pid, machines }
  }

  async #fault(body: unknown): Promise<unknown> {
    if (!faultRequest.Check(body)) throw new InvalidInput('Cannot inject a fault: expected {machine, kind, value}')
    const rack = this.#racks.get(body.machine)
    if (rack === undefined) {
      const known = [...this.#racks.keys()].join(', ')
      throw new NotFound(`Cannot inject a fault: found the machine ${body.machine}, expected one of ${known}`)
    }
    const setReachable = async (reachable: boolean): Promise<void> => {
      rack.unreachable = !reachable
      await (reachable ? rack.server.open() : rack.server.close())
    }
    await injectFault({ ...rack, setReachable, setBlocked }, body.kind, body.value)
    log(`fault ${body.machine} ${body.kind} ${body.value ?? ''}`)
    return {}
  }
}

/** Joins a client's connection with one to an address inside the namespace. */
function relay(authority: string, client: Duplex, head: Buffer): void {
  const at = authority.lastIndexOf(':')
  const host = authority.slice(0, at).replace(/^\[|\]$/g, '')
  const server: Socket = connect({ host, port: Number(authority.slice(at + 1)), allowHalfOpen: true })
  const end = (): void => {
    client.destroy()
    server.destroy()
  }
  client.on('error', end)
  server.on('error', error => {
    client.end(`HTTP/1.1 502 ${messageOf(error).replace(/[^ -~]/g, ' ')}\r\n\r\n`)
  })
  server.once('connect', () => {
    client.write('HTTP/1.1 200 Connected\r\n\r\n')
    server.write(head)
    server.pipe(client).pipe(server)
  })
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request) text += chunk
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidInput(`Cannot read the request: it is not JSON (${messageOf(error)})`)
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}

function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`)
}

const [directory = '', mode] = process.argv.slice(2)
const supervisor = new Supervisor(await readState(directory))

// A dying parent's threads pass us on to each other, and each sends the signal again. One that comes while nobody listens,
// as for a moment where a listener is for once, would end us with the machines and the namespace left behind.
let isEnding = false
process.on('SIGTERM', () => {
  if (isEnding) return
  isEnding = true
  void end()
})

async function end(): Promise<void> {
  await supervisor.close()
  if (mode === '--attached') {
    const { namespace } = await readState(directory)
    await destroyNetwork(namespace)
    await rm(directory, { recursive: true, force: true })
  }
  process.exit(0)
}

// Ctrl-C goes to the whole foreground group; whoever holds the terminal decides and tells us by SIGTERM or /down.
process.on('SIGINT', () => {})
await supervisor.start()
