/**
 * The client of the public API: finds the command in the words, loads the module of its group alone, runs it, prints
 * what it shows. `node list` must answer fast from a cold start, so nothing here imports what it does not need, and no
 * schema library is loaded unless a wait needs it.
 */
import { Fault } from '#lib/fault.ts'
import { Api } from './client.ts'
import type { AnyInput, Options } from './command.ts'
import { apiSettings, type GlobalValues, globalOptions } from './global-options.ts'
import { findCommand, unknownCommand } from './groups.ts'
import { type Format, outputOptions, print } from './output.ts'
import { parse, parseLeading, UsageError } from './parse.ts'
import { describe, Reporter } from './report.ts'
import { processTerminal, type Terminal } from './terminal.ts'

export async function main(argv: string[]): Promise<number> {
  return await run(argv, processTerminal())
}

/** The client against any terminal. @returns the exit status: 0, 1 for a failure, 2 for a wrong command line */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(argv, terminal)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    terminal.err.write(`${describe(error)}\n`)
    if (argv.includes('--debug')) terminal.err.write(`${error.stack}\n`)
    if (error.code === 'interrupted') return 130
    return error instanceof UsageError ? 2 : 1
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { taken, at } = parseLeading(argv, globalOptions)
  const words = argv.slice(at)
  if (taken.includes('--version') || words[0] === 'version') return await showVersion(terminal)
  const wantsHelp = [...taken, ...words].some(word => word === '--help' || word === '-h')
  if (words.length === 0 || words[0] === 'help') return await showHelp(words.slice(1), terminal)
  if (words[0] === 'completion') {
    const { completion } = await import('./completion.ts')
    terminal.out.write(await completion(words[1]))
    return 0
  }
  if (wantsHelp) return await showHelp(words, terminal)
  const found = await findCommand(words)
  if (!found) throw await unknownCommand(words)
  const { command, used } = found
  const extra: Options = command.shows ? { ...globalOptions, ...outputOptions[command.shows] } : globalOptions
  const input = parse(command, [...taken, ...words.slice(used)], extra)
  const reporter = new Reporter(terminal.err)
  const api = new Api(await apiSettings(input.options as GlobalValues, terminal, reporter)) // parsed by globalOptions
  const output = await command.run(input, { api, terminal, reporter })
  if (output) await print(output, formatOf(input), terminal)
  if (output?.failure) throw output.failure
  return 0
}

async function showHelp(words: readonly string[], terminal: Terminal): Promise<number> {
  const { help } = await import('./help.ts')
  terminal.out.write(await help(words.filter(word => !word.startsWith('-'))))
  return 0
}

async function showVersion(terminal: Terminal): Promise<number> {
  const { default: metadata } = await import('../../package.json', { with: { type: 'json' } })
  const { version } = metadata
  terminal.out.write(`ferrite ${version}\n`)
  return 0
}

function formatOf({ options }: AnyInput): Format {
  return options as Format // parsed by outputOptions, from which Format is written
}
