/**
 * `npm run interop:deploy`: deploys virtual machines with the real components that each scenario names, until the
 * deployed system shows its login prompt, and prints a table. What cannot be installed here is skipped, and named.
 *
 *     npm run interop:deploy -- [--list] [NAME...]      without names: all, one after the other
 *
 * It ends with 0 only when something ran and nothing failed, and when all that was named did run.
 */
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '#lib/fault.ts'
import { whyMissing } from '../clients/packages.ts'
import type { Scenario } from './scenario.ts'
import { DeployWorld } from './world.ts'

interface Outcome {
  readonly scenario: Scenario
  readonly result: 'passed' | 'FAILED' | 'skipped'
  readonly seconds: number
  readonly notes: readonly string[]
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { list: { type: 'boolean' } } })
const known = await scenarios()
if (values.list) for (const { name, title } of known.values()) console.log(`${name.padEnd(24)} ${title}`)
else process.exitCode = await drive(positionals)

async function scenarios(): Promise<Map<string, Scenario>> {
  const found = new Map<string, Scenario>()
  for (const file of globSync(join(import.meta.dirname, 'scenarios/*.ts')).sort()) {
    const { default: scenario } = (await import(file)) as { default: Scenario } // what scenario.ts asks of such a file
    if (scenario.name !== basename(file, '.ts')) throw new Error(`${file} has the scenario ${scenario.name}`)
    found.set(scenario.name, scenario)
  }
  return found
}

/** @returns the exit status */
async function drive(names: readonly string[]): Promise<number> {
  const unknown = names.filter(name => !known.has(name))
  if (unknown.length > 0) {
    console.error(`Cannot run ${unknown.join(', ')}: the scenarios are ${[...known.keys()].join(', ')}`)
    return 2
  }
  const outcomes: Outcome[] = []
  for (const scenario of known.values()) {
    if (names.length > 0 && !names.includes(scenario.name)) continue
    console.log(`\n== ${scenario.name}: ${scenario.title}`)
    const outcome = await drove(scenario)
    console.log([outcome.result, ...outcome.notes].join('\n   '))
    outcomes.push(outcome)
  }
  console.log(`\n${table(outcomes)}`)
  const count = (result: Outcome['result']) => outcomes.filter(outcome => outcome.result === result).length
  const allNamedRan = names.length === 0 || count('skipped') === 0
  return count('passed') > 0 && count('FAILED') === 0 && allNamedRan ? 0 : 1
}

async function drove(scenario: Scenario): Promise<Outcome> {
  const began = performance.now()
  const ended = (result: Outcome['result'], notes: readonly string[]): Outcome => {
    return { scenario, result, seconds: Math.round((performance.now() - began) / 1000), notes }
  }
  if (process.geteuid?.() !== 0) return ended('skipped', ['not root: the lab needs a network namespace'])
  const missing = await whyMissing(scenario.packages)
  if (missing !== false) return ended('skipped', [missing])
  let world: DeployWorld | undefined
  try {
    world = await DeployWorld.open(scenario)
    await scenario.run(world)
    return ended('passed', world.notes)
  } catch (error) {
    console.error(error)
    if (world) console.error(await world.lab.service.lastLines(20).catch(messageOf))
    return ended('FAILED', [messageOf(error).split('\n')[0] ?? ''])
  } finally {
    await world?.close()
  }
}

function table(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ scenario, result, seconds, notes }) => {
    return `| ${scenario.name} | ${result} | ${seconds} s | ${scenario.title}; ${notes.join('; ')} |`
  })
  return ['| Scenario | Result | Time | What |', '|---|---|---|---|', ...rows].join('\n')
}
