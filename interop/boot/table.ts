/** The table of docs/boot.md: rows that were tried now take the place of theirs, the others stay. */
import { readFile, writeFile } from 'node:fs/promises'
import type { Cell, CellTimes } from './cell.ts'

const begin = '<!-- written by npm run interop:boot -->'
const end = '<!-- end -->'
const head = `| Boot interface | Firmware | BMC | From firmware to kernel | Cleaned by the agent | Login prompt | Commit |
|---|---|---|---|---|---|---|`

/** Writes a cell's row. @param order of all rows that there can be */
export async function writeRow(
  file: string,
  { cell, times, commit, order }: { cell: Cell; times: CellTimes; commit: string; order: readonly Cell[] },
): Promise<void> {
  const text = await readFile(file, 'utf8')
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${file} has no place for the table: expected ${begin} and ${end}`)
  const rows = new Map(
    text
      .slice(from, to)
      .split('\n')
      .filter(line => line.startsWith('| `'))
      .map(line => [line.split(' | ', 3).join(' | '), line]),
  )
  rows.set(key(cell), `${key(cell)} | ${cell.title} | ${times.cleanedS} s | ${times.loginS} s | ${commit} |`)
  const sorted = order.flatMap(each => rows.get(key(each)) ?? [])
  await writeFile(file, `${text.slice(0, from)}${begin}\n${[head, ...sorted].join('\n')}\n${text.slice(to)}`)
}

const key = ({ boot, firmware, bmc }: Cell) => `| \`${boot.name}\` | ${firmware} | ${bmc}`
