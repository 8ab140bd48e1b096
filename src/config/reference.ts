/**
 * The reference of all options, made from their declarations: as text for a terminal, as the page docs/configuration.md,
 * and as JSON for other programs. And the printer of a whole configuration as a file that reads back the same.
 */
import { printValue } from '#lib/ini.ts'
import { isDerived, type Option } from './kinds.ts'
import { allOptions } from './load.ts'
import { type Config, optionGroups } from './options.ts'
import { escapeDollars } from './substitute.ts'

export function referenceText(): string {
  const lines: string[] = []
  for (const [group, members] of Object.entries(optionGroups)) {
    lines.push(`[${group}]`)
    for (const [name, option] of Object.entries(members)) {
      lines.push(`  ${name} = ${defaultText(option)}`)
      lines.push(...wrap([option.help, ...remarks(option)].join(' '), 100).map(line => `      ${line}`))
    }
    lines.push('')
  }
  return lines.join('\n')
}

export function referenceMarkdown(): string {
  const total = [...allOptions()].length
  const effective = [...allOptions()].filter(([, , option]) => option.effective).length
  const lines = [
    '# Configuration',
    '',
    '<!-- Made by `ferrite config reference --format markdown`; a test keeps it so. -->',
    '',
    'Ferrite starts without any configuration. `--config-file FILE` (repeatable, later files win) and `--config-dir DIR`',
    'name files in the dialect of oslo.config, so an `ironic.conf` can be used as it is: sections, `key = value` or',
    '`key: value`, whole-line comments with `#` or `;`, indented continuation lines, quotes around a value, `$name` and',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of oslo.config
    '`${group.name}` for other options (`$$` for the sign itself), lists as `a,b`, dictionaries as `a:b,c:d`. An environment',
    'variable `OS_<GROUP>__<OPTION>`, such as `OS_DEPLOY__FAST_TRACK=true`, wins over files.',
    '',
    'What is unknown or does not fit ends the start with a message that names file, section and line;',
    '`ferrite config check --config-file FILE` says the same without starting. `ferrite config show` prints what is in',
    'effect and where it was set. Options marked *mutable* are read again on SIGHUP.',
    '',
    `Of ${total} options Ferrite acts on ${effective} today. The others (marked *no effect yet*) are accepted so that existing files`,
    "load; setting one is a warning at start. Where a default differs from Ironic's, Ironic's is given.",
    '',
  ]
  for (const [group, members] of Object.entries(optionGroups)) {
    lines.push(`## [${group}]`, '', '| Option | Kind | Default | Meaning |', '|---|---|---|---|')
    for (const [name, option] of Object.entries(members)) {
      const marks = remarks(option).map(remark => `*${cell(remark)}*`)
      lines.push(
        `| \`${name}\` | ${cell(option.expected)} | ${codeOrDash(defaultText(option))} | ${[cell(option.help), ...marks].join(' ')} |`,
      )
    }
    lines.push('')
  }
  return lines.join('\n')
}

export function referenceJson(): string {
  const rows = [...allOptions()].map(([group, name, option]) => ({
    group,
    name,
    kind: option.kind,
    expected: option.expected,
    default: option.default === null ? null : isDerived(option.default) ? null : option.default,
    default_text: defaultText(option),
    ...(option.choices && { choices: option.choices }),
    mutable: option.mutable ?? false,
    secret: option.secret ?? false,
    effective: option.effective ?? false,
    ...(option.ironic !== undefined && { ironic_default: option.ironic }),
    ...(option.deprecated !== undefined && { deprecated: option.deprecated }),
    ...(option.deprecatedNames?.length && { deprecated_names: option.deprecatedNames }),
    help: option.help,
  }))
  return JSON.stringify(rows, null, 2)
}

/**
 * A configuration as a file. Read back, it gives the same values.
 * @param annotate answers a comment for an option, or undefined
 */
export function printConfig(
  config: Config,
  {
    secrets = false,
    annotate,
  }: { secrets?: boolean; annotate?: (group: string, name: string) => string | undefined } = {},
): string {
  const lines: string[] = []
  for (const [group, members] of Object.entries(optionGroups)) {
    lines.push(`[${group}]`)
    for (const [name, option] of Object.entries(members)) {
      // Every declared option is in a loaded configuration.
      const value = (config as unknown as Record<string, Record<string, unknown>>)[group]![name]
      const comment = annotate?.(group, name)
      if (comment !== undefined) lines.push(`# ${comment}`)
      if (option.secret && !secrets && value !== null) lines.push(`# ${name} is set and secret`)
      else if (option.repeatable && Array.isArray(value)) lines.push(...value.map(one => assignment(name, String(one))))
      else lines.push(assignment(name, value === null ? null : option.print(value)))
    }
    lines.push('')
  }
  return lines.join('\n')
}

function assignment(name: string, text: string | null): string {
  return `${name} = ${text === null ? '<None>' : printValue(escapeDollars(text))}`.trimEnd()
}

function defaultText(option: Option): string {
  if (option.default === null) return '<None>'
  if (isDerived(option.default)) return option.default.text
  return option.print(option.default)
}

function remarks(option: Option): string[] {
  return [
    option.deprecated ? `Deprecated: ${option.deprecated}.` : '',
    !option.effective && !option.deprecated ? 'No effect yet.' : '',
    option.mutable ? 'Mutable.' : '',
    option.secret ? 'Secret.' : '',
    option.ironic === undefined ? '' : `Ironic: ${option.ironic}.`,
    option.deprecatedNames?.length ? `Formerly ${option.deprecatedNames.join(', ')}.` : '',
  ].filter(remark => remark !== '')
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*')
}

function codeOrDash(text: string): string {
  if (text === '<None>') return '-'
  return text === '' ? '(empty)' : `\`${text.replaceAll('|', '\\|')}\``
}
