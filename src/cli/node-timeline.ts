/** `ferrite node timeline` and `ferrite node watch`: where the time of a node's runs goes, and how far the present one is. */
import { Compile } from 'typebox/compile'
import { Fault } from '#lib/fault.ts'
import { type Run, Timeline } from '#protocol/timeline.ts'
import { type Commands, type Context, command, type Item } from './command.ts'
import { Unreachable } from './http.ts'
import { node, nodePath } from './node-path.ts'
import { describe } from './report.ts'
import { Interrupted } from './wait.ts'
import { WatchView } from './watch-view.ts'

const isTimeline = Compile(Timeline)
const pollMs = 1000
/** How long the service may be away before the watch ends. */
const patienceMs = 120_000

const phaseColumns = ['phase', 'step', 'seconds', 'bytes', 'rate_bytes_per_s', 'what']
const longPhaseColumns = ['phase', 'step', 'started_at', 'finished_at', 'seconds', 'bytes', 'rate_bytes_per_s', 'what']
const runColumns = ['id', 'kind', 'outcome', 'started_at', 'seconds', 'unattributed_s', 'requested_by', 'error']

/** The run that was watched did not end well, or there is none. */
export class WatchFailed extends Fault {
  readonly status = 409
  readonly code = 'watch-failed'
}

export const timeline = command({
  about: 'Show where the time of a run went: each of its seconds belongs to one phase',
  args: { node },
  options: {
    run: { takes: 'number', least: 1, group: 'what', about: 'of the run with this number; default: of the last one' },
    runs: { takes: 'nothing', group: 'what', about: 'list the runs instead, the newest first' },
    kind: { takes: 'text', about: 'of runs of this kind only: deploy, clean, inspect, power ...' },
    limit: { takes: 'number', least: 1, about: 'list at most so many runs (10)' },
    long: { takes: 'nothing', about: 'show when each phase began and ended, too' },
  },
  shows: 'list',
  async run({ args, options }, context) {
    const { run: id, runs, kind, limit } = options
    const before = id === undefined ? undefined : id + 1
    const found = await read(context, args.node, { kind, before, limit: runs ? limit : 1 })
    if (runs) return { kind: 'list', columns: runColumns, items: found as readonly Item[] } // rows of JSON
    const [only] = found
    if (!only || (id !== undefined && only.id !== id)) {
      const what = id === undefined ? 'has had no run that is kept' : `has no run ${id} that is kept`
      throw new WatchFailed(`Node ${args.node} ${what}; "ferrite node timeline ${args.node} --runs" lists them`)
    }
    const columns = options.long ? longPhaseColumns : phaseColumns
    return { kind: 'list', columns, items: only.phases as readonly Item[] } // rows of JSON
  },
})

const watch = command({
  about: 'Watch the run of a node until it ends: what it is at, how far, and how long it will take',
  args: { node },
  options: {},
  shows: 'one',
  async run({ args }, context) {
    const { terminal } = context
    const view = new WatchView(args.node, terminal)
    const { interrupted } = terminal // from now on Ctrl-C ends the watch instead of the process
    for (let watched: number | undefined; ; ) {
      // The run that was watched, though another may have begun since.
      const [run] = await look(context, args.node, watched)
      if (!run) throw new WatchFailed(`Node ${args.node} has had no run that is kept: there is nothing to watch`)
      watched ??= run.id
      if (run.finished_at !== null) return ended(args.node, run, view)
      view.update(run)
      await terminal.sleep(pollMs)
      if (interrupted.aborted) throw new Interrupted(`Stopped watching; the ${run.kind} of node ${args.node} goes on`)
    }
  },
})

/** `node timeline`, `node watch`. */
export const timelineCommands: Commands = { '': timeline }
export const watchCommands: Commands = { '': watch }

function ended(name: string, run: Run, view: WatchView) {
  const { id, kind, outcome, started_at, finished_at, seconds, unattributed_s, error } = run
  view.finish(run)
  const item: Item = { id, kind, outcome, started_at, finished_at, seconds, unattributed_s, error }
  if (outcome === 'done') return { kind: 'one', item } as const
  const why = error === null ? '' : `: ${error}`
  return {
    kind: 'one',
    item,
    failure: new WatchFailed(`The ${kind} of node ${name} was ${told[outcome ?? 'failed']}${why}`),
  } as const
}

const told = { done: 'done', failed: 'failed', aborted: 'aborted' } as const

/** As read(), of a service that may be away for a moment (a restart). */
async function look(context: Context, name: string, id: number | undefined): Promise<readonly Run[]> {
  const { terminal, reporter } = context
  const began = terminal.now()
  for (;;) {
    try {
      return await read(context, name, { before: id === undefined ? undefined : id + 1, limit: 1 })
    } catch (error) {
      if (!(error instanceof Unreachable) || terminal.now() - began > patienceMs) throw error
      reporter.notice(`${describe(error)}\nStill watching.`)
      await terminal.sleep(pollMs)
      if (terminal.interrupted.aborted) throw error
    }
  }
}

async function read(
  { api }: Context,
  name: string,
  query: { kind?: string | undefined; before?: number | undefined; limit: number | undefined },
): Promise<readonly Run[]> {
  const found = await api.get(`${nodePath(name)}/timeline`, query)
  if (isTimeline.Check(found)) return found.runs
  throw new Unreachable(`Cannot use the timeline of node ${name}: the service answered with something else`)
}
