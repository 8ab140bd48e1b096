/**
 * All consoles that this process offers, of whatever kind, so that one can be ended whose node is gone, or whose driver
 * is not known any more. Each kind tells of its own.
 */
import type { NodeContext } from '../driver.ts'

/** One kind of consoles. */
export interface OfferedConsoles {
  /** Those that are offered: the node of each, and the console interface by which it got it. */
  list(): Iterable<{ uuid: string; console_interface: string | null }>
  /** Does nothing where there is none. */
  stop(uuid: string): Promise<void>
}

const KEY = Symbol('kinds of consoles')

/** The kinds that were asked for in this process. */
export function offeredConsoles({ shared }: Pick<NodeContext, 'shared'>): Set<OfferedConsoles> {
  return shared(KEY, () => new Set<OfferedConsoles>())
}
