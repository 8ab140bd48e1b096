/** Which commands of the client no test drives, and the sum of what was driven. Values and text only. */
import type { RecordedCommand } from './baremetal.ts'

const id = '4b6f3f5c-93a3-4ae9-8c3a-0d2c9b4bb0a1'

/** A command per verb, with arguments that the client accepts, so that it asks the service. */
function resource(name: string, words: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(words).map(([verb, more]) => [`${name} ${verb}`, more]))
}

const steps = '[{"interface":"deploy","step":"x","args":{},"priority":1}]'
const target = `--node ${id} --type iscsi`

/**
 * Commands that no test drives, with arguments: most are of what the service does not have yet. Whoever adds a resource
 * drives its commands in a test, and removes them here. Node n1 is manageable, active-1 is active.
 */
export const undriven: Readonly<Record<string, string>> = {
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
  ...resource('node', { adopt: 'n1', rescue: 'active-1 --rescue-password x', unrescue: 'active-1' }),
}

/** Commands that ask no service. */
const withoutService = ['complete', 'help']

export interface Coverage {
  /** Commands that tests drove, with the number of times they succeeded. */
  readonly driven: ReadonlyMap<string, number>
  /** Asked once and answered, but no test drives them. */
  readonly answered: readonly string[]
  /** Asked once; the service said that it does not have this. */
  readonly absent: readonly string[]
  readonly withoutService: readonly string[]
  /** Nobody asked: the client has learned a command, or a test did not run. */
  readonly untried: readonly string[]
}

/** @param commands all of the client's, as `commandsOf` reads them */
export function coverageOf(commands: readonly string[], record: readonly RecordedCommand[]): Coverage {
  const longestFirst = commands.toSorted((a, b) => b.length - a.length)
  const driven = new Map<string, number>()
  const probes = new Map<string, RecordedCommand>()
  for (const one of record) {
    const line = `${one.words.join(' ')} `
    const command = longestFirst.find(name => line.startsWith(`${name} `))
    if (command === undefined) continue
    if (one.probe) probes.set(command, one)
    else if (one.status === 0) driven.set(command, (driven.get(command) ?? 0) + 1)
  }
  const rest = commands.filter(name => !driven.has(name) && !withoutService.includes(name))
  return {
    driven,
    answered: rest.filter(name => probes.get(name)?.absent === false),
    absent: rest.filter(name => probes.get(name)?.absent === true),
    withoutService: commands.filter(name => withoutService.includes(name)),
    untried: rest.filter(name => !probes.has(name)),
  }
}

/** The commands in the text of `baremetal --help`, in its order. */
export function commandsOf(help: string): string[] {
  const [, list = ''] = help.split('\nCommands:\n')
  return list.split('\n').flatMap(line => /^ {2}([a-z][a-z ]*?)(?: {2,}|$)/.exec(line)?.[1] ?? [])
}

export function coverageText({ driven, answered, absent, withoutService, untried }: Coverage): string {
  const times = [...driven].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ×${count}`)
  const blocks: [title: string, names: readonly string[]][] = [
    ['Driven, and how often they succeeded', times],
    ['Asked once and answered, but not driven', answered],
    ['Not there yet; the service said so with 4xx', absent],
    ['Ask no service', withoutService],
    ['Never asked', untried],
  ]
  const shown = blocks.filter(([, names]) => names.length > 0)
  return shown.map(([title, names]) => `${title} (${names.length}):\n${wrapped(names)}\n`).join('\n')
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
