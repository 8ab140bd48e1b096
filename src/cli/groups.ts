/**
 * The commands of the client by their first words, and the search for the one that a command line names. The module of
 * a group is loaded when one of its commands is asked for: `ferrite node list` pays for no other.
 */
import { closest } from '#lib/closest.ts'
import { type AnyCommand, type Commands, loaded } from './command.ts'
import { UsageError } from './parse.ts'

interface Group {
  readonly about: string
  load(): Promise<Commands>
}

/** A group's words come first on the command line; the longest that fit win. The order is the one of the help. */
export const groups: Readonly<Record<string, Group>> = {
  node: {
    about: 'the machines: register, show, change, provision',
    load: async () => (await import('./node.ts')).commands,
  },
  'node power': { about: 'power on and off', load: async () => (await import('./node-power.ts')).commands },
  'node inject': { about: 'interrupts', load: async () => (await import('./node-power.ts')).inject },
  'node maintenance': {
    about: 'leave nodes to their operator',
    load: async () => (await import('./node-maintenance.ts')).commands,
  },
  'node boot': { about: 'boot device and boot mode', load: async () => (await import('./node-boot.ts')).commands },
  'node secure': { about: 'secure boot', load: async () => (await import('./node-boot.ts')).secure },
  'node console': { about: 'serial console', load: async () => (await import('./node-console.ts')).commands },
  'node trait': { about: 'traits', load: async () => (await import('./node-trait.ts')).commands },
  'node vif': { about: 'connections to networks', load: async () => (await import('./node-vif.ts')).commands },
  'node vmedia': { about: 'virtual media', load: async () => (await import('./node-vmedia.ts')).commands },
  'node indicator': { about: 'lamps', load: async () => (await import('./node-indicator.ts')).commands },
  'node bios': { about: 'BIOS settings', load: async () => (await import('./node-hardware.ts')).bios },
  'node firmware': { about: 'firmware components', load: async () => (await import('./node-hardware.ts')).firmware },
  'node inventory': {
    about: 'what inspection found',
    load: async () => (await import('./node-hardware.ts')).inventory,
  },
  'node history': { about: 'what has happened', load: async () => (await import('./node-history.ts')).commands },
  'node timeline': {
    about: 'where the time of a run went',
    load: async () => (await import('./node-timeline.ts')).timelineCommands,
  },
  'node watch': {
    about: 'how far a run is',
    load: async () => (await import('./node-timeline.ts')).watchCommands,
  },
  'node plan': { about: 'what a verb would do', load: async () => (await import('./node-plan.ts')).commands },
  'node logs': { about: "what a node's ramdisk tells", load: async () => (await import('./node-logs.ts')).commands },
  'node passthru': { about: 'vendor methods', load: async () => (await import('./node-passthru.ts')).commands },
  port: { about: 'network interfaces of nodes', load: async () => (await import('./port.ts')).commands },
  'port group': { about: 'ports that act as one', load: async () => (await import('./port-group.ts')).commands },
  'volume connector': {
    about: 'by what nodes reach volumes',
    load: async () => (await import('./volume-connector.ts')).commands,
  },
  'volume target': { about: 'volumes of nodes', load: async () => (await import('./volume-target.ts')).commands },
  allocation: { about: 'wishes for a node', load: async () => (await import('./allocation.ts')).commands },
  'deploy template': {
    about: 'deploy steps that come with a trait',
    load: async () => (await import('./deploy-template.ts')).commands,
  },
  runbook: { about: 'steps for cleaning and servicing', load: async () => (await import('./runbook.ts')).commands },
  'inspection rule': {
    about: 'what inspection does with its findings',
    load: async () => (await import('./inspection-rule.ts')).commands,
  },
  chassis: { about: 'what nodes stand in', load: async () => (await import('./chassis.ts')).commands },
  shard: { about: 'names that nodes are divided by', load: async () => (await import('./shard.ts')).commands },
  driver: { about: 'hardware types', load: async () => (await import('./driver.ts')).commands },
  conductor: { about: 'processes that work on nodes', load: async () => (await import('./conductor.ts')).commands },
  event: { about: 'what happens', load: async () => (await import('./event.ts')).commands },
  create: { about: 'register what files describe', load: async () => (await import('./create.ts')).commands },
  apply: { about: 'make nodes what a file says', load: async () => (await import('./apply.ts')).commands },
  export: { about: 'hand over to another service', load: async () => (await import('./export.ts')).commands },
  import: { about: 'take over what another service has', load: async () => (await import('./import.ts')).commands },
}

