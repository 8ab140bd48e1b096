/**
 * The machines of a simulation: the fleet's own hardware, firmware and agents, without sockets. Boot files, the API and
 * agents are reached through a network that loses and doubles what it is told to.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { HardwareFacts } from '#lab/redfish/hardware.ts'
import { messageOf } from '#lib/fault.ts'
import type { Chance } from '#sim/chance.ts'
import { type Door, Doors } from '#sim/doors.ts'
import { type Answer, type Call, type Download, Network } from '#sim/network.ts'
import type { Rack } from '#sim/rack.ts'
import type { Luck } from './faults.ts'
import type { SimTime } from './time.ts'

export const apiUrl = 'http://api'
export const bootUrl = 'http://boot/boot.ipxe'

// biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE has settings of this form
const entryScript = 'chain http://boot/${mac:hexhyp} || exit\n'

/** Boot scripts by MAC address. */
export type Scripts = Map<string, string>

/** Answers what machines ask for, without a socket. */
export class InsideNetwork extends Network {
  readonly #scripts: Scripts
  readonly #api: (call: Call) => Promise<Answer>

  constructor(scripts: Scripts, api: (call: Call) => Promise<Answer>) {
    super()
    this.#scripts = scripts
    this.#api = api
  }

  override async call(call: Call): Promise<Answer> {
    const url = new URL(call.url)
    if (url.host === 'api') return this.#api(call)
    if (call.url === bootUrl) return { status: 200, text: entryScript }
    const script = this.#scripts.get(url.pathname.slice(1).replaceAll('-', ':'))
    return script === undefined ? { status: 404, text: '' } : { status: 200, text: script }
  }

  override async download(_: Omit<Call, 'method' | 'json'>): Promise<Download> {
    return { status: 200, sizeBytes: 0, body: (async function* () {})() }
  }
}

/** Doors of agents that requests of this process go through. */
export class InsideDoors extends Doors {
  readonly #listeners = new Map<number, RequestListener>()
  #ports = 10_000

  constructor() {
    super('127.0.0.1')
  }

  override async open(listener: RequestListener): Promise<Door> {
    const port = ++this.#ports
    this.#listeners.set(port, listener)
    return { port, close: () => this.#listeners.delete(port) }
  }

  /** One exchange. @throws when nobody listens */
  async send(url: URL, method: string, body: unknown): Promise<{ status: number; body: unknown }> {
    const listener = this.#listeners.get(Number(url.port))
    if (!listener) throw new Error(`connect EHOSTUNREACH ${url.host}`)
    const text = body === undefined ? '' : JSON.stringify(body)
    const request = {
      url: url.pathname + url.search,
      method,
      async *[Symbol.asyncIterator]() {
        yield Buffer.from(text)
      },
    }
    return new Promise((resolve, reject) => {
      let status = 0
      const response = {
        writeHead(code: number) {
          status = code
          return response
        },
        end: (answer: string) => resolve({ status, body: JSON.parse(answer) }),
        destroy: () => reject(new Error('socket hang up')),
      }
      // All that a simulated agent looks at.
      listener(request as unknown as IncomingMessage, response as unknown as ServerResponse)
      if (!this.#listeners.has(Number(url.port))) reject(new Error('socket hang up'))
    })
  }
}

/** BMCs are asked directly: nothing listens. */
export const noRack = { add: () => ({ url: '', username: '', password: '' }) } as unknown as Rack // all a machine calls

export function factsOf(name: string, index: number): HardwareFacts {
  const mac = `52:54:00:00:00:${(index + 1).toString(16).padStart(2, '0')}`
  return {
    name,
    uuid: `00000000-0000-4000-8000-00000000000${index + 1}`,
    manufacturer: 'Ferrite',
    model: 'simulated',
    serialNumber: name,
    assetTag: '',
    biosVersion: '1',
    bootMode: 'UEFI',
    bootTargets: ['None', 'Pxe', 'Hdd'],
    cpus: 8,
    memoryMb: 16_384,
    nics: [{ mac }],
    disks: [{ name: 'disk', sizeBytes: 2 ** 40, serial: name, protocol: 'NVMe' }],
  }
}

/** Loses a request before or after it was carried out, or carries one to the API out twice, now and then. */
export async function unreliably<T>(
  work: () => Promise<T>,
  { time, chance, luck, kind }: { time: SimTime; chance: Chance; luck: Luck; kind: 'agentCut' | 'apiCut' },
): Promise<T> {
  await time.sleep(chance.within([1, 200]))
  const what = luck.strikes(kind, chance) ? chance.next() : 1
  if (what < 0.4) throw new Error('the connection broke before the request')
  if (kind === 'apiCut' && what < 0.6) await work().catch(error => messageOf(error))
  const result = await work()
  await time.sleep(chance.within([1, 200]))
  if (what < 0.8 && what >= 0.6) throw new Error('the connection broke before the answer')
  return result
}
