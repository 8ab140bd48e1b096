/**
 * Reads the configuration: files, environment, defaults, in the dialect and with the precedence of oslo.config
 * (environment over files, later files over earlier ones), checked as a whole. Everything that is wrong is reported at
 * once, each with its file, section and line; values of secret options are never repeated.
 *
 * The answer is a plain object typed from the declarations in options.ts. `reload` changes mutable options in place.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault, messageOf } from '#lib/fault.ts'
import { parseIni } from '#lib/ini.ts'
import { crossChecks } from './checks.ts'
import { didYouMean, isDerived, type Option, Unfit } from './kinds.ts'
import { type Config, optionGroups, removedOptions } from './options.ts'
import { CannotSubstitute, escapeDollars, substitute } from './substitute.ts'

export interface ConfigSources {
  /** Paths of INI files; later ones win. Without any, defaults and environment alone make the configuration. */
  readonly files?: readonly string[]
  /** Looked through for `OS_<GROUP>__<OPTION>`. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Final values that win over everything: command line options, and tests. */
  readonly overrides?: Overrides
}

export type Overrides = { readonly [G in keyof Config]?: { readonly [N in keyof Config[G]]?: Config[G][N] } }

export interface LoadedConfig {
  readonly config: Config
  /** For the log at start: options without effect, deprecated and removed ones. */
  readonly warnings: readonly string[]
  /** Where a value was set, such as `/etc/ferrite.conf line 12`; undefined for defaults. */
  originOf(group: string, name: string): string | undefined
  /**
   * Reads the same sources again and changes mutable options in place.
   * @returns names as `group.name`: what changed, and what differs now but needs a restart
   * @throws InvalidConfig when something is wrong; then nothing has changed
   */
  reload(): Promise<{ changed: string[]; needRestart: string[] }>
}

/** The configuration cannot be used; the message lists every problem. */
export class InvalidConfig extends Fault {
  readonly status = 500
  readonly code = 'invalid-config'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
    super(`Cannot use the configuration, it has ${count}:\n${problems.map(problem => `  ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/** The configuration alone, for callers that neither warn nor reload. */
export async function loadConfig(sources: ConfigSources = {}): Promise<Config> {
  return (await openConfig(sources)).config
}

export async function openConfig(sources: ConfigSources = {}): Promise<LoadedConfig> {
  let current = await read(sources)
  const { values } = current
  return {
    // The values were made option by option from the declarations that Config is derived from.
    config: values as unknown as Config,
    warnings: current.warnings,
    originOf: (group, name) => current.settings.get(`${group}.${name}`)?.at(-1)?.origin,
    async reload() {
      const fresh = await read(sources)
      const changed: string[] = []
      const needRestart: string[] = []
      for (const [group, name, option] of allOptions()) {
        // Both were made from the same declarations: every group and name exists.
        const before = values[group]!
        const after = fresh.values[group]!
        if (JSON.stringify(before[name]) === JSON.stringify(after[name])) continue
        if (option.mutable) {
          before[name] = after[name]
          changed.push(`${group}.${name}`)
        } else {
          needRestart.push(`${group}.${name}`)
        }
      }
      current = fresh
      return { changed, needRestart }
    },
  }
}

/**
 * Takes `--config-file FILE`, `--config-dir DIR` (its *.conf in the order of their names) out of a command line, in
 * their order, and leaves the rest.
 */
export async function takeConfigFiles(args: readonly string[]): Promise<{ files: string[]; rest: string[] }> {
  const files: string[] = []
  const rest: string[] = []
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? ''
    const [, flag, inline] = /^(--config-(?:file|dir))(?:=(.*))?$/s.exec(arg) ?? []
    if (flag === undefined) {
      rest.push(arg)
      continue
    }
    const value = inline ?? args[++index]
    if (value === undefined || value === '')
      throw new InvalidConfig([`${flag}: found nothing after it, expected a path`])
    if (flag === '--config-file') {
      files.push(value)
      continue
    }
    const names = await readdir(value).catch(error => {
      throw new InvalidConfig([`${flag} ${value}: found no readable directory (${messageOf(error)}), expected one`])
    })
    files.push(
      ...names
        .filter(name => name.endsWith('.conf') && !name.startsWith('.'))
        .sort()
        .map(name => join(value, name)),
    )
  }
  return { files, rest }
}

export function* allOptions(): Generator<[group: string, name: string, option: Option]> {
  for (const [group, members] of Object.entries(optionGroups)) {
    for (const [name, option] of Object.entries(members)) yield [group, name, option]
  }
}

interface Setting {
  readonly text: string | null
  readonly origin: string
  /** `[section] key` as the source spells it. */
  readonly spelled: string
}

interface Read {
  readonly values: Record<string, Record<string, unknown>>
  readonly settings: ReadonlyMap<string, readonly Setting[]>
  readonly warnings: readonly string[]
}

async function read(sources: ConfigSources): Promise<Read> {
  const problems: string[] = []
  const warnings: string[] = []
  const settings = new Map<string, Setting[]>()
  const assign = (place: Place, setting: Setting) => {
    const key = `${place.group}.${place.name}`
    settings.set(key, [...(settings.get(key) ?? []), setting])
    if (place.note) warnings.push(`${setting.origin}, ${setting.spelled}: ${place.note}`)
  }

  for (const file of sources.files ?? []) await readIniFile(file, { assign, problems, warnings })
  readEnvironment(sources.env ?? {}, { assign, problems, warnings })
  for (const [key, given] of overridesAsTexts(sources.overrides ?? {})) settings.set(key, given)

  const values = resolveAll(settings, problems)
  if (problems.length === 0) problems.push(...crossChecks(values as unknown as Config))
  if (problems.length > 0) throw new InvalidConfig(problems)
  return { values, settings, warnings }
}

interface Sink {
  assign(place: Place, setting: Setting): void
  readonly problems: string[]
  readonly warnings: string[]
}

async function readIniFile(file: string, { assign, problems, warnings }: Sink): Promise<void> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    problems.push(`${file}: found no readable file (${messageOf(error)}), expected a configuration file`)
    return
  }
  const ini = parseIni(text)
  const found = ini.problems.map(problem => ({
    line: problem.line,
    text: `${file} line ${problem.line}: found ${problem.found}, expected ${problem.expected}`,
  }))
  for (const { name, line } of ini.sections) {
    if (groupNamed(name) !== undefined) continue
    found.push({
      line,
      text: `${file} line ${line}, [${name}]: found an unknown section, expected one that the reference lists${nearSection(name)}`,
    })
  }
  for (const { section, key, value, line } of ini.assignments) {
    const group = groupNamed(section)
    if (group === undefined) continue
    const spelled = `[${section}] ${key}`
    const place = placeOf(group, key)
    if (place === 'removed')
      warnings.push(`${file} line ${line}, ${spelled}: the option no longer exists and has no effect`)
    else if (place) assign(place, { text: value, origin: `${file} line ${line}`, spelled })
    else
      found.push({
        line,
        text: `${file} line ${line}, ${spelled}: found an unknown option, expected one of [${group}]${nearOption(group, key)}`,
      })
  }
  problems.push(...found.sort((a, b) => a.line - b.line).map(problem => problem.text))
}

