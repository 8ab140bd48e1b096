/**
 * The heartbeat: tells the API where this agent can be reached, for as long as the process lives. A beat is forced
 * when a command ends, for conductors look at commands only then. The loop shares nothing with the commands but that
 * call.
 *
 * Source: openstack/ironic-python-agent `agent.py` (cadence).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import type { Log } from './log.ts'

/** A forced beat waits until this much time has passed since the one before, so that quick commands share one. */
const LEAST_GAP_MS = 5_000
const AFTER_FAILURE_MS = 5_000

export interface HeartbeatLoop {
  /** Sends the next beat as soon as allowed; kept until one succeeds. */
  force(): void
  /** Ends when the signal is aborted. */
  readonly ended: Promise<void>
}

export interface HeartbeatOptions {
  send: () => Promise<void>
  /** Of the lookup's answer. */
  timeoutMs: () => number
  /** Told of every failure. `retry`: the cause is gone, beat again at once; else the usual pause follows. */
  onFailure?: (error: unknown) => Promise<'retry' | 'wait'>
  log: Log
  signal: AbortSignal
  random?: () => number
  /** For tests: default 5 s. */
  leastGapMs?: number
}

export function startHeartbeat(options: HeartbeatOptions): HeartbeatLoop {
  const random = options.random ?? Math.random
  const leastGapMs = options.leastGapMs ?? LEAST_GAP_MS
  let forced = true
  let wake = new AbortController()

  const loop = async () => {
    let lastAt = Number.NEGATIVE_INFINITY
    let dueAt = performance.now()
    let isFirst = true
    while (!options.signal.aborted) {
      const nextAt = forced ? Math.min(dueAt, lastAt + leastGapMs) : dueAt
      const waitMs = nextAt - performance.now()
      if (waitMs > 0) {
        await pause(waitMs, AbortSignal.any([options.signal, wake.signal]))
        if (wake.signal.aborted) wake = new AbortController()
        continue
      }
      // What is forced while a beat is under way was not in it, and needs another.
      const wasForced = forced
      forced = false
      lastAt = performance.now()
      try {
        await options.send()
        if (isFirst) options.log.info('The first heartbeat was taken')
        isFirst = false
        dueAt = performance.now() + options.timeoutMs() * (0.3 + 0.3 * random())
      } catch (error) {
        forced ||= wasForced
        const afterMs = Math.min(AFTER_FAILURE_MS, leastGapMs) * (1 + random())
        dueAt = performance.now() + afterMs
        lastAt = dueAt
        options.log.warn(`${messageOf(error)}; next heartbeat in ${Math.round(afterMs)} ms`)
        if ((await options.onFailure?.(error)) === 'retry') {
          dueAt = performance.now()
          lastAt = Number.NEGATIVE_INFINITY
        }
      }
    }
  }

  return {
    force: () => {
      forced = true
      wake.abort()
    },
    ended: loop(),
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch {
    // Woken: the loop decides what to do.
  }
}
