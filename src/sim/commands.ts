/**
 * The command record of a simulated agent: one command at a time, all of them remembered, oldest first. It lives as
 * long as the agent's boot and knows neither HTTP nor what a command does.
 *
 * Source: openstack/ironic-python-agent `extensions/base.py`.
 */
import { randomUUID } from 'node:crypto'
import { messageOf } from '#lib/fault.ts'
import type { CommandRequest, CommandResult, Progress } from '#protocol/agent.ts'

/** An error under the name that conductors know. */
export class SimAgentError extends Error {
  readonly type: string
  readonly status: number

  constructor(type: string, details: string, status = 500) {
    super(details)
    this.type = type
    this.status = status
  }
}

/** The hardware managers are not those that the steps were listed with. */
export class VersionsDiffer extends SimAgentError {
  constructor(details: string) {
    super('VersionMismatch', details, 409)
  }
}

export type Report = (progress: Progress) => void

export interface Command {
  /** `sync`: answered when it is done. */
  kind: 'sync' | 'async'
  run(params: Record<string, unknown>, report: Report): Promise<unknown>
}

/** By full name: `standby.sync`. */
export type CommandSet = Readonly<Record<string, Command>>

export class Commands {
  readonly #set: CommandSet
  readonly #onAsyncEnd: () => void
  readonly #results: CommandResult[] = []
  readonly #running = new Map<string, Promise<void>>()

  constructor(set: CommandSet, onAsyncEnd: () => void) {
    this.#set = set
    this.#onAsyncEnd = onAsyncEnd
  }

  list(): readonly CommandResult[] {
    return this.#results
  }

  find(id: string): CommandResult | undefined {
    return this.#results.find(result => result.id === id)
  }

  /** Does a command run that is not waited for? */
  get isWorking(): boolean {
    return this.#running.size > 0
  }

  /** Resolves when the command is done. */
  async ended(id: string): Promise<void> {
    await this.#running.get(id)
  }

  /** @throws SimAgentError when the command was not started; what goes wrong later stands in the result */
  async start({ name, params }: CommandRequest): Promise<CommandResult> {
    const last = this.#results.at(-1)
    if (last?.command_status === 'RUNNING') {
      throw new SimAgentError('AgentIsBusy', `Agent is busy: executing command ${last.command_name}`, 409)
    }
    const command = Object.hasOwn(this.#set, name) ? this.#set[name] : undefined
    if (command === undefined) throw unknownCommand(name, this.#set)
    const result: CommandResult = {
      id: randomUUID(),
      command_name: name.slice(name.indexOf('.') + 1),
      command_status: 'RUNNING',
      command_error: null,
      command_result: null,
    }
    this.#results.push(result)
    const work = this.#finish(command, params, result)
    if (command.kind === 'sync') {
      await work
      if (result.command_status !== 'SUCCEEDED') result.command_name = name
    } else {
      const ended = work.then(() => {
        this.#running.delete(result.id)
        this.#onAsyncEnd()
      })
      this.#running.set(result.id, ended)
    }
    return result
  }

  async #finish(command: Command, params: Record<string, unknown>, result: CommandResult): Promise<void> {
    try {
      const value = await command.run(params, progress => {
        result.progress = progress
      })
      result.command_result = value ?? null
      result.command_status = 'SUCCEEDED'
    } catch (error) {
      const { type, status } = error instanceof SimAgentError ? error : new SimAgentError('CommandExecutionError', '')
      result.command_status = error instanceof VersionsDiffer ? 'CLEAN_VERSION_MISMATCH' : 'FAILED'
      result.command_error = { type, code: status, message: 'The simulated agent failed', details: messageOf(error) }
    }
    delete result.progress
  }
}

function unknownCommand(name: string, set: CommandSet): SimAgentError {
  const extension = name.split('.')[0]
  if (name.includes('.') && !Object.keys(set).some(known => known.startsWith(`${extension}.`))) {
    const text = `Not found: Extension with id ${extension} not found.`
    return new SimAgentError('RequestedObjectNotFoundError', text, 404)
  }
  return new SimAgentError('InvalidCommandError', `Invalid command: ${name}`, 400)
}
