/** A map that forgets: each entry at its time, and the oldest when there are too many. It runs no timer. */

export interface Recent<V> {
  get(key: string): V | undefined
  set(key: string, value: V, forMs: number): void
  delete(key: string): void
}

/** @param most entries kept at a time */
export function recentMap<V>({ most, now }: { most: number; now: () => number }): Recent<V> {
  const entries = new Map<string, { value: V; untilMs: number }>()
  return {
    get(key) {
      const found = entries.get(key)
      if (found === undefined) return undefined
      if (found.untilMs > now()) return found.value
      entries.delete(key)
      return undefined
    },
    set(key, value, forMs) {
      entries.delete(key)
      entries.set(key, { value, untilMs: now() + forMs })
      if (entries.size <= most) return
      // A map keeps the order in which its keys came.
      for (const oldest of entries.keys()) {
        entries.delete(oldest)
        return
      }
    },
    delete: key => void entries.delete(key),
  }
}
