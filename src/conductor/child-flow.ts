/**
 * A flow's hand on another node: one that the flow's own node contains. Its steps are recorded among those of the flow
 * it belongs to, what it writes goes to the other node, under a lease of that node which lasts for the pass. It never
 * moves a node along the state table, and never lets the flow's own node go while it waits.
 */
import type { Db } from '#db/database.ts'
import { findNode, type Node, type NodePatch, writeNode } from '#db/nodes.ts'
import type { Flow, Wait } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { NodeLocked, NotFound } from '#lib/fault.ts'

/** What is to be told of a node. */
export interface Told {
  nodeUuid: string
  kind: string
  data: Record<string, unknown>
}

/** The flow it belongs to, which tells of the other node as well. */
export interface ParentFlow extends Flow {
  eventOf(told: Told): Promise<void>
  tellOf(told: Told): Promise<void>
}

export interface ChildWorld {
  uuid: string
  /** Of the names of its steps. */
  prefix: string
  db: Db
  clock: Clock
  /** The lease of the other node until the pass ends. @throws NodeLocked */
  lend(uuid: string): Promise<number>
}

/** How long somebody else may have the node. */
const patienceMs = 60_000
const againMs = 1000

export class ChildFlow implements Flow {
  readonly id: number
  readonly nodeUuid: string
  readonly #parent: ParentFlow
  readonly #world: ChildWorld

  constructor(parent: ParentFlow, world: ChildWorld) {
    this.id = parent.id
    this.nodeUuid = world.uuid
    this.#parent = parent
    this.#world = world
  }

  once<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#parent.once(this.#named(name), async () => {
      await this.#lease()
      return work()
    })
  }

  until<T>(name: string, wait: Wait, look: () => Promise<T | undefined>): Promise<T> {
    return this.#parent.until(this.#named(name), { ...wait, release: false }, async () => {
      await this.#lease()
      return look()
    })
  }

  hold(): Promise<void> {
    throw new Error(`node ${this.nodeUuid} is worked on for another one and cannot be held`)
  }

  recall<T>(name: string): T | undefined {
    return this.#parent.recall(this.#named(name))
  }

  child(uuid: string, prefix: string): Flow {
    return this.#parent.child(uuid, this.#named(prefix))
  }

  async write(patch: NodePatch): Promise<void> {
    const { db, clock, uuid } = this.#world
    await writeNode(db, uuid, await this.#lease(), patch, clock.now())
  }

  move(): Promise<void> {
    throw new Error(`node ${this.nodeUuid} is worked on for another one and cannot be moved`)
  }

  async progress(): Promise<void> {}

  async node(): Promise<Node> {
    const node = await findNode(this.#world.db, this.nodeUuid)
    if (!node) throw new NotFound(`Node ${this.nodeUuid} does not exist any more`)
    return node
  }

  event(kind: string, data: Record<string, unknown>): Promise<void> {
    return this.#parent.eventOf({ nodeUuid: this.nodeUuid, kind, data })
  }

  tell(kind: string, data: Record<string, unknown>): Promise<void> {
    return this.#parent.tellOf({ nodeUuid: this.nodeUuid, kind, data })
  }

  #named(name: string): string {
    return `${this.#world.prefix}${name}`
  }

  /** The lease for this pass; a holder who is busy for a moment is waited for. */
  async #lease(): Promise<number> {
    const { clock, lend, uuid } = this.#world
    const endMs = clock.now() + patienceMs
    for (;;) {
      try {
        return await lend(uuid)
      } catch (error) {
        if (!(error instanceof NodeLocked) || clock.now() >= endMs) throw error
        await clock.sleep(againMs)
      }
    }
  }
}
