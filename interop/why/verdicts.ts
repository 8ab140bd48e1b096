/** Judges what `why` said of a fault, and shows all judgements as the table of docs/why.md. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Explanation } from '#protocol/why.ts'
import type { FaultCase } from './fault-case.ts'

export interface Verdict {
  readonly fault: FaultCase
  /** Null: the fault could not be tried, or there was no answer. */
  readonly found: Explanation | null
  readonly isNamed: boolean
  readonly note: string
  readonly seconds: number
}

export function judged(fault: FaultCase, found: Explanation, seconds: number): Verdict {
  const { summary, evidence, actions } = found
  const isNamed = [summary, ...evidence, ...actions].some(line => fault.names.test(line))
  return { fault, found, isNamed, seconds, note: isNamed ? '' : `${fault.names} is not mentioned` }
}

export function judgedAsFailed(fault: FaultCase, note: string, seconds: number): Verdict {
  return { fault, found: null, isNamed: false, seconds, note: note.split('\n')[0] ?? '' }
}

/** The right cause, and what leads to it. */
export function isGood({ fault, found, isNamed }: Verdict): boolean {
  return found?.cause === fault.cause && isNamed && found.actions.length > 0
}

export function table(verdicts: readonly Verdict[]): string {
  return [...header, ...verdicts.map(rowOf)].join('\n')
}

const header = ['| Fault | What is broken | On | `cause` | Verdict | Time |', '|---|---|---|---|---|---|']

function rowOf(verdict: Verdict): string {
  const { fault, found, note, seconds } = verdict
  const where = fault.on === 'machine' ? 'QEMU' : 'bench'
  const said = found === null ? 'nothing' : `\`${found.cause}\``
  const result = isGood(verdict) ? right : `**wrong**, \`${fault.cause}\` expected${note === '' ? '' : `; ${note}`}`
  return `| ${fault.name} | ${fault.broken} | ${where} | ${said} | ${result} | ${seconds} s |`
}

const right = 'right'
const begin = '<!-- Written by npm run interop:why; changes are lost. -->'
const end = '<!-- The end of what it writes. -->'

/** Puts what was tried into the page; faults that were not tried now keep the row that they have. */
export async function writeTable(verdicts: readonly Verdict[], names: readonly string[]): Promise<void> {
  const path = join(import.meta.dirname, '../../docs/why.md')
  const text = await readFile(path, 'utf8')
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`Cannot write the table into ${path}: expected its two comments`)
  const rows = new Map<string, string>()
  for (const line of text.slice(from, to).split('\n')) {
    const name = /^\| ([a-z0-9-]+) \|/.exec(line)?.[1]
    if (name !== undefined) rows.set(name, line)
  }
  for (const verdict of verdicts) rows.set(verdict.fault.name, rowOf(verdict))
  const all = names.flatMap(name => rows.get(name) ?? [])
  const good = all.filter(row => row.includes(`| ${right} |`)).length
  const untried = names.filter(name => !rows.has(name))
  const rest = untried.length === 0 ? '' : ` Not tried yet: ${untried.join(', ')}.`
  const told = `${good} of ${all.length} faults are explained rightly.${rest}\n\n${[...header, ...all].join('\n')}`
  await writeFile(path, `${text.slice(0, from)}${begin}\n\n${told}\n\n${text.slice(to)}`)
}
