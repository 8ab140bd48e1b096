/**
 * How busy this process is, as its event loop tells, and waiting until it is less so: what can wait asks here before it
 * begins, so that whoever calls is answered soon. Measures, and changes nothing.
 */
import { performance } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'

export interface Load {
  /** The share of its time that the process was at work lately, from 0 to 1. */
  busy(): number
  /** Lets everybody else have a turn, and more of them while turns are long; for a moment only. */
  breathe(): Promise<void>
}

export interface LoadLimits {
  /** Over how long the share is taken. */
  windowMs?: number
  /** Turns that are longer keep callers waiting. */
  turnMs?: number
  /** Whoever breathes goes on after this time, however long turns are. */
  patienceMs?: number
}

/** Of this process. Asking often costs nothing. */
export function eventLoopLoad({ windowMs = 1000, turnMs = 2, patienceMs = 50 }: LoadLimits = {}): Load {
  let last = performance.eventLoopUtilization()
  let lastAtMs = performance.now()
  let share = 0
  return {
    busy() {
      const nowMs = performance.now()
      if (nowMs - lastAtMs >= windowMs) {
        const now = performance.eventLoopUtilization()
        share = performance.eventLoopUtilization(now, last).utilization
        last = now
        lastAtMs = nowMs
      }
      return share
    },
    async breathe() {
      const fromMs = performance.now()
      for (let atMs = fromMs; ; ) {
        await turn()
        const nowMs = performance.now()
        if (nowMs - atMs <= turnMs || nowMs - fromMs >= patienceMs) return
        atMs = nowMs
      }
    },
  }
}

/** Of a process that is never busy, or whose time is not the real one. */
export const noLoad: Load = {
  busy: () => 0,
  async breathe() {
    await turn()
  },
}
