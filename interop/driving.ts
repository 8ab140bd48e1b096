/**
 * Runs scenarios one after the other and prints a table: what passed, what failed, what was skipped because it cannot
 * be installed here. What a scenario does is its own.
 */
import { messageOf } from '#lib/fault.ts'
import { whyMissing } from './clients/packages.ts'

/** As much of a scenario as driving needs. */
export interface Drivable {
  /** As on the command line. */
  readonly name: string
  /** What is real about it, in a line. */
  readonly title: string
  /** Debian packages; installed where that is possible, else the scenario is skipped. */
  readonly packages: readonly string[]
}

/** Thrown by a scenario that cannot run here, for a reason that only it can find out. */
export class CannotRunHere extends Error {}

interface Outcome {
  readonly scenario: Drivable
  readonly result: 'passed' | 'FAILED' | 'skipped'
  readonly seconds: number
  readonly notes: readonly string[]
}

/**
 * @param names those to run; none: all
 * @param run throws with what was seen and what was expected; returns what belongs in the scenario's line of the table
 * @returns the exit status: 0 only when something ran and nothing failed, and when all that was named did run
 */
export async function driveScenarios<Scenario extends Drivable>(
  known: ReadonlyMap<string, Scenario>,
  names: readonly string[],
  run: (scenario: Scenario) => Promise<readonly string[]>,
): Promise<number> {
  const unknown = names.filter(name => !known.has(name))
  if (unknown.length > 0) {
    console.error(`Cannot run ${unknown.join(', ')}: the scenarios are ${[...known.keys()].join(', ')}`)
    return 2
  }
  const outcomes: Outcome[] = []
  for (const scenario of known.values()) {
    if (names.length > 0 && !names.includes(scenario.name)) continue
    console.log(`\n== ${scenario.name}: ${scenario.title}`)
    const outcome = await drove(scenario, run)
    console.log([outcome.result, ...outcome.notes].join('\n   '))
    outcomes.push(outcome)
  }
  console.log(`\n${table(outcomes)}`)
  const count = (result: Outcome['result']) => outcomes.filter(outcome => outcome.result === result).length
  const allNamedRan = names.length === 0 || count('skipped') === 0
  return count('passed') > 0 && count('FAILED') === 0 && allNamedRan ? 0 : 1
}

async function drove<Scenario extends Drivable>(
  scenario: Scenario,
  run: (scenario: Scenario) => Promise<readonly string[]>,
): Promise<Outcome> {
  const began = performance.now()
  const ended = (result: Outcome['result'], notes: readonly string[]): Outcome => {
    return { scenario, result, seconds: Math.round((performance.now() - began) / 1000), notes }
  }
  if (process.geteuid?.() !== 0) return ended('skipped', ['not root: the lab needs a network namespace'])
  const missing = await whyMissing(scenario.packages)
  if (missing !== false) return ended('skipped', [missing])
  try {
    return ended('passed', await run(scenario))
  } catch (error) {
    if (error instanceof CannotRunHere) return ended('skipped', [error.message])
    console.error(error)
    return ended('FAILED', [messageOf(error).split('\n')[0] ?? ''])
  }
}

function table(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ scenario, result, seconds, notes }) => {
    return `| ${scenario.name} | ${result} | ${seconds} s | ${scenario.title}; ${notes.join('; ')} |`
  })
  return ['| Scenario | Result | Time | What |', '|---|---|---|---|', ...rows].join('\n')
}
