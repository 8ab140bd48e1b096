/**
 * Prints what a command shows: table (the default), json, yaml, value, csv for lists and shell for single objects, as
 * the `baremetal` client prints them, because scripts cut and compare that text. Hence null, true and nested objects
 * are spelled `None`, `True` and `{'a': 1}` everywhere but in json and yaml. Column names are the API's field names.
 */
import type { Item, Options, Output } from './command.ts'
import { UsageError } from './parse.ts'
import type { Terminal } from './terminal.ts'

const common = {
  column: { takes: 'repeat', short: 'c', about: 'show this column only; may be repeated' },
  noindent: { takes: 'nothing', about: 'JSON in one line' },
  'max-width': { takes: 'number', metavar: 'columns', about: 'widest table (environment: CLIFF_MAX_TERM_WIDTH)' },
  'fit-width': { takes: 'nothing', about: 'fit the table to the terminal even if the output is no terminal' },
  'print-empty': { takes: 'nothing', about: 'print the heading of a table without rows' },
} satisfies Options

/** Options of commands that show something, by the kind of output. */
export const outputOptions = {
  one: {
    format: {
      takes: 'text',
      short: 'f',
      choices: ['json', 'shell', 'table', 'value', 'yaml'],
      about: 'output format; default table',
    },
    ...common,
    prefix: { takes: 'text', about: 'put this before the variable names of the shell format' },
  },
  list: {
    format: {
      takes: 'text',
      short: 'f',
      choices: ['csv', 'json', 'table', 'value', 'yaml'],
      about: 'output format; default table',
    },
    ...common,
    quote: {
      takes: 'text',
      choices: ['all', 'minimal', 'none', 'nonnumeric'],
      about: 'what the csv format quotes; default nonnumeric',
    },
    'sort-column': { takes: 'repeat', about: 'sort the rows by this column; the first given counts most' },
    'sort-ascending': { takes: 'nothing', group: 'sort direction', about: 'smallest first (the default)' },
    'sort-descending': { takes: 'nothing', group: 'sort direction', about: 'largest first' },
  },
} satisfies Record<Output['kind'], Options>

/** Values of `outputOptions` as parsed. */
export interface Format {
  readonly format?: string
  readonly column?: readonly string[]
  readonly noindent?: true
  readonly 'max-width'?: number
  readonly 'fit-width'?: true
  readonly 'print-empty'?: true
  readonly prefix?: string
  readonly quote?: string
  readonly 'sort-column'?: readonly string[]
  readonly 'sort-descending'?: true
}

/** @throws UsageError when none of the wanted columns exists */
export async function print(output: Output, format: Format, terminal: Terminal): Promise<void> {
  terminal.out.write(
    await (output.kind === 'one' ? one(output.item, format, terminal) : list(output, format, terminal)),
  )
}

async function one(item: Item, format: Format, terminal: Terminal): Promise<string> {
  const names = chosen(Object.keys(item).sort(), format.column)
  switch (format.format ?? 'table') {
    case 'json':
      return json(pick(item, names), format)
    case 'yaml':
      return await yaml(pick(item, names))
    case 'value':
      return names.map(name => `${spell(item[name])}\n`).join('')
    case 'shell':
      return names.map(name => shellLine(name, item[name], format.prefix ?? '')).join('')
    default: {
      const rows = names.map(name => [name, item[name]])
      const left = ['left', 'left'] as const
      return table(['Field', 'Value'], { rows, align: left, minWidth: 16, format, terminal })
    }
  }
}

async function list(output: Output & { kind: 'list' }, format: Format, terminal: Terminal): Promise<string> {
  const items = sorted(output, format)
  const names = chosen(output.columns, format.column)
  const rows = items.map(item => names.map(name => (name in item ? item[name] : '')))
  switch (format.format ?? 'table') {
    case 'json':
      return json(
        rows.map(row => Object.fromEntries(names.map((name, at) => [name, row[at]]))),
        format,
      )
    case 'yaml':
      return await yaml(rows.map(row => Object.fromEntries(names.map((name, at) => [name, row[at]]))))
    case 'value':
      return rows.map(row => `${row.map(spell).join(' ')}\n`).join('')
    case 'csv':
      return [names, ...rows].map(row => `${row.map(cell => csvCell(cell, format.quote)).join(',')}\n`).join('')
    default: {
      // A column of numbers is told by its first value, as the baremetal client's tables do.
      const align = names.map((_, at) => (typeof rows[0]?.[at] === 'number' ? 'right' : 'left'))
      return table(names, { rows, align, minWidth: 8, format, terminal })
    }
  }
}