/** Older spellings of commands. */
export const aliases: Readonly<Record<string, string>> = {
  'node add trait': 'node trait add',
  'node remove trait': 'node trait remove',
}

/** Most words that a command has after its group's. */
const mostWords = 3

export interface Found {
  readonly command: AnyCommand
  /** The command's own words. */
  readonly name: string
  /** How many words of the command line they are. */
  readonly used: number
}

/** The command that the first words name; the longest match wins. */
export async function findCommand(given: readonly string[]): Promise<Found | undefined> {
  const words = withoutAlias(given)
  for (const group of groupsOf(words)) {
    const commands = await groups[group]?.load()
    const begin = group.split(' ').length
    for (let used = Math.min(words.length, begin + mostWords); commands && used >= begin; used--) {
      const verb = words.slice(begin, used).join(' ')
      const command = Object.hasOwn(commands, verb) ? commands[verb] : undefined
      if (command) return { command: await loaded(command), name: words.slice(0, used).join(' '), used }
    }
  }
  return undefined
}

/** Every command whose words begin with these: name and what it does. */
export async function commandsUnder(begin: readonly string[]): Promise<[name: string, about: string][]> {
  const prefix = begin.join(' ')
  const under = (name: string, start: string) => start === '' || name === start || name.startsWith(`${start} `)
  const found: [string, string][] = []
  for (const [group, { load }] of Object.entries(groups)) {
    if (!under(group, prefix) && !under(prefix, group)) continue
    for (const [verb, { about }] of Object.entries(await load())) {
      const name = nameOf(group, verb)
      if (under(name, prefix)) found.push([name, about])
    }
  }
  return found
}

export function nameOf(group: string, verb: string): string {
  return verb === '' ? group : `${group} ${verb}`
}

/** What to say about words that name no command. */
export async function unknownCommand(given: readonly string[]): Promise<UsageError> {
  const firstOption = given.findIndex(word => word.startsWith('-'))
  const words = firstOption < 0 ? given : given.slice(0, firstOption)
  const tried = words.slice(0, mostWords).join(' ')
  for (let known = Math.min(words.length, mostWords); known > 0; known--) {
    const start = words.slice(0, known).join(' ')
    const names = (await commandsUnder(words.slice(0, known))).map(([name]) => name)
    if (names.length === 0) continue
    const rest = names.map(name => name.slice(start.length + 1))
    if (names.length <= 8) return new UsageError(`Unknown command "${tried}": ${start} has ${rest.join(', ')}`)
    const meant = closest(words.slice(known, known + mostWords).join(' '), rest) ?? closest(words[known] ?? '', rest)
    const advice = meant ? `did you mean "${start} ${meant}"?` : `"ferrite help ${start}" lists what there is`
    return new UsageError(`Unknown command "${tried}": ${advice}`)
  }
  const meant = closest(words[0] ?? '', new Set(Object.keys(groups).map(group => group.split(' ')[0] ?? '')))
  const advice = meant ? `did you mean "${meant}"? ` : ''
  return new UsageError(`Unknown command "${tried}": ${advice}"ferrite help" lists all`)
}

function withoutAlias(words: readonly string[]): readonly string[] {
  const spelling = words.slice(0, mostWords).join(' ')
  const meant = Object.hasOwn(aliases, spelling) ? aliases[spelling] : undefined
  return meant === undefined ? words : [...meant.split(' '), ...words.slice(mostWords)]
}

/** The groups that the words begin with, the longest first. */
function groupsOf(words: readonly string[]): string[] {
  const starts = [words.slice(0, 2), words.slice(0, 1)].map(start => start.join(' '))
  return [...new Set(starts)].filter(start => Object.hasOwn(groups, start))
}
