/**
 * The client of the public API: finds the command in the words, loads the module of its group alone, runs it, prints
 * what it shows. `node list` must answer fast from a cold start, so nothing here imports what it does not need, and no
 * schema library is loaded unless a wait needs it.
 */
import { readFile } from 'node:fs/promises'
import { closest } from '#lib/closest.ts'
import { Fault } from '#lib/fault.ts'
import { Api, type ApiSettings } from './client.ts'
import type { AnyCommand, AnyInput, Commands, Options } from './command.ts'
import { type Format, outputOptions, print } from './output.ts'
import { parse, parseLeading, UsageError } from './parse.ts'
import { describe, Reporter } from './report.ts'
import { processTerminal, type Terminal } from './terminal.ts'

/** The groups of commands and where they are; a group's words come first on the command line. */
export const groups = {
  node: { about: 'the machines', load: () => import('./node.ts') },
  port: { about: 'network interfaces of nodes', load: () => import('./port.ts') },
  driver: { about: 'hardware types', load: () => import('./driver.ts') },
  conductor: { about: 'processes that work on nodes', load: () => import('./conductor.ts') },
} satisfies Record<string, { about: string; load: () => Promise<{ commands: Commands }> }>

/** Options that every command takes. Default: the environment variable named in the text. */
export const globalOptions = {
  'os-endpoint': { takes: 'text', metavar: 'url', about: 'the API (OS_ENDPOINT); default http://127.0.0.1:6385' },
  endpoint: { takes: 'text', metavar: 'url', about: 'the same, shorter' },
  'os-endpoint-override': { takes: 'text', metavar: 'url', about: 'the same (OS_ENDPOINT_OVERRIDE)' },
  'os-baremetal-api-version': {
    takes: 'text',
    metavar: 'version',
    about: 'microversion such as 1.95 (OS_BAREMETAL_API_VERSION); default latest: the newest that both sides know',
  },
  'os-auth-type': { takes: 'text', metavar: 'type', about: 'none or http_basic (OS_AUTH_TYPE)' },
  'os-username': { takes: 'text', metavar: 'name', about: 'for http_basic (OS_USERNAME)' },
  'os-password': { takes: 'text', metavar: 'password', about: 'for http_basic (OS_PASSWORD)' },
  'os-token': { takes: 'text', metavar: 'token', about: 'a token to send as it is (OS_TOKEN)' },
  'os-cacert': { takes: 'text', metavar: 'file', about: 'certificates to trust (OS_CACERT)' },
  'os-cert': { takes: 'text', metavar: 'file', about: 'client certificate (OS_CERT)' },
  'os-key': { takes: 'text', metavar: 'file', about: 'key of the client certificate (OS_KEY)' },
  insecure: { takes: 'nothing', about: 'accept any certificate' },
  timeout: { takes: 'number', metavar: 'seconds', about: 'how long the API may stay silent; default 120' },
  'max-retries': { takes: 'number', about: 'further tries after a conflict or refused connection; default 5' },
  'retry-interval': { takes: 'number', metavar: 'seconds', about: 'time between tries; default 2' },
  debug: { takes: 'nothing', about: 'show requests, and stack traces of errors' },
  help: { takes: 'nothing', short: 'h', about: 'show help' },
  version: { takes: 'nothing', about: 'show the version' },
} satisfies Options

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
  const { command, used } = await findCommand(words)
  if (!command || wantsHelp) {
    if (!command && !wantsHelp) throw await unknown(words)
    return await showHelp(
      words.filter(word => !word.startsWith('-')),
      terminal,
    )
  }
  const extra: Options = command.shows ? { ...globalOptions, ...outputOptions[command.shows] } : globalOptions
  const input = parse(command, [...taken, ...words.slice(used)], extra)
  const reporter = new Reporter(terminal.err)
  const api = new Api(await settings(input.options as GlobalValues, terminal, reporter)) // parsed by globalOptions
  const output = await command.run(input, { api, terminal, reporter })
  if (output) await print(output, formatOf(input), terminal)
  return 0
}

/** The command that the first words name, and how many they are; the longest match wins. */
export async function findCommand(
  words: readonly string[],
): Promise<{ command?: AnyCommand; commands?: Commands; used: number }> {
  for (const groupLength of [2, 1]) {
    const name = words.slice(0, groupLength).join(' ')
    if (!Object.hasOwn(groups, name)) continue
    const { commands }: { commands: Commands } = await groups[name as keyof typeof groups].load() // own key, checked
    for (let used = Math.min(words.length, groupLength + 3); used > groupLength; used--) {
      const verb = words.slice(groupLength, used).join(' ')
      const command = Object.hasOwn(commands, verb) ? commands[verb] : undefined
      if (command) return { command, commands, used }
    }
    return { commands, used: groupLength }
  }
  return { used: 0 }
}

