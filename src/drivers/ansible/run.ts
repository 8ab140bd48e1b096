/**
 * Running a playbook for a node inside a step of a flow: its files, its arguments, and what its tasks tell the node's
 * history. The variables are in a file that only this service's user can read, and that is gone afterwards.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowContext } from '../driver.ts'
import { type AnsibleSettings, ansibleSettings } from './driver-info.ts'
import { type PlaybookEvent, runPlaybook } from './playbook.ts'
import { asVariablesFile, machineVariables } from './variables.ts'

export interface PlaybookRun {
  /** What it is for, as the node's progress shows it: `deploy.write_image`. */
  readonly step: string
  readonly playbook: keyof AnsibleSettings['playbooks']
  /** Added to the variable `ironic`. @param folder a directory of this run's own, for further files */
  variables?(folder: string): Promise<Readonly<Record<string, unknown>>>
  /** Only these tasks. */
  readonly tags?: readonly string[]
}

const callbackFolder = fileURLToPath(new URL('./callback', import.meta.url))

/** Runs one of the node's playbooks. @throws PlaybookFailed with the task and what it said; InvalidInput */
export async function runNodePlaybook(ctx: FlowContext, run: PlaybookRun): Promise<void> {
  const { node, flow } = ctx
  const settings = ansibleSettings(ctx)
  const folder = join(ctx.config.DEFAULT.state_path, 'ansible', node.uuid)
  // Of a run whose service died in the middle.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const playbook = settings.playbooks[run.playbook]
  const progress = new TaskLog(ctx, run.step, playbook)
  try {
    const { ironic, ...rest } = machineVariables(ctx, settings)
    const more = await run.variables?.(folder)
    const variables = asVariablesFile({ ironic: { ...(ironic as object), ...more }, ...rest }) // made as an object
    const file = join(folder, 'variables.yaml')
    await writeFile(file, `${variables}\n`, { mode: 0o600 })
    await runPlaybook(
      {
        program: settings.program,
        args: argumentsFor(settings, { playbook, file, tags: run.tags ?? [] }),
        env: environment(settings, folder),
        owner: node.uuid,
        playbook,
      },
      ctx.signal,
      {
        onEvent: event => progress.note(event),
        onLine: line => ctx.log.debug({ playbook: basename(playbook) }, line),
      },
    )
    await progress.end(null)
  } catch (error) {
    await progress.end(messageOf(error))
    throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
    await flow.progress(null)
  }
}

/** Nothing secret is here: any user of the host can read arguments. */
function argumentsFor(
  settings: AnsibleSettings,
  { playbook, file, tags }: { playbook: string; file: string; tags: readonly string[] },
): string[] {
  const { keyFile, verbosity, folder, extraArgs } = settings
  return [
    playbook,
    ...['-i', join(folder, 'inventory')],
    ...['-e', `@${file}`],
    ...(tags.length > 0 ? ['--tags', tags.join(',')] : []),
    ...(keyFile === null ? [] : ['--private-key', keyFile]),
    ...(verbosity > 0 ? [`-${'v'.repeat(verbosity)}`] : []),
    ...extraArgs,
  ]
}

function environment({ configFile }: AnsibleSettings, folder: string): Record<string, string> {
  return {
    ANSIBLE_CONFIG: configFile,
    ANSIBLE_CALLBACK_PLUGINS: callbackFolder,
    ANSIBLE_CALLBACKS_ENABLED: 'ferrite_events',
    ANSIBLE_HOME: join(folder, 'home'),
    ANSIBLE_LOCAL_TEMP: join(folder, 'tmp'),
    ANSIBLE_NOCOLOR: '1',
    LC_ALL: 'C.UTF-8',
  }
}

/** Tells node and history how far the playbook is. Events come faster than they are stored, and keep their order. */
class TaskLog {
  readonly #ctx: FlowContext
  readonly #step: string
  readonly #playbook: string
  readonly #counts: Record<string, number> = {}
  readonly #beganMs: number
  #told: Promise<void> = Promise.resolve()

  constructor(ctx: FlowContext, step: string, playbook: string) {
    this.#ctx = ctx
    this.#step = step
    this.#playbook = basename(playbook)
    this.#beganMs = ctx.clock.now()
  }

  note(event: PlaybookEvent): void {
    this.#told = this.#told
      .then(() => this.#tell(event))
      .catch(error => {
        this.#ctx.log.warn({}, `what a playbook does could not be told: ${messageOf(error)}`)
      })
  }

  /** @param error why it failed */
  async end(error: string | null): Promise<void> {
    await this.#told
    const { flow, clock } = this.#ctx
    const duration_seconds = Math.round((clock.now() - this.#beganMs) / 1000)
    const data = { playbook: this.#playbook, step: this.#step, tasks: this.#counts, duration_seconds }
    await flow.event('playbook ended', error === null ? data : { ...data, error })
  }

  async #tell(event: PlaybookEvent): Promise<void> {
    const { flow, clock, log } = this.#ctx
    switch (event.event) {
      case 'task': {
        const nothing = { bytes: 0, total_bytes: null, rate_bytes_per_s: null, eta_s: null }
        const updated_at = timestamp(clock.now())
        return flow.progress({ step: this.#step, phase: `task: ${event.task}`, ...nothing, updated_at })
      }
      case 'play':
      case 'no hosts':
      case 'stats':
        return
      default: {
        const { event: outcome, task, host, seconds, message } = event
        this.#counts[outcome] = (this.#counts[outcome] ?? 0) + 1
        log.info({ playbook: this.#playbook, task, host, outcome, seconds }, message ?? `task "${task}": ${outcome}`)
        if (outcome === 'skipped') return
        const data = { playbook: this.#playbook, task, host, outcome, duration_seconds: Math.round(seconds ?? 0) }
        return flow.tell('playbook task', message === null ? data : { ...data, error: message })
      }
    }
  }
}
