/** Which commands of the client are not driven, and why; and the sum of what was. Values and text only. */
import type { RecordedCommand } from './baremetal.ts'

const nothingServed = /Nothing is served at \/v1\/\S+ \(HTTP 404\)/
const id = '4b6f3f5c-93a3-4ae9-8c3a-0d2c9b4bb0a1'

interface Absent {
  /** Arguments that the client accepts, so that it asks the service. */
  readonly words: string
  readonly says: RegExp
}

function resource(name: string, words: Readonly<Record<string, string>>): Record<string, Absent> {
  const entries = Object.entries(words)
  return Object.fromEntries(entries.map(([verb, more]) => [`${name} ${verb}`, { words: more, says: nothingServed }]))
}

const steps = '[{"interface":"deploy","step":"x","args":{},"priority":1}]'
const target = `--node ${id} --type iscsi`

/** Commands of what the service does not have yet. All of them act on a node called n1, which is manageable. */
export const absent: Readonly<Record<string, Absent>> = {
  ...resource('allocation', {
    create: '--resource-class x',
    delete: id,
    list: '',
    set: `${id} --name x`,
    show: id,
    unset: `${id} --name`,
  }),
  ...resource('chassis', {
    create: '',
    delete: id,
    list: '',
    set: `${id} --description x`,
    show: id,
    unset: `${id} --description`,
  }),
  ...resource('deploy template', {
    create: `CUSTOM_X --steps ${steps}`,
    delete: id,
    list: '',
    set: `${id} --name CUSTOM_Y`,
    show: id,
    unset: `${id} --extra x`,
  }),
  ...resource('port group', {
    create: `--node ${id}`,
    delete: id,
    list: '',
    set: `${id} --name x`,
    show: id,
    unset: `${id} --name`,
  }),
  ...resource('volume connector', {
    create: `--node ${id} --type iqn --connector-id x`,
    delete: id,
    list: '',
    set: `${id} --type ip`,
    show: id,
    unset: `${id} --extra x`,
  }),
  ...resource('volume target', {
    create: `${target} --boot-index 0 --volume-id x`,
    delete: id,
    list: '',
    set: `${id} --type x`,
    show: id,
    unset: `${id} --extra x`,
  }),
  ...resource('driver', { 'passthru call': 'redfish x', 'passthru list': 'redfish', 'raid property list': 'redfish' }),
  ...resource('node', {
    'add trait': 'n1 CUSTOM_X',
    'remove trait': 'n1 CUSTOM_X',
    'trait list': 'n1',
    'bios setting list': 'n1',
    'bios setting show': 'n1 x',
    'boot mode set': 'n1 uefi',
    'secure boot on': 'n1',
    'secure boot off': 'n1',
    'console enable': 'n1',
    'console disable': 'n1',
    'console show': 'n1',
    'passthru call': 'n1 x',
    'passthru list': 'n1',
    'vif attach': 'n1 x',
    'vif detach': 'n1 x',
    'vif list': 'n1',
  }),
  'node adopt': { words: 'n1', says: /adopt.*\(HTTP 4\d\d\)/is },
  'node rescue': { words: 'n1 --rescue-password x', says: /rescue.*\(HTTP 4\d\d\)/is },
  'node unrescue': { words: 'n1', says: /unrescue.*\(HTTP 4\d\d\)/is },
}

/** Commands that ask no service. */
const withoutService = ['complete', 'help']

export interface Coverage {
  /** Commands that did what they should, at least once, with the number of times. */
  readonly driven: ReadonlyMap<string, number>
  /** Asked for, and told that it is not there. */
  readonly refused: readonly string[]
  readonly withoutService: readonly string[]
  /** Nothing is known of these: the client has learned a command. */
  readonly untried: readonly string[]
}

/** @param commands all of the client's, as `commandsOf` reads them */
export function coverageOf(commands: readonly string[], record: readonly RecordedCommand[]): Coverage {
  const longestFirst = commands.toSorted((a, b) => b.length - a.length)
  const driven = new Map<string, number>()
  const tried = new Set<string>()
  for (const { words, status } of record) {
    const line = `${words.join(' ')} `
    const command = longestFirst.find(name => line.startsWith(`${name} `))
    if (command === undefined) continue
    tried.add(command)
    if (status === 0) driven.set(command, (driven.get(command) ?? 0) + 1)
  }
  const rest = commands.filter(name => !driven.has(name) && !withoutService.includes(name))
  return {
    driven,
    refused: rest.filter(name => tried.has(name) && name in absent),
    withoutService: commands.filter(name => withoutService.includes(name)),
    untried: rest.filter(name => !(tried.has(name) && name in absent)),
  }
}

/** The commands in the text of `baremetal --help`, in its order. */
export function commandsOf(help: string): string[] {
  const [, list = ''] = help.split('\nCommands:\n')
  return list.split('\n').flatMap(line => /^ {2}([a-z][a-z ]*?)(?: {2,}|$)/.exec(line)?.[1] ?? [])
}

export function coverageText({ driven, refused, withoutService, untried }: Coverage): string {
  const block = (title: string, names: readonly string[]) => `${title} (${names.length}):\n${wrapped(names)}\n`
  const times = [...driven].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ×${count}`)
  return [
    block('Commands that were driven, and how often they succeeded', times),
    block('Commands of what the service does not have yet; each was told so with 4xx', refused),
    block('Commands that ask no service', withoutService),
    ...(untried.length === 0 ? [] : [block('Commands that nothing is known of', untried)]),
  ].join('\n')
}

function wrapped(names: readonly string[]): string {
  const lines: string[] = []
  for (const name of names) {
    const last = lines.at(-1)
    if (last !== undefined && `${last}, ${name}`.length < 110) lines[lines.length - 1] = `${last}, ${name}`
    else lines.push(`  ${name}`)
  }
  return lines.join(',\n')
}
