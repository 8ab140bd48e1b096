/**
 * What every part of the agent is handed: options, settings, store, log, and the node as the conductor last told it.
 * One object per process, made in main.ts; nothing reads these from anywhere else.
 */
import type { AgentNode, Progress } from '#protocol/agent.ts'
import type { Log } from './log.ts'
import type { Options } from './options.ts'
import type { Settings } from './settings.ts'
import type { Store } from './store.ts'

export interface AgentContext {
  readonly options: Options
  readonly settings: Settings
  readonly store: Store
  readonly log: Log
  /** From the lookup, later from the newest step command; null before both. */
  node: AgentNode | null
}

/** What a running command says about itself; rate and start are worked out by the receiver. */
export type ReportProgress = (now: Pick<Progress, 'phase' | 'bytes' | 'total_bytes' | 'detail'>) => void

/** What a command or step gets while it runs. */
export interface RunContext {
  readonly agent: AgentContext
  readonly progress: ReportProgress
  /** Aborted when the agent is told to stop. */
  readonly signal: AbortSignal
}

export const agentVersion = '12.0.0+ferrite.0.1.0'
