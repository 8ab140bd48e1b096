/** `ferrite help ...` and --help: everything is read off the declarations; no command has a help text of its own. */
import type { AnyCommand, Option, Options, Positionals } from './command.ts'
import { globalOptions } from './global-options.ts'
import { commandsUnder, findCommand, groups, unknownCommand } from './groups.ts'
import { outputOptions } from './output.ts'
import { metavar } from './parse.ts'

/** The commands that run parts of the service; main.ts of the source folder has them, each with its own --help. */
export const serviceCommands = {
  serve: 'run the service: API, conductor, boot and image server',
  config: 'explain the configuration options',
  backup: 'write database and keys into an archive, while the service runs',
  restore: 'put them back from an archive',
  ramdisk: 'build the ramdisk that runs on nodes',
  iso: 'make a bootable ISO of that ramdisk',
  lab: 'virtual machines with BMCs to try things on',
  demo: 'take a virtual machine from power-off to a login prompt',
  dev: 'the service with three simulated machines',
  sim: 'take a fleet of simulated machines through a service, and measure it',
} as const

const lineWidth = 100

/** @param words of a command, of the beginning of several, or nothing */
export async function help(words: readonly string[]): Promise<string> {
  if (words.length === 0) return overview()
  const name = words.join(' ')
  if (Object.hasOwn(serviceCommands, name)) return `See ferrite ${name} --help.\n`
  const found = await findCommand(words)
  if (found) return commandHelp(found.name, found.command)
  const some = await commandsUnder(words)
  if (some.length === 0) throw await unknownCommand(words)
  return `Commands of ferrite ${name}:\n\n${columns(some)}\nArguments and options: ferrite help COMMAND\n`
}

function overview(): string {
  const about = Object.entries(groups).filter(([name]) => !name.startsWith('node '))
  return [
    'Usage: ferrite [option ...] COMMAND ...\n\n',
    'The service:\n',
    columns(Object.entries(serviceCommands)),
    '\nIts client:\n',
    columns(about.map(([name, group]) => [name, group.about])),
    columns([
      ['help GROUP', 'the commands of a group, such as node or port group'],
      ['help COMMAND', 'arguments and options of a command'],
      ['completion bash|zsh|fish', 'completion for the shell, to be sourced'],
    ]),
    '\nOptions of all commands of the client; the environment has them as OS_AUTH_URL for --os-auth-url:\n',
    columns(optionRows(globalOptions)),
  ].join('')
}

function commandHelp(words: string, command: AnyCommand): string {
  const own = command.options
  const output = command.shows ? outputOptions[command.shows] : undefined
  const usage = [
    `ferrite ${words}`,
    ...usageOptions(own),
    ...(output ? ['[output option ...]'] : []),
    ...usageArguments(command.args),
  ]
  return [
    `Usage: ${wrapWords(usage, { begin: 'Usage: '.length, indent: `Usage: ferrite ${words} `.length })}\n\n${command.about}.\n`,
    ...section('Arguments', argumentRows(command.args)),
    ...section('Options', optionRows(own)),
    ...(output ? section('Output options', optionRows(output)) : []),
    '\nOptions of all commands: ferrite help\n',
  ].join('')
}

function section(title: string, rows: [string, string][]): string[] {
  return rows.length === 0 ? [] : [`\n${title}:\n`, columns(rows)]
}

function usageOptions(options: Options): string[] {
  const seen = new Set<string>()
  return Object.entries(options).flatMap(([name, option]) => {
    if (option.group === undefined) return [option.required ? spelling(name, option) : `[${spelling(name, option)}]`]
    if (seen.has(option.group)) return []
    seen.add(option.group)
    const rivals = Object.entries(options).filter(([, { group }]) => group === option.group)
    return [`[${rivals.map(([rival, it]) => spelling(rival, it)).join(' | ')}]`]
  })
}

function usageArguments(args: Positionals): string[] {
  return Object.entries(args).map(([name, argument]) => {
    const word = metavar(name, argument.metavar)
    const repeated = argument.many ? `${word} [${word} ...]` : word
    return argument.optional ? `[${argument.many ? `${word} ...` : word}]` : repeated
  })
}

function spelling(name: string, option: Option): string {
  const value = metavar(name, option.metavar)
  const values = {
    nothing: '',
    text: ` ${value}`,
    number: ` ${value}`,
    repeat: ` ${value}`,
    words: ` ${value} [${value} ...]`,
    'number?': ` [${value}]`,
    'yes?': ` [${value}]`,
  }
  return `--${name}${values[option.takes]}`
}

function argumentRows(args: Positionals): [string, string][] {
  return Object.entries(args).map(([name, { metavar: given, about }]) => [metavar(name, given), about])
}

function optionRows(options: Options): [string, string][] {
  return Object.entries(options).map(([name, option]) => {
    const short = option.short ? `-${option.short}, ` : ''
    const choices = option.choices ? ` (${option.choices.join(', ')})` : ''
    return [short + spelling(name, option), `${option.about}${choices}${option.required ? '; required' : ''}`]
  })
}

/** Two columns; a left side that is too long gets a line of its own. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const left = 30
  return rows
    .map(([name, about]) => {
      const text = wrapWords(about.split(' '), { begin: left + 4, indent: left + 4 })
      return name.length > left ? `  ${name}\n${' '.repeat(left + 4)}${text}\n` : `  ${name.padEnd(left)}  ${text}\n`
    })
    .join('')
}

/** Joins words into lines. The first line already has `begin` columns; the others are indented. */
function wrapWords(words: readonly string[], { begin, indent }: { begin: number; indent: number }): string {
  const margin = Math.min(indent, 36)
  let text = ''
  let used = begin
  for (const [at, word] of words.entries()) {
    const fits = used + word.length + 1 <= lineWidth
    if (at > 0) text += fits ? ' ' : `\n${' '.repeat(margin)}`
    if (at > 0) used = fits ? used + 1 : margin
    text += word
    used += word.length
  }
  return text
}
