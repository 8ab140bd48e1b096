/**
 * `npm run interop:agent`: a stock Ironic works with our agent, and our conductor with the stock agent. Each scenario
 * inspects, cleans and deploys a virtual machine, and the end is looked at on its disk and its console. What cannot be
 * had here is skipped, and named.
 *
 *     npm run interop:agent -- [--list] [NAME...]      without names: all, one after the other
 */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { driveScenarios } from '../driving.ts'
import type { Scenario } from './scenario.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { list: { type: 'boolean' } } })
const known = new Map<string, Scenario>()
for (const file of globSync(join(import.meta.dirname, 'scenarios/*.ts')).sort()) {
  const { default: scenario } = (await import(file)) as { default: Scenario } // what scenario.ts asks of such a file
  known.set(scenario.name, scenario)
}
if (values.list) for (const { name, title } of known.values()) console.log(`${name.padEnd(24)} ${title}`)
else process.exitCode = await driveScenarios(known, positionals, scenario => scenario.run())
