/** What the conductor tells of its work, each once it is written down. */
import { measure } from '#lib/measure.ts'

/** A piece of work on a node that has ended. */
export const flowsEnded = measure<{
  flow: string
  state: 'done' | 'failed' | 'aborted'
  /** The cause, as troubleshooting lists it; null where it went well. */
  code: string | null
  durationMs: number
}>('ferrite:flow:ended')

/** A step of a deployment, cleaning or service that has ended well. */
export const stepsEnded = measure<{ flow: string; step: string; durationMs: number }>('ferrite:step:ended')

/** An agent called. */
export const heartbeats = measure<{ news: boolean }>('ferrite:agent:heartbeat')

/** Notifications went to the message bus: it took them, or did not (they are tried again), or they were too old. */
export const notificationsSent = measure<{ outcome: 'sent' | 'refused' | 'given up'; count: number }>(
  'ferrite:notifications',
)
