/**
 * The command record: runs one command at a time and remembers all of them, oldest first. Every record is also a file,
 * so that after a crash of this process the conductor finds the same list; a command that was running then is recorded
 * as failed, for nobody can know how far it came. It knows neither HTTP nor what a command does.
 *
 * Source: openstack/ironic-python-agent `extensions/base.py`.
 */
import { randomUUID } from 'node:crypto'
import { messageOf } from '#lib/fault.ts'
import { type CommandRequest, CommandResult, type Progress } from '#protocol/agent.ts'
import type { AgentContext, ReportProgress, RunContext } from './context.ts'
import { AgentFault, commandError } from './errors.ts'

export interface Command {
  /**
   * `sync` commands are answered when they are done and are quick; `async` ones are answered at once and followed by a
   * forced heartbeat.
   */
  readonly kind: 'sync' | 'async'
  /** Names of the parameters; others are refused. Absent: anything goes. */
  readonly params?: readonly string[]
  /** Refuses parameters before anything is recorded: the caller gets 400. */
  validate?(params: Record<string, unknown>, context: AgentContext): void
  run(params: Record<string, unknown>, context: RunContext): Promise<unknown>
}

/** A result that sets another status than SUCCEEDED. */
export class Mismatch extends AgentFault {
  constructor(details: string) {
    super('VersionMismatch', details)
  }
}

/** By extension, then by name: `standby`, `prepare_image`. */
export type Extensions = Record<string, Record<string, Command>>

export class CommandBoard {
  readonly #context: AgentContext
  readonly #extensions: Extensions
  readonly #onAsyncEnd: () => void
  readonly #stop = new AbortController()
  readonly #results: CommandResult[] = []
  readonly #running = new Map<string, Promise<void>>()
  #turn: Promise<unknown> = Promise.resolve()

  /** Reads what an earlier process of the same boot recorded. */
  constructor(context: AgentContext, extensions: Extensions, onAsyncEnd: () => void) {
    this.#context = context
    this.#extensions = extensions
    this.#onAsyncEnd = onAsyncEnd
    this.#restore()
  }

  list(): CommandResult[] {
    return [...this.#results]
  }

  /** @throws AgentFault 404 */
  get(id: string): CommandResult {
    const found = this.#results.find(result => result.id === id)
    if (found === undefined) throw new AgentFault('RequestedObjectNotFoundError', `Command with id ${id} not found.`)
    return found
  }

  /** Does a command run that is not waited for? */
  get isWorking(): boolean {
    return this.#running.size > 0
  }

  /** Resolves when the command is done; at once when it already is. */
  async wait(id: string): Promise<CommandResult> {
    await this.#running.get(id)
    return this.get(id)
  }

  /**
   * Starts a command. Requests take turns, and a synchronous command is done within its turn.
   * @throws AgentFault 400, 404 or 409 when it was not started; what goes wrong later stands in the result
   */
  async start(request: CommandRequest): Promise<CommandResult> {
    const turn = this.#turn.then(() => this.#take(request))
    this.#turn = turn.catch(() => {})
    return await turn
  }

  /** Starts a command from within another one and waits for it: neither busy check nor turns. */
  async runNested(request: CommandRequest, context: RunContext): Promise<unknown> {
    const command = this.#find(request)
    return await command.run(request.params, context)
  }

  /** Tells running commands to stop; for the end of the process only. */
  stop(): void {
    this.#stop.abort()
  }

  async #take(request: CommandRequest): Promise<CommandResult> {
    const last = this.#results.at(-1)
    if (last?.command_status === 'RUNNING') {
      throw new AgentFault('AgentIsBusy', `Agent is busy: executing command ${last.command_name}`)
    }
    const command = this.#find(request)
    const bareName = request.name.slice(request.name.indexOf('.') + 1)
    const result: CommandResult = {
      id: randomUUID(),
      command_name: bareName,
      command_status: 'RUNNING',
      command_error: null,
      command_result: null,
    }
    this.#context.log.info(`Command ${request.name} (${result.id}) starts`)
    const finish = this.#finish(command, request, result)
    if (command.kind === 'sync') {
      await finish
      if (result.command_status !== 'SUCCEEDED') result.command_name = request.name
      this.#results.push(result)
      this.#save(result)
    } else {
      this.#results.push(result)
      this.#save(result)
      const ended = finish.then(() => {
        this.#save(result)
        this.#running.delete(result.id)
        this.#onAsyncEnd()
      })
      this.#running.set(result.id, ended)
    }
    return result
  }

