/**
 * Command lines by a command's declaration. The dialect is argparse's, since scripts written for the `baremetal` client
 * rely on it: arguments and options in any order, `--option value` and `--option=value`, options cut short as long as
 * they stay unambiguous, options with several words (`--fields uuid name`), `--` before arguments that begin with a
 * dash. node:util parseArgs knows neither several words nor optional values, and commander adds 8 ms to every start;
 * both would still need the declarations for help and completion.
 */
import { closest } from '#lib/closest.ts'
import { Fault } from '#lib/fault.ts'
import type { AnyCommand, AnyInput, Option, Options, OptionValue } from './command.ts'
import { isYesOrNo, yesOrNo } from './values.ts'

/** The command line itself is wrong; exit status 2. */
export class UsageError extends Fault {
  readonly status = 400
  readonly code = 'usage'
}

/**
 * Reads `words` (all that follows the command's own words).
 * @param more options that every command takes beside its own: global ones and those of the output
 * @throws UsageError naming the option or argument
 */
export function parse(command: AnyCommand, words: readonly string[], more: Options = {}): AnyInput {
  // Its own options come first, for their short spellings count more than those of all commands.
  const declared: Options = { ...command.options, ...more }
  const { options, rest } = parseOptions(words, declared)
  for (const [name, option] of Object.entries(command.options)) {
    if (option.required && options[name] === undefined) throw new UsageError(`Missing option --${name}: it is required`)
  }
  checkGroups(options, declared)
  return { args: parseArguments(command, rest), options }
}

/** Splits the leading options off: the part of a line before the command's words. */
export function parseLeading(words: readonly string[], declared: Options): { taken: readonly string[]; at: number } {
  let at = 0
  while (at < words.length) {
    const word = words[at] ?? ''
    if (!word.startsWith('-') || word === '-' || word === '--') break
    const [spelling, attached] = split(word)
    const found = find(spelling, declared)
    at += found.option.takes === 'nothing' || attached !== undefined ? 1 : 2
  }
  return { taken: words.slice(0, at), at: Math.min(at, words.length) }
}

function parseOptions(words: readonly string[], declared: Options) {
  const options: Record<string, OptionValue> = {}
  const rest: string[] = []
  const queue = [...words]
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === '--') {
      rest.push(...queue)
      break
    }
    if (!word.startsWith('-') || word === '-' || /^-\d+$/.test(word)) {
      rest.push(word)
      continue
    }
    const [spelling, attached] = split(word)
    const { name, option } = find(spelling, declared)
    options[name] = take({ spelling, option, attached, queue, before: options[name] })
  }
  return { options, rest }
}

/** `--name=value` and `-fvalue` into spelling and value. */
function split(word: string): [string, string | undefined] {
  if (!word.startsWith('--')) return word.length > 2 ? [word.slice(0, 2), word.slice(2)] : [word, undefined]
  const equals = word.indexOf('=')
  return equals < 0 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)]
}

function find(written: string, declared: Options): { name: string; option: Option } {
  const entries = Object.entries(declared)
  // Some of OpenStack's options are spelled with underscores.
  const spelling = written.replaceAll('_', '-')
  const same = entries.find(([name, { short }]) => spelling === `--${name}` || spelling === `-${short}`)
  if (same) return { name: same[0], option: same[1] }
  const alike = spelling.startsWith('--') ? entries.filter(([name]) => `--${name}`.startsWith(spelling)) : []
  const [only, ...others] = alike
  if (!only) {
    const meant = closest(spelling.replace(/^--/, ''), Object.keys(declared))
    throw new UsageError(`Unknown option ${spelling}${meant ? `: did you mean --${meant}?` : ''}`)
  }
  if (others.length > 0) {
    const names = alike.map(([name]) => `--${name}`).join(', ')
    throw new UsageError(`Option ${spelling} is ambiguous: it could be ${names}`)
  }
  return { name: only[0], option: only[1] }
}

