/**
 * A firmware's boot list for tests: a program `efibootmgr` that keeps its entries in a file, prints them as the real one
 * does, and like it puts new ones first.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface FakeFirmware {
  /** To be put before PATH. */
  folder: string
  /** Entries in the order in which they would be tried: `debian \EFI\debian\shimx64.efi on /dev/loop0 1`. */
  entries(): string[]
  set(entries: { label: string; where: string }[]): void
}

export function fakeFirmware(parent: string): FakeFirmware {
  const folder = join(parent, 'efibootmgr-bin')
  const state = join(folder, 'entries.json')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'efibootmgr'), `#!${process.execPath}\n${program(state)}`)
  chmodSync(join(folder, 'efibootmgr'), 0o755)
  const read = (): { label: string; where: string }[] =>
    existsSync(state) ? JSON.parse(readFileSync(state, 'utf8')) : []
  return {
    folder,
    entries: () => read().map(({ label, where }) => `${label} ${where}`),
    set: entries =>
      writeFileSync(state, JSON.stringify(entries.map((entry, index) => ({ ...entry, number: digits(index) })))),
  }
}

const digits = (number: number) => number.toString(16).toUpperCase().padStart(4, '0')

const program = (state: string) => `
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const { parseArgs } = require('node:util')
const state = ${JSON.stringify(state)}
const entries = existsSync(state) ? JSON.parse(readFileSync(state, 'utf8')) : []
const text = { type: 'string' }
const flag = { type: 'boolean' }
const { values } = parseArgs({
  options: {
    verbose: { ...flag, short: 'v' }, create: { ...flag, short: 'c' }, disk: { ...text, short: 'd' },
    part: { ...text, short: 'p' }, sign: { ...flag, short: 'w' }, label: { ...text, short: 'L' },
    loader: { ...text, short: 'l' }, bootnum: { ...text, short: 'b' }, delete: { ...flag, short: 'B' },
  },
})
if (values.create) {
  let number = 0
  const taken = new Set(entries.map(entry => parseInt(entry.number, 16)))
  while (taken.has(number)) number++
  const where = values.loader + ' on ' + values.disk + ' ' + values.part
  entries.unshift({ number: number.toString(16).toUpperCase().padStart(4, '0'), label: values.label, where })
} else if (values.delete) {
  const at = entries.findIndex(entry => entry.number === values.bootnum)
  if (at < 0) {
    process.stderr.write('Could not delete variable: No such file or directory\\n')
    process.exit(15)
  }
  entries.splice(at, 1)
}
writeFileSync(state, JSON.stringify(entries))
process.stdout.write('BootCurrent: 0000\\nTimeout: 0 seconds\\nBootOrder: ' + entries.map(entry => entry.number).join(',') + '\\n')
for (const { number, label, where } of [...entries].sort((a, b) => (a.number < b.number ? -1 : 1))) {
  process.stdout.write('Boot' + number + '* ' + label + '\\tHD(1,GPT,1c6c6b0e-8d3f-4c53-9f0b-7c1a0b0d1e2f,0x800,0x113000)/File(' + where + ')\\n')
}
`
