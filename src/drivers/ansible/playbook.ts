/**
 * One run of a playbook: starts the process that looks after ansible-playbook (playbook-worker.ts), listens to what the
 * tasks tell, and says why a run failed. It knows no flows, and nothing of what the playbook does.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Fault } from '#lib/fault.ts'

/** A playbook did not do its work. The message names the task and what it said. */
export class PlaybookFailed extends Fault {
  readonly status = 500
  readonly code = 'playbook-failed'
}

export interface PlaybookJob {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Whose playbook it is: what an earlier run for the same owner left behind is ended first. */
  readonly owner: string
  /** For messages. */
  readonly playbook: string
}

/** How a task ended on a machine; `ignored`: it failed, and the playbook goes on. */
export type TaskOutcome = 'ok' | 'skipped' | 'failed' | 'ignored' | 'unreachable'

/** From our callback plug-in, callback/ferrite_events.py. */
export type PlaybookEvent =
  | { readonly event: 'play'; readonly name: string }
  | { readonly event: 'task'; readonly task: string }
  | {
      readonly event: TaskOutcome
      readonly task: string
      readonly host: string
      readonly seconds: number | null
      readonly message: string | null
    }
  | { readonly event: 'no hosts' }
  | { readonly event: 'stats'; readonly hosts: Readonly<Record<string, Readonly<Record<string, number>>>> }

/** From the worker to the service. */
export type PlaybookWorkerMessage =
  | { readonly kind: 'event'; readonly event: PlaybookEvent }
  | { readonly kind: 'said'; readonly line: string }
  | { readonly kind: 'ended'; readonly code: number | null; readonly signal: string | null; readonly tail: string }
  | { readonly kind: 'not started'; readonly message: string }

export interface PlaybookListener {
  onEvent(event: PlaybookEvent): void
  /** A line of ansible-playbook's own output. */
  onLine(line: string): void
}

/**
 * Runs a playbook to its end.
 * @throws PlaybookFailed; what the signal says when it aborts, after all processes of the run are gone
 */
export async function runPlaybook(job: PlaybookJob, signal: AbortSignal, listener: PlaybookListener): Promise<void> {
  signal.throwIfAborted()
  const child = fork(fileURLToPath(new URL('./playbook-worker.ts', import.meta.url)), [], {
    // What our own process was started with (a test runner, a debugger) is not the worker's.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  // It ends what it has started, then itself; so it does when its channel breaks.
  const stop = () => child.kill('SIGTERM')
  signal.addEventListener('abort', stop)
  try {
    await endOf(child, job, listener)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function endOf(child: ChildProcess, job: PlaybookJob, listener: PlaybookListener): Promise<void> {
  const failures: Failure[] = []
  let hadHosts = false
  let verdict: PlaybookFailed | 'done' | undefined
  return new Promise((resolve, reject) => {
    child.on('message', (message: PlaybookWorkerMessage) => {
      switch (message.kind) {
        case 'event': {
          const { event } = message
          if (event.event === 'failed' || event.event === 'unreachable') failures.push(event)
          if (event.event === 'stats') hadHosts = Object.keys(event.hosts).length > 0
          listener.onEvent(event)
          return
        }
        case 'said':
          return listener.onLine(message.line)
        case 'ended':
          verdict = message.code === 0 && hadHosts ? 'done' : explained(job, message, failures)
          return
        case 'not started':
          verdict = new PlaybookFailed(`Cannot run playbook ${basename(job.playbook)}: ${message.message}`)
          return
        default:
          message satisfies never
      }
    })
    child.on('error', error =>
      reject(new PlaybookFailed(`Cannot run playbook ${basename(job.playbook)}: no process for it`, { cause: error })),
    )
    // Only when the worker is gone are all processes of the run.
    child.on('close', (code, signal) => {
      if (verdict === 'done') return resolve()
      const lost = `Playbook ${basename(job.playbook)} was ended from outside (${signal ?? `status ${code}`})`
      reject(verdict ?? new PlaybookFailed(lost))
    })
    child.send(job, () => {})
  })
}

type Failure = Extract<PlaybookEvent, { event: TaskOutcome }>

function explained(
  { playbook }: PlaybookJob,
  end: Extract<PlaybookWorkerMessage, { kind: 'ended' }>,
  failures: readonly Failure[],
): PlaybookFailed {
  const name = basename(playbook)
  const unreachable = failures.find(({ event, message }) => event === 'unreachable' || saysUnreachable(message))
  if (unreachable) {
    return new PlaybookFailed(
      `Playbook ${name} cannot reach the ramdisk of ${unreachable.host} (task "${unreachable.task}"): ` +
        `${unreachable.message}; expected a ramdisk with sshd and Python (ferrite ramdisk build --with ansible) that lets ` +
        'the configured user in with the configured key (ansible_username, ansible_key_file)',
    )
  }
  if (failures.length > 0) {
    const told = failures.map(({ task, message }) => `task "${task}": ${message}`)
    return new PlaybookFailed(`Playbook ${name} failed in ${[...new Set(told)].join('; ')}`)
  }
  if (end.code === 0) {
    return new PlaybookFailed(
      `Playbook ${name} did nothing: none of its plays has a machine; expected one for the machines of the variable ironic.nodes`,
    )
  }
  const how = end.signal === null ? `status ${end.code}` : `signal ${end.signal}`
  const said = end.tail.trim() === '' ? '' : `: ${end.tail.trim().split('\n').slice(-8).join(' | ')}`
  return new PlaybookFailed(`Playbook ${name} ended with ${how} before it came to a task${said}`)
}

/** wait_for_connection fails like any task. */
function saysUnreachable(message: string | null): boolean {
  return /Failed to connect to the host via ssh|Permission denied \(|timed out waiting for ping module/.test(
    message ?? '',
  )
}
