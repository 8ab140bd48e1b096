/**
 * --wait: looks at the nodes every second until each has reached its state or cannot any more. It only reads, so
 * stopping it changes nothing; and it outlives a restart of the service.
 */

import { Compile } from 'typebox/compile'
import { Fault } from '#lib/fault.ts'
import { Progress } from '#protocol/progress.ts'
import { segment } from './client.ts'
import type { Context, Item } from './command.ts'
import { Unreachable } from './http.ts'
import { duration, ProgressView, type Sight } from './progress-view.ts'
import { describe, SomeFailed } from './report.ts'

const pollMs = 1000
/** How long the service may be away before the wait ends; the client's own tries come on top. */
const patienceMs = 120_000

/** A node did not get to the state that was waited for. */
export class WaitFailed extends Fault {
  readonly status = 409
  readonly code = 'wait-failed'
}

/** Ctrl-C. */
export class Interrupted extends Fault {
  readonly status = 499
  readonly code = 'interrupted'
}

interface Wanted {
  readonly state: string
  /** 0: as long as it takes. */
  readonly timeoutMs: number
  readonly context: Context
}

const isProgress = Compile(Progress)

/**
 * Waits until every node is in `state`.
 * @throws WaitFailed when a node came to rest elsewhere or time ran out (SomeFailed when it was one of several)
 */
export async function waitForState(names: readonly string[], wanted: Wanted): Promise<void> {
  const { context, state } = wanted
  const { terminal, reporter } = context
  terminal.out.write(`Waiting for provision state ${state} on node(s) ${names.join(', ')}\n`)
  const view = new ProgressView(terminal)
  reporter.above = text => view.above(text)
  const { interrupted } = terminal // from now on Ctrl-C ends the wait instead of the process
  try {
    await watch(names, { ...wanted, view, interrupted })
  } finally {
    reporter.above = undefined
  }
}

async function watch(
  names: readonly string[],
  { state, timeoutMs, context, view, interrupted }: Wanted & { view: ProgressView; interrupted: AbortSignal },
): Promise<void> {
  const { terminal } = context
  const began = terminal.now()
  const failures: string[] = []
  const open = new Map<string, string>(names.map(name => [name, 'unknown']))
  for (;;) {
    for (const name of open.keys()) {
      const node = await look(name, context)
      const sight = sightOf(node)
      open.set(name, sight.state)
      const failure = failureOf(node, state)
      if (sight.state === state) view.finish(name, `${state} after ${duration(terminal.now() - began)}`)
      else if (failure === undefined) {
        view.update(name, sight)
        continue
      } else {
        view.finish(name, sight.state)
        failures.push(`Node ${name} did not reach state ${state}: ${failure}`)
      }
      open.delete(name)
    }
    view.draw()
    if (open.size === 0) break
    const rest = [...open].map(([name, now]) => `node ${name} is ${now}`).join(', ')
    if (timeoutMs > 0 && terminal.now() - began >= timeoutMs) {
      failures.push(`Stopped waiting for state ${state} after ${duration(timeoutMs)}: ${rest}`)
      break
    }
    await terminal.sleep(pollMs)
    if (interrupted.aborted) throw new Interrupted(`Stopped waiting for state ${state}; the work goes on: ${rest}`)
  }
  if (failures.length === 0) return
  throw names.length === 1 ? new WaitFailed(failures.join('\n')) : new SomeFailed(failures.join('\n'))
}

/** Reads a node; a service that is away for a moment (a restart) is waited for. */
async function look(name: string, { api, terminal, reporter }: Context): Promise<Item> {
  const began = terminal.now()
  for (;;) {
    try {
      return await api.get(`/v1/nodes/${segment(name)}`)
    } catch (error) {
      if (!(error instanceof Unreachable) || terminal.now() - began > patienceMs) throw error
      reporter.notice(`${describe(error)}\nStill waiting.`)
      await terminal.sleep(pollMs)
      if (terminal.interrupted.aborted) throw error
    }
  }
}

function sightOf(node: Item): Sight {
  const internal = asItem(node.driver_internal_info)
  const progress = isProgress.Check(internal.progress) ? internal.progress : undefined
  const steps = [node.deploy_step, node.clean_step, node.service_step].map(asItem)
  const running = steps.find(({ step }) => typeof step === 'string')
  const step = progress?.step ?? (running && `${running.interface}.${running.step}`)
  return { state: String(node.provision_state), step, progress }
}

function asItem(value: unknown): Item {
  return typeof value === 'object' && value !== null ? (value as Item) : {} // any object may be read by key
}

/**
 * Why the node will not get to `wanted` by itself; undefined while it is on its way. A state without a target is at
 * rest, whatever its name.
 */
function failureOf(node: Item, wanted: string): string | undefined {
  const state = String(node.provision_state)
  if (state === wanted) return undefined
  const resting = node.target_provision_state === null || node.target_provision_state === undefined
  if (!resting && state !== 'error' && !state.endsWith(' failed')) return undefined
  const reason = typeof node.last_error === 'string' && node.last_error !== '' ? `: ${node.last_error}` : ''
  return `it came to rest in ${state}${reason}`
}
