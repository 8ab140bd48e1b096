/** Values as users type them: `key=value` pairs, JSON given as text or file or on standard input, yes and no. */
import { readFile, stat } from 'node:fs/promises'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { Item } from './command.ts'
import type { Terminal } from './terminal.ts'

/**
 * `key=value`: a value that is JSON counts as JSON (`5`, `true`, `null`, `{"a": 1}`, `"5"`), anything else as text;
 * `key=` is empty text. As the `baremetal` client reads it, but a number that would lose digits stays text.
 */
export function pair(text: string): [key: string, value: unknown] {
  const equals = text.indexOf('=')
  if (equals < 0) throw new InvalidInput(`Cannot read "${wordOf(text)}": no "=" in it, expected <key>=<value>`)
  return [text.slice(0, equals), jsonOrText(text.slice(equals + 1))]
}

export function pairs(texts: readonly string[]): Item {
  return Object.fromEntries(texts.map(pair))
}

function jsonOrText(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) ? text : value
  } catch {
    return text
  }
}

/**
 * JSON typed in, or in a file (JSON or YAML), or on standard input (`-`).
 * @param what names the value in errors, e.g. `deploy steps`
 */
export async function document(what: string, given: string, terminal: Terminal): Promise<unknown> {
  if (given === '-') return parseDocument(what, 'standard input', await terminal.readInput())
  if (await isFile(given)) return parseDocument(what, `file ${given}`, await readFile(given, 'utf8'))
  try {
    return JSON.parse(given)
  } catch (error) {
    throw new InvalidInput(`Cannot read ${what}: "${wordOf(given)}" is no file, and no JSON either${placeOf(error)}`)
  }
}

export async function parseDocument(what: string, source: string, text: string): Promise<unknown> {
  try {
    return JSON.parse(text)
  } catch {
    // Perhaps YAML; its parser is loaded only when needed.
  }
  const { parse } = await import('yaml')
  try {
    return parse(text)
  } catch (error) {
    throw new InvalidInput(`Cannot read ${what} from ${source}: it is neither JSON nor YAML${placeOf(error)}`)
  }
}

/** The beginning of what was typed, as far as it is one word or path: what follows may be secret. */
export function wordOf(text: string): string {
  const [word = ''] = /^[\w./~-]*/.exec(text.slice(0, 100)) ?? []
  return word.length < text.length ? `${word}...` : word
}

/** Where a parser gave up. Its own message quotes the text, which may hold a password. */
export function placeOf(error: unknown): string {
  const [place] = /line \d+,? column \d+/.exec(messageOf(error)) ?? []
  return place === undefined ? '' : ` (see ${place.replace(',', '')})`
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false
}

/** The API's spellings of booleans. */
export function yesOrNo(what: string, text: string): boolean {
  if (yes.test(text)) return true
  if (no.test(text)) return false
  throw new InvalidInput(`Wrong value for ${what}: found "${text}", expected true or false`)
}

export function isYesOrNo(text: string): boolean {
  return yes.test(text) || no.test(text)
}

const yes = /^(1|t|true|on|y|yes)$/i
const no = /^(0|f|false|off|n|no)$/i
