/**
 * Reads the INI dialect of oslo.config, and no other: it knows neither options nor their types.
 *
 * Sections in brackets; `key = value` or `key: value`, whichever sign comes first; an indented line continues the value
 * above it (joined by a newline), an empty line ends it; whole-line comments with # or ; and none at the end of a line;
 * one pair of quotes around a value is taken off; a key may come again. Keys before the first section are an error.
 * Source: oslo.config, "Configuration files" and iniparser.py (behaviour restated).
 */

export interface Assignment {
  readonly section: string
  readonly key: string
  readonly value: string
  readonly line: number
}

export interface SyntaxProblem {
  readonly line: number
  readonly found: string
  readonly expected: string
}

export interface Ini {
  /** In the order of the file. */
  readonly assignments: readonly Assignment[]
  readonly problems: readonly SyntaxProblem[]
  /** Each section header, also of sections without keys. */
  readonly sections: readonly { name: string; line: number }[]
}

export function parseIni(text: string): Ini {
  const assignments: Assignment[] = []
  const problems: SyntaxProblem[] = []
  const sections: { name: string; line: number }[] = []
  let section: string | undefined
  /** The key whose value an indented line would continue. */
  let open: { section: string; key: string; values: string[]; line: number } | undefined
  /** After a line that cannot be read, what belongs to it is passed over: one mistake is reported once. */
  let passOver: 'continuation' | 'section' | undefined

  const close = () => {
    if (open) assignments.push({ section: open.section, key: open.key, value: open.values.join('\n'), line: open.line })
    open = undefined
    if (passOver === 'continuation') passOver = undefined
  }

  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  for (const [index, raw] of lines.entries()) {
    const line = index + 1
    const content = raw.trimEnd()
    const indented = /^[ \t]/.test(content)
    if (indented && open) {
      open.values.push(content.trimStart())
      continue
    }
    if (indented && (passOver || /^\s*[#;]/.test(content))) continue
    close()
    if (content === '' || content.startsWith('#') || content.startsWith(';')) continue

    if (indented) {
      const found = `an indented line (${firstWord(content)} ...) with nothing above it to continue`
      problems.push({ line, found, expected: 'a key at the start of the line' })
      passOver = 'continuation'
    } else if (content.startsWith('[')) {
      section = content.endsWith(']') ? content.slice(1, -1).trim() : ''
      passOver = section === '' ? 'section' : undefined
      if (section !== '') sections.push({ name: section, line })
      else problems.push({ line, found: content, expected: 'a section such as [deploy] and nothing after it' })
    } else if (passOver !== 'section') {
      const sign = content.search(/[:=]/)
      const key = content.slice(0, Math.max(sign, 0)).trim()
      if (key === '') {
        problems.push({
          line,
          found: `a line without a key and a value (${firstWord(content)} ...)`,
          expected: 'key = value',
        })
        passOver = 'continuation'
      } else if (section === undefined) {
        problems.push({
          line,
          found: `${key} before the first section`,
          expected: 'a section such as [DEFAULT] above it',
        })
        passOver = 'continuation'
      } else {
        open = { section, key, values: [unquote(content.slice(sign + 1).trim())], line }
      }
    }
  }
  close()
  return { assignments, problems, sections }
}

/** A value as the file must spell it to be read back the same. */
export function printValue(value: string): string {
  const [first = '', ...more] = value.split('\n')
  const needsQuotes =
    more.length === 0 &&
    (first !== first.trim() || (first.length > 0 && /^["']/.test(first) && first.at(-1) === first[0]))
  return [needsQuotes ? `"${first}"` : first, ...more.map(line => '    ' + line)].join('\n')
}

function unquote(value: string): string {
  const mark = value[0]
  return value.length > 1 && (mark === '"' || mark === "'") && value.at(-1) === mark ? value.slice(1, -1) : value
}

/** The rest of the line may be a secret. */
function firstWord(line: string): string {
  return line.trim().split(/[\s=:]/, 1)[0] ?? ''
}
