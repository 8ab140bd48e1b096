/**
 * Finds nodes for allocations. The rows say which still search; being told of one only saves time, and a search that
 * was cut off is simply done again. Two conductors may search for the same one: binding is one guarded transaction.
 *
 * Source: Conductor reference, "Allocations"; ironic/conductor/allocations.py (behaviour).
 */
import {
  type Allocation,
  bindNode,
  failAllocation,
  findAllocation,
  nodesFor,
  openAllocations,
} from '#db/allocations.ts'
import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import type { Clock } from '#lib/clock.ts'
import { NodeLocked } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'

export interface AllocatorOptions {
  db: Db
  clock: Clock
  log: Log
  hostname: string
  /** How often nodes that somebody holds are tried again, and how long to wait before. */
  retries(): { attempts: number; intervalS: number }
  /** In [0, 1). */
  random?: () => number
}

export class Allocator {
  readonly #options: AllocatorOptions
  readonly #searches = new Map<string, Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(options: AllocatorOptions) {
    this.#options = options
  }

  /** Searches for one allocation, unless that is being done. Returns at once. */
  search(uuid: string): void {
    if (this.#stopping.signal.aborted || this.#searches.has(uuid)) return
    const { db, clock, log } = this.#options
    const search = this.#search(uuid)
      .catch(async error => {
        if (this.#stopping.signal.aborted) return
        log.error({ err: error, allocation: uuid }, 'the search for a node failed with a bug')
        await failAllocation(db, uuid, 'The search for a node failed unexpectedly; see the log', clock.now())
      })
      .finally(() => this.#searches.delete(uuid))
    this.#searches.set(uuid, search)
  }

  /** Searches for all whose search was cut off or never begun. */
  async resume(): Promise<void> {
    for (const uuid of await openAllocations(this.#options.db)) this.search(uuid)
  }

  /** Resolves when no search is under way. */
  async idle(): Promise<void> {
    while (this.#searches.size > 0) await Promise.all(this.#searches.values())
  }

  /** Ends what waits; the rows stay as they are for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.allSettled(this.#searches.values())
  }

  async #search(uuid: string): Promise<void> {
    const { db, clock, retries } = this.#options
    const { attempts, intervalS } = retries()
    for (let left = attempts; ; left -= 1) {
      const allocation = await findAllocation(db, uuid)
      if (allocation?.state !== 'allocating') return
      const found = await this.#round(allocation)
      if (found === 'done') return
      if (found.locked === 0 || left <= 0) {
        await failAllocation(db, uuid, failure(allocation, found), clock.now())
        return
      }
      await clock.sleep(intervalS * 1000, this.#stopping.signal)
    }
  }

  /** Tries every node that fits, once. */
  async #round(allocation: Allocation): Promise<'done' | Found> {
    const { db, clock, hostname, random = Math.random } = this.#options
    const suited = await nodesFor(db, allocation)
    let locked = 0
    for (const node of inOrder(suited, allocation.name, random)) {
      try {
        const by = { holder: hostname, nowMs: clock.now() }
        if ((await bindNode(db, allocation, node.uuid, by)) !== 'unfit') return 'done'
      } catch (error) {
        if (!(error instanceof NodeLocked)) throw error
        locked += 1
      }
    }
    return { suited: suited.length, locked }
  }
}

interface Found {
  suited: number
  locked: number
}

/** By chance, so that searches do not fight for the same node; the node of the allocation's own name goes first. */
function inOrder(nodes: readonly Node[], name: string | null, random: () => number): Node[] {
  const order = nodes.map(node => ({ node, place: name !== null && node.name === name ? -1 : random() }))
  return order.sort((a, b) => a.place - b.place).map(({ node }) => node)
}

function failure({ uuid, resource_class, candidate_nodes, traits }: Allocation, { suited, locked }: Found): string {
  const wanted = [
    `resource class ${resource_class}`,
    ...(traits.length > 0 ? [`traits ${traits.join(', ')}`] : []),
    ...(candidate_nodes.length > 0 ? [`one of ${candidate_nodes.length} candidates`] : []),
  ].join(', ')
  const found =
    locked > 0
      ? `all ${suited} nodes that fit are locked by other work`
      : suited > 0
        ? `all ${suited} nodes that fitted were taken meanwhile`
        : 'no node that is available, out of maintenance and without an instance fits'
  return `Cannot allocate a node for ${uuid} (${wanted}): ${found}`
}
