/**
 * A machine with a board behind a BMC, and a flow in memory whose process may die at any of its records: for tests of steps.
 * Time passes at once, for the flow and for the BMC's tasks alike.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Db } from '#db/database.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { Flow, FlowContext, Interfaces } from '#drivers/driver.ts'
import management from '#drivers/redfish/management.ts'
import power from '#drivers/redfish/power.ts'
import type { Step } from '#drivers/step.ts'
import { testContext } from '#drivers/test-context.ts'
import { Board } from '#lab/redfish/board/board.ts'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import { redfishService } from '#lab/redfish/service.ts'
import { addNode } from '../src/conductor/test-engine.ts'

/** What a killed process leaves: an effect without its record. */
class Killed extends Error {}

export interface StepWorld extends AsyncDisposable {
  board: Board
  hardware: FakeHardware
  db: Db
  ctx: FlowContext
  /** Names of what was recorded, in order. */
  records(): string[]
  /** Requests that changed something. */
  changes: string[]
  /** Runs a step to its end; with `dieAt` its process dies at that record, counted from 1, and another goes on. */
  run(step: Step, args?: Record<string, unknown>, options?: { dieAt?: number }): Promise<void>
}

export interface StepWorldOptions {
  node?: Record<string, unknown>
  redfish?: Record<string, unknown>
  config?: Record<string, Record<string, unknown>>
  isOn?: boolean
  /** One that outlives the world; absent: one of its own. */
  db?: Db
}

const account = { username: 'admin', password: 'secret' }

export async function stepWorld(given: StepWorldOptions = {}): Promise<StepWorld> {
  const hardware = new FakeHardware()
  let now = () => 0
  const board = new Board(() => now())
  const changes: string[] = []
  const service = redfishService({ hardware, account, now: Date.now, board })
  const port = await openHttp(request => {
    const path = new URL(request.url).pathname
    if (request.method !== 'GET' && !path.endsWith('/Sessions')) changes.push(`${request.method} ${path}`)
    return service(request)
  })
  const db = given.db ?? (await freshDatabase())
  const uuid = await addNode(db, 'manageable')
  const base = await testContext({
    node: {
      uuid,
      ...given.node,
      driver_info: {
        redfish_address: port.url,
        redfish_username: account.username,
        redfish_password: account.password,
      },
    },
    config: { ...given.config, redfish: { connection_attempts: 1, ...given.redfish } },
    interfaces: { power, management } as Partial<Interfaces>,
  })
  now = () => base.clock.now()
  if (given.isOn) hardware.reset('On')

  const records = new Map<string, string>()
  let written = 0
  let dieAt = 0
  const record = <T>(name: string, result: T): T => {
    written += 1
    if (written === dieAt) throw new Killed(`killed before ${name} was recorded`)
    const text = JSON.stringify(result ?? null)
    records.set(name, text)
    return JSON.parse(text) as T // as the next pass reads it
  }
  const known = <T>(name: string): T | undefined => {
    const text = records.get(name)
    return text === undefined ? undefined : (JSON.parse(text) as T) // as it was recorded
  }
  const flow: Flow = {
    id: 1,
    nodeUuid: uuid,
    async once(name, work) {
      return records.has(name) ? (known(name) as never) : record(name, await work()) // of the same type as `work` gives
    },
    async until(name, wait, look) {
      if (records.has(name)) return known(name) as never // as above
      const endMs = base.clock.now() + wait.timeoutMs
      for (;;) {
        const found = await look()
        if (found !== undefined) return record(name, found)
        if (wait.timeoutMs > 0 && base.clock.now() >= endMs) throw await wait.onTimeout()
        await base.clock.sleep(wait.everyMs)
      }
    },
    hold: async () => {},
    recall: known,
    child: () => flow,
    async write(patch) {
      base.node = { ...base.node, ...patch }
    },
    move: async () => {},
    progress: async () => {},
    node: async () => base.node,
    event: async () => {},
    tell: async () => {},
  }
  const context = (): FlowContext => ({
    ...base,
    flow,
    db,
    agentVersions: null,
    fresh: async () => context(),
    child: async () => context(),
  })
  return {
    board,
    hardware,
    db,
    changes,
    get ctx() {
      return context()
    },
    records: () => [...records.keys()],
    async run(step, args = {}, options = {}) {
      written = 0
      dieAt = options.dieAt ?? 0
      try {
        await step.run(context(), args)
      } catch (error) {
        if (!(error instanceof Killed)) throw error
        dieAt = 0
        await step.run(context(), args)
      }
    },
    async [Symbol.asyncDispose]() {
      await base[Symbol.asyncDispose]()
      await port[Symbol.asyncDispose]()
      if (!given.db) await db.destroy()
    },
  }
}

/** Runs the step once whole, and then anew for each of its records with a process that dies there. */
export async function killedEverywhere(
  options: StepWorldOptions,
  run: (world: StepWorld, dieAt: number) => Promise<void>,
  check: (world: StepWorld) => Promise<void>,
): Promise<number> {
  const db = await freshDatabase()
  let count = 1
  try {
    for (let dieAt = 0; dieAt <= count; dieAt += 1) {
      await using world = await stepWorld({ ...options, db })
      await run(world, dieAt)
      await check(world)
      if (dieAt === 0) count = world.records().length
    }
  } finally {
    await db.destroy()
  }
  return count
}

/** Serves texts by name, as a server of firmware images does. */
export function imageServer(files: Readonly<Record<string, string>>) {
  return openHttp(async request => {
    const content = files[new URL(request.url).pathname.slice(1)]
    return new Response(content ?? null, { status: content === undefined ? 404 : 200 })
  })
}

/** Plain HTTP on a port of 127.0.0.1: the tests of connections have BMCs with certificates. */
async function openHttp(handle: (request: Request) => Promise<Response>) {
  const server = createServer(async (incoming, outgoing) => {
    const body = await text(incoming)
    const response = await handle(
      new Request(`http://127.0.0.1${incoming.url}`, {
        method: incoming.method ?? 'GET',
        headers: incoming.headers as Record<string, string>, // our clients repeat no header
        ...(body === '' ? {} : { body }),
      }),
    )
    outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