async function unknown(words: readonly string[]): Promise<UsageError> {
  const { commands, used } = await findCommand(words)
  const tried = words
    .filter(word => !word.startsWith('-'))
    .slice(0, 3)
    .join(' ')
  if (!commands) return new UsageError(`Unknown command "${tried}": "ferrite help" lists all`)
  const group = words.slice(0, used).join(' ')
  const verbs = Object.keys(commands)
  const alike = verbs.filter(verb => verb.split(' ')[0] === words[used])
  if (alike.length > 0) return new UsageError(`Unknown command "${tried}": ${group} has ${alike.join(', ')}`)
  const meant = closest(words.slice(used).join(' '), verbs)
  const advice = meant ? `did you mean "${group} ${meant}"?` : `"ferrite help ${group}" lists what there is`
  return new UsageError(`Unknown command "${tried}": ${advice}`)
}

async function showHelp(words: readonly string[], terminal: Terminal): Promise<number> {
  const { help } = await import('./help.ts')
  terminal.out.write(await help(words))
  return 0
}

async function showVersion(terminal: Terminal): Promise<number> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { version: string } // our own package.json
  terminal.out.write(`ferrite ${version}\n`)
  return 0
}

function formatOf({ options }: AnyInput): Format {
  return options as Format // parsed by outputOptions, from which Format is written
}

type GlobalValues = { readonly [K in keyof typeof globalOptions]?: string | number | true }

/** How to reach the API: the options given, else the environment. @throws UsageError */
export async function settings(
  options: GlobalValues,
  terminal: Pick<Terminal, 'env' | 'sleep'>,
  reporter: Pick<Reporter, 'notice'>,
): Promise<ApiSettings> {
  const { env } = terminal
  const text = (name: keyof typeof globalOptions, variable: string) => {
    const value = options[name] ?? (env[variable] || undefined)
    return value === undefined ? undefined : String(value)
  }
  const file = async (name: keyof typeof globalOptions, variable: string) => {
    const path = text(name, variable)
    return path === undefined ? undefined : await readable(path, `--${name}`)
  }
  const version = text('os-baremetal-api-version', 'OS_BAREMETAL_API_VERSION') ?? 'latest'
  if (!/^(latest|1(\.\d+)?)$/.test(version)) {
    throw new UsageError(`Wrong API version "${version}": expected latest or a microversion such as 1.95`)
  }
  const number = (name: 'timeout' | 'max-retries' | 'retry-interval', fallback: number) => {
    const value = Number(options[name] ?? fallback)
    if (value < 0) throw new UsageError(`Option --${name} needs 0 or more, found ${value}`)
    return value
  }
  return {
    endpoint:
      options.endpoint !== undefined
        ? String(options.endpoint)
        : (text('os-endpoint', 'OS_ENDPOINT') ??
          text('os-endpoint-override', 'OS_ENDPOINT_OVERRIDE') ??
          'http://127.0.0.1:6385'),
    version,
    headers: authHeaders(text),
    timeoutMs: number('timeout', 120) * 1000,
    maxRetries: number('max-retries', 5),
    retryIntervalMs: number('retry-interval', 2) * 1000,
    tls: {
      insecure: options.insecure === true,
      ca: await file('os-cacert', 'OS_CACERT'),
      cert: await file('os-cert', 'OS_CERT'),
      key: await file('os-key', 'OS_KEY'),
    },
    sleep: ms => terminal.sleep(ms),
    notice: line => reporter.notice(line),
    ...(options.debug && { trace: line => reporter.notice(line) }),
  }
}

function authHeaders(text: (name: keyof typeof globalOptions, variable: string) => string | undefined) {
  const token = text('os-token', 'OS_TOKEN')
  if (token !== undefined) return { 'X-Auth-Token': token }
  const type = text('os-auth-type', 'OS_AUTH_TYPE') ?? 'none'
  if (type === 'none') return {}
  const name = text('os-username', 'OS_USERNAME')
  const password = text('os-password', 'OS_PASSWORD')
  if (type !== 'http_basic')
    throw new UsageError(`Cannot log in with "${type}": expected none or http_basic, or a token`)
  if (name === undefined || password === undefined) {
    throw new UsageError('Cannot log in with http_basic: OS_USERNAME and OS_PASSWORD (or their options) are missing')
  }
  return { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` }
}

async function readable(path: string, option: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: Error) => {
    throw new UsageError(`Cannot read the file of ${option}: ${error.message}`)
  })
}