/** `OS_DEPLOY__FAST_TRACK=true`. Variables of groups that do not exist may belong to others: a warning. */
function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  { assign, problems, warnings }: Sink,
): void {
  for (const [variable, text] of Object.entries(env)) {
    const [, prefix, rest] = /^OS_([A-Za-z0-9_]+?)__([A-Za-z0-9_]+)$/.exec(variable) ?? []
    if (prefix === undefined || rest === undefined || text === undefined) continue
    const origin = `environment variable ${variable}`
    const group = prefix.toUpperCase() === 'DEFAULT' ? 'DEFAULT' : groupNamed(prefix.toLowerCase())
    if (group === undefined) {
      warnings.push(`${origin}: there is no section [${prefix.toLowerCase()}], it has no effect`)
      continue
    }
    const key = rest.toLowerCase()
    const place = placeOf(group, key)
    if (place === 'removed') warnings.push(`${origin}: the option no longer exists and has no effect`)
    else if (place) assign(place, { text, origin, spelled: `[${group}] ${key}` })
    else problems.push(`${origin}: found an unknown option, expected one of [${group}]${nearOption(group, key)}`)
  }
}

function overridesAsTexts(overrides: Overrides): [string, Setting[]][] {
  const texts: [string, Setting[]][] = []
  for (const [group, members] of Object.entries(overrides)) {
    for (const [name, value] of Object.entries(members ?? {})) {
      const option = optionGroups[group]?.[name]
      if (!option) throw new Error(`there is no option [${group}] ${name} to override`)
      // A key that may come again has a text for each of its values.
      const printed = option.kind === 'texts' && Array.isArray(value) ? value.map(String) : [option.print(value)]
      const settings = (value === null ? [null] : printed).map(one => {
        const text = one === null ? null : escapeDollars(one)
        return { text, origin: 'command line', spelled: `[${group}] ${name}` }
      })
      texts.push([`${group}.${name}`, settings])
    }
  }
  return texts
}

/** The option that a key of a file stands for. */
interface Place {
  readonly group: string
  readonly name: string
  /** What the operator should know about this spelling or option. */
  readonly note?: string
}

function placeOf(group: string, key: string): Place | 'removed' | undefined {
  const option = optionGroups[group]?.[key]
  if (option?.deprecated) return { group, name: key, note: `deprecated: ${option.deprecated}` }
  if (option && !option.effective)
    return { group, name: key, note: 'accepted for compatibility, this version does not act on it' }
  if (option) return { group, name: key }
  const former = formerNames.get(`${group}.${key}`)
  if (former) return { ...former, note: `deprecated name, use [${former.group}] ${former.name}` }
  return removedOptions.has(`${group}.${key}`) ? 'removed' : undefined
}