  /** Never rejects: what went wrong is in the result. */
  async #finish(command: Command, request: CommandRequest, result: CommandResult): Promise<void> {
    // Nothing runs before this: an asynchronous command must be recorded before its first side effect.
    if (command.kind === 'async') await new Promise(resolve => setImmediate(resolve))
    const { log } = this.#context
    const startedAt = performance.now()
    const meter = progressMeter(progress => {
      result.progress = progress
    })
    const context: RunContext = { agent: this.#context, progress: meter, signal: this.#stop.signal }
    const took = () => `after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`
    try {
      result.command_result = wrapText(await command.run(request.params, context), command, result.command_name)
      result.command_status = 'SUCCEEDED'
      log.info(`Command ${request.name} succeeded ${took()}`)
    } catch (error) {
      result.command_error = commandError(error)
      result.command_status = error instanceof Mismatch ? 'CLEAN_VERSION_MISMATCH' : 'FAILED'
      log.error(`Command ${request.name} failed ${took()}: ${messageOf(error)}`)
      if (!(error instanceof AgentFault) && error instanceof Error) log.debug(error.stack ?? '')
    }
    delete result.progress
  }

  #find(request: CommandRequest): Command {
    const dot = request.name.indexOf('.')
    if (dot < 1) {
      throw new AgentFault(
        'InvalidCommandError',
        `Invalid command: ${request.name} is not of the form extension.command`,
      )
    }
    const [extension, name] = [request.name.slice(0, dot), request.name.slice(dot + 1)]
    if (!Object.hasOwn(this.#extensions, extension)) {
      throw new AgentFault('RequestedObjectNotFoundError', `Extension with id ${extension} not found.`)
    }
    const commands = this.#extensions[extension] ?? {}
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (command === undefined) {
      throw new AgentFault('InvalidCommandError', `Invalid command: extension ${extension} has no command ${name}`)
    }
    const unknown = Object.keys(request.params).filter(key => !(command.params ?? [key]).includes(key))
    if (unknown.length > 0) {
      const known = command.params?.join(', ') || 'none'
      throw new AgentFault(
        'InvalidCommandParamsError',
        `${request.name} does not know ${unknown.join(', ')}; it takes ${known}`,
      )
    }
    command.validate?.(request.params, this.#context)
    return command
  }

  #save(result: CommandResult): void {
    const number = this.#results.indexOf(result)
    this.#context.store.write(`command-${String(number).padStart(6, '0')}.json`, result)
  }

  #restore(): void {
    const { store, log } = this.#context
    for (const name of store.list('command-')) {
      const result = store.read(name, CommandResult)
      if (result === null) continue
      this.#results.push(result)
      if (result.command_status !== 'RUNNING') continue
      delete result.progress
      result.command_status = 'FAILED'
      result.command_error = commandError(
        new AgentFault(
          'CommandExecutionError',
          `The agent process was restarted while ${result.command_name} was running; how far it came is not known`,
        ),
      )
      log.warn(result.command_error.details)
      this.#save(result)
    }
  }
}

/** Plain text becomes an object; conductors expect the text of asynchronous commands to begin with the name. */
function wrapText(value: unknown, command: Command, name: string): unknown {
  if (typeof value === 'string') return { result: command.kind === 'async' ? `${name}: ${value}` : value }
  return value ?? null
}

/** Over how long the rate is taken. */
const RATE_WINDOW_MS = 3_000

/** Adds start and rate to what a command reports. */
export function progressMeter(receive: (progress: Progress) => void, now: () => number = Date.now): ReportProgress {
  let phase: string | null = null
  let startedAt = ''
  let samples: { at: number; bytes: number }[] = []
  return report => {
    const at = now()
    if (report.phase !== phase) {
      phase = report.phase
      startedAt = new Date(at).toISOString()
      samples = [{ at, bytes: report.bytes }]
    }
    samples.push({ at, bytes: report.bytes })
    while (samples.length > 2 && (samples[1]?.at ?? at) < at - RATE_WINDOW_MS) samples.shift()
    const [first] = samples
    const spanMs = first === undefined ? 0 : at - first.at
    const rate = first === undefined || spanMs <= 0 ? 0 : Math.max(0, ((report.bytes - first.bytes) * 1000) / spanMs)
    receive({ ...report, rate_bytes_per_s: Math.round(rate), started_at: startedAt })
  }
}
