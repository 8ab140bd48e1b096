/** For tests of the engine: a database, nodes in it, and an engine over one flow or several. No drivers. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Db } from '#db/database.ts'
import { findNode, insertNode, type Node } from '#db/nodes.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { type Clock, systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { nodeFields } from '#protocol/node.ts'
import type { ProvisionState } from '#protocol/states.ts'
import { FlowEngine } from './engine.ts'
import type { FlowDefinition } from './flow-definition.ts'

export const caller = { user: 'tester', project: 'project-1', requestId: null }

export async function addNode(db: Db, provision_state: ProvisionState, more: object = {}): Promise<string> {
  const uuid = randomUUID()
  const initial = Object.fromEntries(
    Object.entries(nodeFields)
      .filter(([, field]) => 'column' in field)
      .map(([name, field]) => [name, 'initial' in field ? field.initial : null]),
  )
  const node = { ...initial, uuid, driver: 'test', created_at: timestamp(0), provision_state, ...more }
  await insertNode(db, node as unknown as Parameters<typeof insertNode>[1]) // every column has just been given a value
  return uuid
}

export interface EngineWorld {
  hostname?: string
  clock?: Clock
  /** What the flows see besides: interfaces, configuration. */
  context?: Record<string, unknown>
}

export function engineOver(db: Db, flows: FlowDefinition | FlowDefinition[], world: EngineWorld = {}): FlowEngine {
  const { hostname = 'host-1', clock = systemClock } = world
  const context = async (flow: FlowContext['flow'], node: Node, signal: AbortSignal): Promise<FlowContext> => {
    const fresh = async () => context(flow, await flow.node(), signal)
    // All that these flows look at.
    return { flow, node, signal, db, clock, log: silent, ...world.context, fresh } as unknown as FlowContext
  }
  const definitions = [flows].flat()
  const limits = { errorLimit: 4096, regularCallMs: 60_000 }
  return new FlowEngine({ db, clock, log: silent, hostname, ...limits, definitions, context })
}

/** A database in memory and a started engine over these flows; both end with the test. */
export async function startEngine(flows: FlowDefinition | FlowDefinition[], world: EngineWorld = {}) {
  const db = await freshDatabase()
  const engine = engineOver(db, flows, world)
  await engine.start()
  return {
    db,
    engine,
    addNode: (state: ProvisionState) => addNode(db, state),
    async node(uuid: string): Promise<Node> {
      const node = await findNode(db, uuid)
      assert.ok(node, `node ${uuid} is gone`)
      return node
    },
    async [Symbol.asyncDispose]() {
      await engine.stop()
      await db.destroy()
    },
  }
}

/** Looks until `ready` holds; what never gets there fails the test by its text. */
export async function eventually(what: string, ready: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end; ) {
    if (await ready().catch(() => false)) return
    await systemClock.sleep(10)
  }
  assert.fail(`never happened: ${what}`)
}