function pick(item: Item, names: readonly string[]): Item {
  return Object.fromEntries(names.map(name => [name, item[name]]))
}

/** The columns to show: the wanted ones in their natural order; letter case and blanks for underscores do not matter. */
function chosen(names: readonly string[], wanted: readonly string[] | undefined): readonly string[] {
  if (!wanted) return names
  const found = names.filter(name => wanted.some(word => sameColumn(name, word)))
  if (found.length > 0 || names.length === 0) return found
  throw new UsageError(`No column is called ${wanted.join(' or ')}: there are ${names.join(', ')}`)
}

function sameColumn(a: string, b: string): boolean {
  const plain = (name: string) => name.toLowerCase().replaceAll(' ', '_')
  return plain(a) === plain(b)
}

function sorted({ columns, items }: Output & { kind: 'list' }, format: Format): readonly Item[] {
  const names = (format['sort-column'] ?? []).flatMap(word => columns.find(name => sameColumn(name, word)) ?? [])
  const sign = format['sort-descending'] ? -1 : 1
  return names.length === 0
    ? items
    : items.toSorted((a, b) => {
        for (const name of names) {
          const order = sign * compare(a[name], b[name])
          if (order !== 0) return order
        }
        return 0
      })
}

/** Orders two values of a column: numbers by size, everything else by text, unset last. */
export function compare(a: unknown, b: unknown): number {
  const unset = (value: unknown) => value === null || value === undefined
  if (unset(a) || unset(b)) return Number(unset(a)) - Number(unset(b))
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [textA, textB] = [spell(a), spell(b)]
  return textA < textB ? -1 : textA > textB ? 1 : 0
}

function json(value: unknown, { noindent }: Format): string {
  return `${JSON.stringify(value, null, noindent ? undefined : 2)}\n`
}

async function yaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml')
  return stringify(value, { lineWidth: 0, sortMapEntries: true, aliasDuplicateObjects: false })
}

function shellLine(name: string, value: unknown, prefix: string): string {
  const variable = name.toLowerCase().replace(/[ :-]/g, '_')
  const text = typeof value === 'string' ? value.replaceAll('"', '\\"') : spell(value)
  return `${prefix}${variable}="${text}"\n`
}

function csvCell(value: unknown, quote = 'nonnumeric'): string {
  const text = value === null || value === undefined ? '' : spell(value)
  const numeric = typeof value === 'number' || typeof value === 'boolean'
  const needed = /[",\r\n]/.test(text)
  if (quote === 'none') return text.replace(/[",\r\n]/g, '\\$&')
  if (quote === 'all' || needed || (quote === 'nonnumeric' && !numeric)) return `"${text.replaceAll('"', '""')}"`
  return text
}

/** A value as Python prints it: text as it is, `None`, `True`, and nested values in literal form. */
export function spell(value: unknown): string {
  return typeof value === 'string' ? value : literal(value)
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'string') return quoted(value)
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, inner]) => `${quoted(key)}: ${literal(inner)}`)
      .join(', ')}}`
  }
  return String(value)
}

function quoted(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'"
  const named: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', [mark]: `\\${mark}` }
  return mark + text.replace(/[\\'"\x00-\x1f\x7f-\xa0]/g, char => named[char] ?? visible(char)) + mark
}

/** Control characters as `\x1b`; what a machine reports must not steer the operator's terminal. */
function visible(char: string): string {
  return char === "'" || char === '"' ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`
}

export function harmless(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(/\r/g, ' ')
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, visible)
}

interface TableOptions {
  readonly rows: readonly (readonly unknown[])[]
  readonly align: readonly ('left' | 'right')[]
  /** Columns are not narrowed below this. */
  readonly minWidth: number
  readonly format: Format
  readonly terminal: Terminal
}

