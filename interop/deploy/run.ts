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
import { driveScenarios } from '../driving.ts'
import type { Scenario } from './scenario.ts'
import { DeployWorld } from './world.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { list: { type: 'boolean' } } })
const known = await scenarios()
if (values.list) for (const { name, title } of known.values()) console.log(`${name.padEnd(24)} ${title}`)
else process.exitCode = await driveScenarios(known, positionals, drove)

async function scenarios(): Promise<Map<string, Scenario>> {
  const found = new Map<string, Scenario>()
  for (const file of globSync(join(import.meta.dirname, 'scenarios/*.ts')).sort()) {
    const { default: scenario } = (await import(file)) as { default: Scenario } // what scenario.ts asks of such a file
    if (scenario.name !== basename(file, '.ts')) throw new Error(`${file} has the scenario ${scenario.name}`)
    found.set(scenario.name, scenario)
  }
  return found
}

async function drove(scenario: Scenario): Promise<readonly string[]> {
  const world = await DeployWorld.open(scenario)
  try {
    await scenario.run(world)
    return world.notes
  } catch (error) {
    console.error(await world.lab.service.lastLines(20).catch(messageOf))
    throw error
  } finally {
    await world.close()
  }
}
