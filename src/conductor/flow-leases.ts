/**
 * The leases that this process holds for its flows: on the flow's own node from one record to the next, and on nodes
 * that a pass borrows; and those of work that is no flow. A copy for speed; the rows decide who holds what.
 */
import type { Db } from '#db/database.ts'
import type { FlowRow } from '#db/flows.ts'
import { dropLease, findNode, renewLeases, takeLease } from '#db/nodes.ts'
import type { Clock } from '#lib/clock.ts'
import { NodeLocked, NotFound } from '#lib/fault.ts'
import { type ProvisionState, provision } from '#protocol/states.ts'

/** How long a lease lasts without renewal. */
export const leaseMs = 60_000

export interface HeldLease {
  readonly nodeUuid: string
  readonly token: number
}

export class FlowLeases {
  readonly #options: { db: Db; clock: Clock; hostname: string }
  /** By the flow's id. */
  readonly #held = new Map<number, HeldLease>()
  /** Of other nodes that a pass of a flow has now: by the flow's id, then by node. */
  readonly #lent = new Map<number, Map<string, number>>()
  /** Of work that is no flow. */
  readonly #kept = new Set<HeldLease>()

  constructor(options: { db: Db; clock: Clock; hostname: string }) {
    this.#options = options
  }

  /** The lease was taken for this flow. */
  hold(flowId: number, nodeUuid: string, token: number): void {
    this.#held.set(flowId, { nodeUuid, token })
  }

  /**
   * The lease of the flow's node: the one held since `begin`, or taken anew. Undefined: somebody else has it. `isLook`:
   * it was taken only to see whether a wait is over that freed the node.
   */
  async of(flow: FlowRow): Promise<{ token: number; isLook: boolean } | undefined> {
    const held = this.#held.get(flow.id)
    if (held !== undefined) return { token: held.token, isLook: false }
    const { db, clock, hostname } = this.#options
    const node = await findNode(db, flow.node_uuid)
    if (!node) return undefined
    // Whoever took the request has taken the lease for us.
    if (node.lease?.holder === hostname && node.lease.token === flow.lease_token) {
      this.hold(flow.id, flow.node_uuid, node.lease.token)
      return { token: node.lease.token, isLook: false }
    }
    // A look while waiting for the agent is not work on the node: the API goes on showing it as free.
    const isLook = flow.state !== 'ready' && isResting(node.provision_state)
    try {
      const lease = { holder: hostname, purpose: flow.kind, nowMs: clock.now(), forMs: leaseMs, visible: !isLook }
      const token = await takeLease(db, flow.node_uuid, lease)
      this.hold(flow.id, flow.node_uuid, token)
      return { token, isLook }
    } catch (error) {
      if (error instanceof NodeLocked || error instanceof NotFound) return undefined
      throw error
    }
  }

  /** The lease of this flow is renewed no more, whatever its token. */
  drop(flowId: number): void {
    this.#held.delete(flowId)
  }

  /** This lease of a flow is renewed no more; a pass that lost the node may not end the lease of the next one. */
  forget(flowId: number, token: number): void {
    if (this.#held.get(flowId)?.token === token) this.#held.delete(flowId)
  }

  /** The lease of another node for a flow's pass: a node that the flow's own contains. @throws NodeLocked */
  async lend(flowId: number, uuid: string, purpose: string): Promise<number> {
    const lent = this.#lent.get(flowId) ?? new Map<string, number>()
    this.#lent.set(flowId, lent)
    const known = lent.get(uuid)
    if (known !== undefined) return known
    const { db, clock, hostname } = this.#options
    const lease = { holder: hostname, purpose, nowMs: clock.now(), forMs: leaseMs, visible: true }
    const token = await takeLease(db, uuid, lease)
    lent.set(uuid, token)
    return token
  }

  /** Gives back what a pass borrowed. */
  async takeBack(flowId: number): Promise<void> {
    const lent = this.#lent.get(flowId)
    if (!lent) return
    this.#lent.delete(flowId)
    for (const [uuid, token] of lent) await dropLease(this.#options.db, uuid, token)
  }

  /** Prolongs this lease with the others until what it returns is called; taking and dropping it is the caller's. */
  keep(lease: HeldLease): () => void {
    this.#kept.add(lease)
    return () => void this.#kept.delete(lease)
  }

  /** Nothing is held any more: this process was taken for dead. */
  clear(): void {
    this.#held.clear()
    this.#lent.clear()
    this.#kept.clear()
  }

  /** Prolongs all that is held and lent. */
  async prolong(): Promise<void> {
    const { db, clock } = this.#options
    const lent = [...this.#lent.values()].flatMap(leases =>
      [...leases].map(([nodeUuid, token]) => ({ nodeUuid, token })),
    )
    await renewLeases(db, [...this.#held.values(), ...lent, ...this.#kept], clock.now() + leaseMs)
  }
}

/** The node rests until its flow, the agent or an operator goes on: a look then is not work that others must see. */
function isResting(state: ProvisionState): boolean {
  const { kind } = provision[state]
  return kind === 'wait' || kind === 'hold'
}
