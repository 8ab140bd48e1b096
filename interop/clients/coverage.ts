/** Which commands of the client no test can drive, and the sum of what was driven. */
import { readFileSync } from 'node:fs'
import type { RecordedCommand } from './baremetal.ts'

/** Commands that nobody can drive, and why. */
const notDrivable: Readonly<Record<string, string>> = {
  complete: 'asks no service',
  help: 'asks no service',
}

export interface Coverage {
  /** Commands that tests drove, with the number of times they succeeded in each run. */
  readonly driven: ReadonlyMap<string, readonly number[]>
  /** The service said that it has no such thing, and that is the honest answer: by its words. */
  readonly refused: ReadonlyMap<string, string>
  readonly notDrivable: ReadonlyMap<string, string>
  /** Did not succeed in one of the runs: the client has learned a command, or a test did not run. */
  readonly untried: readonly string[]
}

/**
 * @param commands all of the client's, as `commandsOf` reads them
 * @param records of all runs
 */
export function coverageOf(commands: readonly string[], records: readonly (readonly RecordedCommand[])[]): Coverage {
  const longestFirst = commands.toSorted((a, b) => b.length - a.length)
  const driven = new Map<string, number[]>()
  const refused = new Map<string, string>()
  for (const [run, record] of records.entries()) {
    for (const one of record) {
      const line = `${one.words.join(' ')} `
      const command = longestFirst.find(name => line.startsWith(`${name} `))
      if (command === undefined) continue
      if (one.refusal !== undefined) refused.set(command, one.refusal)
      if (one.status !== 0) continue
      const counts = driven.get(command) ?? records.map(() => 0)
      counts[run] = (counts[run] ?? 0) + 1
      driven.set(command, counts)
    }
  }
  const done = (name: string) => driven.get(name)?.every(count => count > 0) === true
  for (const name of driven.keys()) refused.delete(name)
  return {
    driven,
    refused,
    notDrivable: new Map(Object.entries(notDrivable).filter(([name]) => commands.includes(name))),
    untried: commands.filter(name => !done(name) && !refused.has(name) && !(name in notDrivable)),
  }
}

/** Reads what baremetal.ts wrote. */
export function readRecord(file: string): RecordedCommand[] {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  return lines.map(line => JSON.parse(line) as RecordedCommand) // written by baremetal.ts
}

export function coverageText({ driven, refused, notDrivable, untried }: Coverage): string {
  const times = [...driven].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, counts]) => `${name} ${counts.join('/')}`)
  const reasons = (named: ReadonlyMap<string, string>) => [...named].map(([name, why]) => `${name} (${why})`)
  const blocks: [title: string, names: readonly string[]][] = [
    ['Driven, and how often they succeeded in each', times],
    ['Asked, and refused because this hardware or version has no such thing', reasons(refused)],
    ['Not driven, and why', reasons(notDrivable)],
    ['NOT DRIVEN', untried],
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
