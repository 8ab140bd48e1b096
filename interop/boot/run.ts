/**
 * `npm run interop:boot`: boots a lab machine by each boot interface, on each kind of firmware and over each BMC protocol
 * that there is, and writes what it took into the table of docs/boot.md.
 *
 *     npm run interop:boot -- [--list] [CELL...]      without names: all, one after the other
 *
 * A cell is named like `pxe/secure/redfish`. A new boot interface is a file of ways/, a new kind of firmware a line of
 * firmware.ts, a new BMC protocol a line of bmcs.ts. It ends with 0 only when something ran and nothing failed.
 */
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { run } from '#lib/run.ts'
import { driveScenarios } from '../driving.ts'
import { type Cell, cellsOf, tryCell } from './cell.ts'
import { writeRow } from './table.ts'
import type { Way } from './way.ts'

const page = join(import.meta.dirname, '../../docs/boot.md')

const { values, positionals } = parseArgs({ allowPositionals: true, options: { list: { type: 'boolean' } } })
const cells = cellsOf(await ways())
const known = new Map(cells.map(cell => [cell.name, cell]))
if (values.list) for (const { name, title } of cells) console.log(`${name.padEnd(28)} ${title}`)
else process.exitCode = await driveScenarios(known, positionals, drove)

async function ways(): Promise<Way[]> {
  const found: Way[] = []
  for (const file of globSync(join(import.meta.dirname, 'ways/*.ts')).sort()) {
    const { default: way } = (await import(file)) as { default: Way } // what way.ts asks of such a file
    if (way.name !== basename(file, '.ts')) throw new Error(`${file} has the way ${way.name}`)
    found.push(way)
  }
  return found
}

async function drove(cell: Cell): Promise<readonly string[]> {
  const commit = (await run('git', ['-C', import.meta.dirname, 'rev-parse', '--short', 'HEAD'])).stdout.trim()
  const times = await tryCell(cell)
  await writeRow(page, { cell, times, commit, order: cells })
  return [`cleaned after ${times.cleanedS} s, login prompt after ${times.loginS} s`]
}
