/** The plans of many nodes, asked for a few at a time, and shown as they come. Nothing is written for them. */
import { useEffect, useState } from 'react'
import type { Plan } from '#protocol/plan.ts'
import { ask, part } from '../../api.ts'
import type { FleetNode } from '../../fleet.ts'
import { bodyOf, instanceInfoOf, type Wish } from './wish.ts'

/** What came of asking for a node's plan. */
export type Planned =
  | { readonly kind: 'plan'; readonly plan: Plan }
  | { readonly kind: 'fault'; readonly error: unknown }
export type Plans = ReadonlyMap<string, Planned>

/** A plan asks drivers and the image's source: so many at a time. */
const atOnce = 4

/** By UUID, as far as they have come. @param round asks anew when it changes */
export function usePlans(nodes: readonly FleetNode[], wish: Wish, round: number): Plans {
  const [found, setFound] = useState<Plans>(new Map())
  // biome-ignore lint/correctness/useExhaustiveDependencies: another round asks the same
  useEffect(() => {
    const leaving = new AbortController()
    const { signal } = leaving
    const gathered = new Map<string, Planned>()
    setFound(new Map())
    const waiting = nodes.toReversed()
    const worker = async () => {
      for (let node = waiting.pop(); node !== undefined && !signal.aborted; node = waiting.pop()) {
        const planned = await planOf(node, wish, signal)
        if (signal.aborted) return
        gathered.set(node.uuid, planned)
        setFound(new Map(gathered))
      }
    }
    void Promise.all(Array.from({ length: atOnce }, worker))
    return () => leaving.abort()
  }, [nodes, wish, round])
  return found
}

async function planOf(node: FleetNode, wish: Wish, signal: AbortSignal): Promise<Planned> {
  const body = { ...bodyOf(wish, node), instance_info: instanceInfoOf(wish) }
  try {
    return { kind: 'plan', plan: await ask<Plan>('POST', `/v1/nodes/${part(node.uuid)}/plan`, { body, signal }) }
  } catch (error) {
    return { kind: 'fault', error }
  }
}