interface Taking {
  spelling: string
  option: Option
  attached: string | undefined
  queue: string[]
  before: OptionValue | undefined
}

/** The value of one occurrence, joined with `before` where an option may be repeated. */
function take({ spelling, option, attached, queue, before }: Taking): OptionValue {
  const next = () => {
    const word = attached ?? (isValue(queue[0]) ? queue.shift() : undefined)
    if (word === undefined) throw new UsageError(`Option ${spelling} needs a value`)
    return word
  }
  const checked = (word: string) => check(`option ${spelling}`, word, option.choices)
  const earlier = Array.isArray(before) ? before : []
  switch (option.takes) {
    case 'nothing':
      if (attached !== undefined) throw new UsageError(`Option ${spelling} takes no value, found "${attached}"`)
      return true
    case 'text':
      return checked(next())
    case 'number':
      return wholeNumber(spelling, next(), option.least)
    case 'number?':
      if (attached !== undefined) return wholeNumber(spelling, attached, option.least)
      return queue[0] !== undefined && /^\d+$/.test(queue[0]) ? wholeNumber(spelling, queue.shift() ?? '') : null
    case 'yes?':
      if (attached !== undefined) return yesOrNo(`option ${spelling}`, attached)
      return queue[0] !== undefined && isYesOrNo(queue[0]) ? yesOrNo(`option ${spelling}`, queue.shift() ?? '') : true
    case 'repeat':
      return [...earlier, checked(next())]
    case 'words': {
      const words = [checked(next())]
      while (attached === undefined && isValue(queue[0])) words.push(checked(queue.shift() ?? ''))
      return [...earlier, ...words]
    }
  }
}

/** Can this word be an option's value? A lone dash is (standard input), and so is a negative number. */
function isValue(word: string | undefined): boolean {
  return word !== undefined && (!word.startsWith('-') || word === '-' || /^-\d+$/.test(word))
}

function wholeNumber(spelling: string, word: string, least = Number.MIN_SAFE_INTEGER): number {
  if (!/^-?\d+$/.test(word)) throw new UsageError(`Option ${spelling} needs a whole number, found "${word}"`)
  if (Number(word) < least) throw new UsageError(`Option ${spelling} needs ${least} or more, found ${word}`)
  return Number(word)
}

function check(what: string, word: string, choices: readonly string[] | undefined): string {
  if (choices && !choices.includes(word)) {
    throw new UsageError(`Wrong value for ${what}: found "${word}", expected one of ${choices.join(', ')}`)
  }
  return word
}

function checkGroups(options: Readonly<Record<string, OptionValue>>, declared: Options): void {
  const seen = new Map<string, string>()
  for (const name of Object.keys(options)) {
    const group = declared[name]?.group
    if (group === undefined) continue
    const other = seen.get(group)
    if (other) throw new UsageError(`Options --${other} and --${name} exclude each other`)
    seen.set(group, name)
  }
}

/** Arguments by position; the one that takes many gets what the others leave. */
function parseArguments(command: AnyCommand, rest: readonly string[]): AnyInput['args'] {
  const declared = Object.entries(command.args)
  const args: Record<string, string | string[]> = {}
  let at = 0
  for (const [index, [name, argument]] of declared.entries()) {
    const after = declared.slice(index + 1).filter(([, { optional }]) => !optional).length
    const least = argument.optional ? 0 : 1
    const count = argument.many ? Math.max(rest.length - at - after, least) : 1
    const words = rest.slice(at, at + count)
    if (words.length < count) {
      if (argument.optional) break
      throw new UsageError(`Missing argument ${metavar(name, argument.metavar)}: ${argument.about}`)
    }
    for (const word of words) check(`argument ${metavar(name, argument.metavar)}`, word, argument.choices)
    args[name] = argument.many ? words : (words[0] ?? '')
    at += count
  }
  if (at < rest.length) throw new UsageError(`Unexpected argument "${rest[at]}"`)
  return args
}

export function metavar(name: string, given: string | undefined): string {
  return `<${given ?? name}>`
}
