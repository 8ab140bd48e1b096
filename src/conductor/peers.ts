/**
 * What the engine knows of the other conductors: who serves a node, and how to say "look now" to one of them. It decides
 * nothing from what is said between conductors; rows decide.
 */
import type { Served } from '#db/fleet.ts'

export interface Peers {
  /** The live conductor that serves the node, perhaps this one. @throws NoConductor when none does */
  ownerOf(node: Served): string
  /** Tells another conductor that there is work for it. It may be lost. */
  wake(hostname: string): void
  /** Asks whoever looks at an agent for this node to leave it for now. It may be lost. */
  interrupt(nodeUuid: string): void
  /** Tells all that a node was taken from whoever held it. It may be lost. */
  fence(nodeUuid: string): void
  /** There are no others: work that belongs to one is left over. */
  readonly alone: boolean
}

/** There is nobody else: everything is for us to do. */
export function alone(hostname: string): Peers {
  return { alone: true, ownerOf: () => hostname, wake() {}, interrupt() {}, fence() {} }
}