const formerNames = new Map(
  [...allOptions()].flatMap(([group, name, option]) =>
    (option.deprecatedNames ?? []).map(former => [former, { group, name }] as const),
  ),
)

/** Section names differ in case only in old files; DEFAULT is always spelled so. */
function groupNamed(section: string): string | undefined {
  if (Object.hasOwn(optionGroups, section)) return section
  const lower = section.toLowerCase()
  return Object.hasOwn(optionGroups, lower) ? lower : undefined
}

function nearSection(section: string): string {
  return didYouMean(section, Object.keys(optionGroups))
}

function nearOption(group: string, key: string): string {
  const elsewhere = Object.keys(optionGroups).filter(other => Object.hasOwn(optionGroups[other] ?? {}, key))
  const near = didYouMean(key, Object.keys(optionGroups[group] ?? {}))
  if (near === '' && elsewhere.length > 0 && elsewhere.length <= 3)
    return `; did you mean that of ${elsewhere.map(other => `[${other}]`).join(' or ')}?`
  return near
}

/** Values of all options, each resolved on first use because texts and derived defaults name other options. */
function resolveAll(settings: ReadonlyMap<string, readonly Setting[]>, problems: string[]): Read['values'] {
  const done = new Map<string, unknown>()
  const inProgress = new Set<string>()
  const broken = new Set<string>()

  const resolved = (group: string, name: string): unknown => {
    const key = `${group}.${name}`
    if (done.has(key)) return done.get(key)
    // Callers have made sure that the option exists.
    const option = optionGroups[group]![name]!
    if (inProgress.has(key)) throw new CannotSubstitute(`$${name}`, 'a value that does not lead back to itself')
    inProgress.add(key)
    const value = resolve(group, name, option)
    inProgress.delete(key)
    done.set(key, value)
    return value
  }

  /** For values that are made of others. */
  const sound = (group: string, name: string): unknown => {
    const value = resolved(group, name)
    if (broken.has(`${group}.${name}`)) throw new AlreadyReported()
    return value
  }

  const resolve = (group: string, name: string, option: Option): unknown => {
    const given = settings.get(`${group}.${name}`) ?? []
    const relevant = option.repeatable ? given : given.slice(-1)
    const last = relevant.at(-1)
    try {
      if (last === undefined) return defaultOf(group, option)
      const texts = relevant.filter(setting => setting.text !== null).map(setting => setting.text ?? '')
      return texts.length === 0 ? null : parse(group, option, texts)
    } catch (error) {
      broken.add(`${group}.${name}`)
      if (error instanceof AlreadyReported) return null
      if (!(error instanceof Unfit || error instanceof CannotSubstitute)) throw error
      const where = last ? `${last.origin}, ${last.spelled}` : `default of [${group}] ${name}`
      const found =
        error instanceof CannotSubstitute
          ? error.found
          : option.secret
            ? 'a value that does not fit'
            : JSON.stringify(last?.text ?? '')
      problems.push(`${where}: found ${found}, expected ${error.expected}`)
      return null
    }
  }

  const parse = (group: string, option: Option, texts: readonly string[]): unknown => {
    const [text = ''] = texts
    if (option.nullable && texts.length === 1 && (text === '<None>' || (text === '' && option.kind !== 'list')))
      return null
    const plain = texts.map(one => substitute(one, reference => lookUp(group, reference)))
    return option.repeatable && option.kind === 'dict'
      ? Object.assign({}, ...plain.map(option.parse))
      : option.repeatable
        ? plain
        : option.parse(plain[0] ?? '')
  }

  const defaultOf = (group: string, option: Option): unknown => {
    if (option.default === null) return null
    if (isDerived(option.default)) return option.parse(option.print(option.default.derive(sound)))
    if (option.repeatable) return option.default
    return parse(group, option, [option.print(option.default)])
  }

  /** As oslo.config looks a name up: `group.name`, or a name of the own group, or one of [DEFAULT]. */
  const lookUp = (ownGroup: string, reference: string): string => {
    const dot = reference.indexOf('.')
    const [group, name] = dot < 0 ? [ownGroup, reference] : [reference.slice(0, dot), reference.slice(dot + 1)]
    const home = [group, 'DEFAULT'].find(candidate => Object.hasOwn(optionGroups[candidate] ?? {}, name))
    const option = home === undefined ? undefined : optionGroups[home]?.[name]
    if (home === undefined || !option) {
      throw new CannotSubstitute(
        `$${reference}`,
        'the name of an option after the dollar sign, or $$ for the sign itself',
      )
    }
    const value = sound(home, name)
    return value === null ? '' : option.print(value)
  }

  const values: Record<string, Record<string, unknown>> = {}
  for (const [group, name] of allOptions()) {
    values[group] ??= {}
    values[group][name] = resolved(group, name)
  }
  return values
}

/** A value names an option that is itself wrong; saying so once is enough. */
class AlreadyReported extends Error {}
