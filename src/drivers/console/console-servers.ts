/**
 * The serial consoles of this process, each behind a TCP port as `socat` would offer it. Whether a node has one is in its
 * row; what is here can be thrown away and started again.
 */
import { createHash } from 'node:crypto'
import { createServer, isIPv6, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { Conflict, InvalidInput, messageOf } from '#lib/fault.ts'
import type { NodeContext } from '../driver.ts'
import { type OfferedConsoles, offeredConsoles } from './offered.ts'
import { type OpenLine, SerialConsole } from './serial-console.ts'

export interface ConsolePlan {
  /** The port that it is to have; null: one of [console] port_range, or any. */
  port: number | null
  /** A console whose key is another one is started anew: its BMC or its port changed. */
  key: string
  open: OpenLine
}

interface Running {
  key: string
  console_interface: string | null
  console: SerialConsole
  server: Server
  url: string
}

const KEY = Symbol('serial consoles')
/** How many ports are tried before a range counts as full. */
const mostTries = 200

export function consolesOf(ctx: Pick<NodeContext, 'shared'>): ConsoleServers {
  return ctx.shared(KEY, () => {
    const made = new ConsoleServers()
    offeredConsoles(ctx).add(made)
    return made
  })
}

export class ConsoleServers implements OfferedConsoles, AsyncDisposable {
  readonly #running = new Map<string, Running>()

  /** Starts the node's console, unless it runs as planned. @throws Conflict when its port is taken */
  async start(ctx: NodeContext, plan: ConsolePlan): Promise<void> {
    const { uuid, console_interface } = ctx.node
    const running = this.#running.get(uuid)
    if (running?.key === plan.key && running.console_interface === console_interface) return
    await this.stop(uuid)
    const { socat_address: host, terminal_timeout: idleS } = ctx.config.console
    const log = ctx.log.child({ node: uuid })
    const console = new SerialConsole({ open: plan.open, log, idleMs: idleS * 1000 })
    const server = createServer(socket => console.attach(socket.setNoDelay(true)))
    const port = await listen(server, host, portsFor(ctx, plan.port))
    const url = `tcp://${isIPv6(host) ? `[${host}]` : host}:${port}`
    // Somebody else may have started it meanwhile; no port may be open that nobody knows of.
    while (this.#running.has(uuid)) await this.stop(uuid)
    this.#running.set(uuid, { key: plan.key, console_interface, console, server, url })
  }

  async stop(uuid: string): Promise<void> {
    const running = this.#running.get(uuid)
    if (!running) return
    this.#running.delete(uuid)
    const closed = new Promise<void>(resolve => running.server.close(() => resolve()))
    await running.console.close()
    await closed
  }

  list(): Iterable<{ uuid: string; console_interface: string | null }> {
    return [...this.#running].map(([uuid, { console_interface }]) => ({ uuid, console_interface }))
  }

  /** Null where it does not run in this process. */
  url(uuid: string): string | null {
    return this.#running.get(uuid)?.url ?? null
  }

  /** For people who come by another way than the port; null where it does not run in this process. */
  stream(uuid: string): ((person: Duplex) => void) | null {
    const console = this.#running.get(uuid)?.console
    return console ? person => console.attach(person) : null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.keys()].map(uuid => this.stop(uuid)))
  }
}

/** Ports to try, in this order; 0: any. The one that a node had before a restart comes first. */
function portsFor({ node, config }: NodeContext, own: number | null): number[] {
  if (own !== null) return [own]
  const ranges = config.console.port_range ?? []
  const all = ranges.flatMap(range => {
    const [, from = Number.NaN, to = from] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(range)?.map(Number) ?? []
    if (!(from >= 1 && to >= from && to <= 65_535)) {
      throw new InvalidInput(
        `Cannot use [console] port_range: found ${JSON.stringify(range)}, expected FIRST:LAST with ports from 1 to 65535`,
      )
    }
    return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  })
  if (all.length === 0) return [0]
  const first = createHash('md5').update(node.uuid).digest().readUInt32BE(0) % all.length
  return [...all.slice(first), ...all.slice(0, first)].slice(0, mostTries)
}

async function listen(server: Server, host: string, ports: readonly number[]): Promise<number> {
  let last: unknown
  for (const port of ports) {
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port }, () => {
          server.off('error', reject)
          resolve()
        })
      })
      const address = server.address()
      return typeof address === 'object' && address !== null ? address.port : port
    } catch (error) {
      last = error
    }
  }
  const tried = ports.length === 1 ? `port ${ports[0]}` : `${ports.length} ports of [console] port_range`
  throw new Conflict(`Cannot offer a console at ${host}: tried ${tried}, the last answer was: ${messageOf(last)}`)
}