function table(heads: readonly string[], { rows, align, minWidth, format, terminal }: TableOptions): string {
  if (rows.length === 0 && !format['print-empty']) return '\n'
  const cells = rows.map(row => row.map(value => harmless(spell(value)).replaceAll('\t', ' ').split('\n')))
  const widest = (at: number, head: string, lines: typeof cells) =>
    Math.max(width(head), ...lines.flatMap(row => (row[at] ?? []).map(width)))
  const natural = heads.map((head, at) => widest(at, head, cells))
  const limits = fit(natural, { total: availableWidth(format, terminal), minWidth })
  const room = heads.map((head, at) => Math.max(width(head), limits[at] ?? 0)) // headings are never wrapped
  const wrapped = cells.map(row => row.map((lines, at) => lines.flatMap(line => wrap(line, room[at] ?? 0))))
  const widths = heads.map((head, at) => widest(at, head, wrapped))
  const line = `+${widths.map(size => '-'.repeat(size + 2)).join('+')}+\n`
  const draw = (row: readonly (readonly string[])[], sides: readonly string[]) => {
    const height = Math.max(...row.map(({ length }) => length))
    return Array.from({ length: height }, (_, n) => {
      const padded = widths.map((size, at) => ` ${pad(row[at]?.[n] ?? '', size, sides[at])} `)
      return `|${padded.join('|')}|\n`
    }).join('')
  }
  const sides = rows.length === 0 ? heads.map(() => 'center') : align
  const head = draw(
    heads.map(text => [text]),
    sides,
  )
  return line + head + line + wrapped.map(row => draw(row, sides)).join('') + line
}

/** The width a table may take; undefined when nothing limits it. */
function availableWidth(format: Format, { out, env }: Terminal): number | undefined {
  const limit = format['max-width'] ?? Number(env.CLIFF_MAX_TERM_WIDTH ?? 0)
  if (limit > 0) return limit
  const fitting = format['fit-width'] || env.CLIFF_FIT_WIDTH === '1' || out.isTTY
  return fitting ? (out.columns ?? (Number(env.COLUMNS) || undefined)) : undefined
}

/** Column widths that fit `total`: columns narrower than an equal share keep theirs, the others share the rest. */
function fit(natural: readonly number[], { total, minWidth }: { total: number | undefined; minWidth: number }) {
  const frame = 1 + 3 * natural.length
  const sum = natural.reduce((a, b) => a + b, 0)
  if (total === undefined || sum + frame <= total) return natural
  const usable = Math.max(0, total - frame)
  const share = Math.floor(usable / natural.length)
  const wide = natural.filter(size => size > share)
  let left = usable - natural.filter(size => size <= share).reduce((a, b) => a + b, 0)
  const each = Math.floor(left / wide.length)
  let open = wide.length
  return natural.map(size => {
    if (size <= share) return size
    open--
    const target = Math.max(minWidth, open === 0 ? left : each)
    left -= each
    return Math.min(size, target)
  })
}

/** Lines of at most `size` columns, broken at blanks and after hyphens, within a word only where it is too long. */
function wrap(text: string, size: number): string[] {
  if (width(text) <= size) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/(?<= )|(?<=\w-)(?=\w)/)) {
    let rest = word
    if (line.trim() !== '' && width(line + rest.trimEnd()) > size) {
      lines.push(line.trimEnd())
      line = ''
    }
    for (; width(rest.trimEnd()) > size; rest = [...rest].slice(size).join('')) {
      lines.push([...rest].slice(0, size).join(''))
    }
    line += rest
  }
  if (line.trim() !== '') lines.push(line.trimEnd())
  return lines
}

function pad(text: string, size: number, side = 'left'): string {
  const blanks = Math.max(0, size - width(text))
  const before = side === 'right' ? blanks : side === 'center' ? Math.floor(blanks / 2) : 0
  return ' '.repeat(before) + text + ' '.repeat(blanks - before)
}

/** Columns a text takes on a terminal: East Asian wide characters two, marks that combine none. */
function width(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const char of text)
    columns += /\p{M}/u.test(char)
      ? 0
      : /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(
            char,
          )
        ? 2
        : 1
  return columns
}
