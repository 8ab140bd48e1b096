/**
 * Placeholders in rules: `{inventory[cpu][count]}`, `{plugin_data[x]}`, `{node.driver}`, `{item}`, as Python's
 * str.format() reads them. Only what an operator wrote is filled in, once: a machine that calls itself
 * `{node.driver_info}` is told by that name. Nothing is called and nothing but data is reached.
 *
 * A text with a placeholder that cannot be filled in stays as it is, whole, as in Ironic.
 * Source: Python, "Format String Syntax"; Ironic ironic/common/inspection_rules/base.py (behaviour restated).
 */
import { mask } from '#lib/mask.ts'
import { pythonRepr, pythonText } from './python-text.ts'

/** What placeholders may name. */
export interface Scope {
  /** Fields after a dot; what is below them in brackets. */
  readonly node: Readonly<Record<string, unknown>>
  readonly inventory: unknown
  readonly plugin_data: unknown
  /** Of a loop; absent outside of one. */
  readonly item?: unknown
  /** Keys whose values inventory and plugin data show as `***`; empty where rules may see them. */
  readonly hidden: ReadonlySet<string>
}

/** Secrets that a ramdisk may tell. Source: Ironic ironic/common/inspection_rules/engine.py */
export const secretFields: ReadonlySet<string> = new Set(['password', 'auth_token', 'bmc_password'])

/** A copy with all texts filled in, at any depth, keys too. */
export function fill(value: unknown, scope: Scope): unknown {
  return deep(value, text => {
    const filled = filledText(text, scope)
    return filled.kind === 'text' ? filled.text : text
  })
}

/**
 * As fill(), for what asks whether something is there: a text that is one placeholder gives the value itself, and what
 * names something that is not there gives null.
 */
export function fillOrNull(value: unknown, scope: Scope): unknown {
  if (typeof value !== 'string') return fill(value, scope)
  const [only, ...others] = piecesOf(value) ?? []
  if (only && 'path' in only && others.length === 0 && only.conversion === '' && only.spec === '') {
    const found = resolve(only.path, scope)
    return found.kind === 'value' ? found.value : found.kind === 'missing' ? null : value
  }
  const filled = filledText(value, scope)
  return filled.kind === 'text' ? filled.text : filled.kind === 'missing' ? null : value
}

/** The same scope for what people other than operators may read: secrets of the node are hidden too. */
export function withoutNodeSecrets(scope: Scope, secretKeys: ReadonlySet<string>): Scope {
  return { ...scope, node: mask(scope.node, secretKeys) }
}

function deep(value: unknown, change: (text: string) => unknown): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map(inner => deep(inner, change))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [pythonText(change(key)), deep(inner, change)] as const),
  )
}

type Filled = { kind: 'text'; text: string } | { kind: 'missing' } | { kind: 'wrong' }

function filledText(text: string, scope: Scope): Filled {
  const pieces = piecesOf(text)
  if (!pieces) return { kind: 'wrong' }
  let out = ''
  for (const piece of pieces) {
    if (!('path' in piece)) {
      out += piece.text
      continue
    }
    const found = resolve(piece.path, scope)
    if (found.kind !== 'value') return found
    const shown = piece.conversion === 'r' ? pythonRepr(found.value) : found.value
    const formatted = format(piece.conversion === 's' ? pythonText(shown) : shown, piece.spec)
    if (formatted === undefined) return { kind: 'wrong' }
    out += formatted
  }
  return { kind: 'text', text: out }
}

interface Path {
  readonly root: string
  readonly rest: readonly { readonly kind: 'attribute' | 'index'; readonly name: string }[]
}

type Piece = { readonly text: string } | { readonly path: Path; readonly conversion: string; readonly spec: string }

const token = /\{\{|\}\}|\{([^{}!:]*)(?:!([rs]))?(?::([^{}]*))?\}|[{}]|[^{}]+/g
const pathText = /^([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[[^[\]]+\])*)$/

/** Undefined for a text that is no template: a lone brace, a placeholder without a name. */
function piecesOf(text: string): Piece[] | undefined {
  const pieces: Piece[] = []
  for (const [whole, name, conversion = '', spec = ''] of text.matchAll(token)) {
    if (whole === '{' || whole === '}') return undefined
    if (name === undefined) {
      pieces.push({ text: whole === '{{' ? '{' : whole === '}}' ? '}' : whole })
      continue
    }
    const found = pathText.exec(name)
    if (!found) return undefined
    const [, root = '', rest = ''] = found
    const steps = [...rest.matchAll(/\.(\w+)|\[([^\]]+)\]/g)].map(([, attribute, index]) =>
      attribute === undefined
        ? ({ kind: 'index', name: index ?? '' } as const)
        : ({ kind: 'attribute', name: attribute } as const),
    )
    pieces.push({ path: { root, rest: steps }, conversion, spec })
  }
  return pieces
}

type Found = { kind: 'value'; value: unknown } | { kind: 'missing' } | { kind: 'wrong' }

/** `missing` where a key is not there, as Python's KeyError; `wrong` where the way to it makes no sense. */
function resolve({ root, rest }: Path, scope: Scope): Found {
  if (root === 'node') return nodeValue(rest, scope)
  const isItem = root === 'item' && 'item' in scope
  if (!isItem && root !== 'inventory' && root !== 'plugin_data') return { kind: 'missing' }
  return below(scope[root as 'item' | 'inventory' | 'plugin_data'], rest, isItem ? none : scope.hidden) // as just asked
}

/** Nothing is hidden of the node and of what the rule itself says. */
const none: ReadonlySet<string> = new Set()

function nodeValue([first, ...rest]: Path['rest'], { node }: Scope): Found {
  if (first?.kind !== 'attribute' || !Object.hasOwn(node, first.name)) return { kind: 'wrong' }
  return below(node[first.name], rest, none)
}

function below(start: unknown, rest: Path['rest'], hidden: ReadonlySet<string>): Found {
  let value = start
  for (const { kind, name } of rest) {
    if (kind === 'attribute' || value === null) return { kind: 'wrong' }
    if (Array.isArray(value) || typeof value === 'string') {
      if (!/^\d+$/.test(name) || Number(name) >= value.length) return { kind: 'wrong' }
      value = value[Number(name)]
    } else if (typeof value === 'object') {
      if (!Object.hasOwn(value as object, name)) return { kind: 'missing' }
      value = hidden.has(name) ? '***' : (value as Record<string, unknown>)[name] // an object, as just asked
    } else {
      return { kind: 'wrong' }
    }
  }
  return { kind: 'value', value: hidden.size === 0 ? value : withoutSecrets(value, hidden) }
}

function withoutSecrets(value: unknown, hidden: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map(inner => withoutSecrets(inner, hidden))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, hidden.has(key) ? '***' : withoutSecrets(inner, hidden)]),
  )
}

const specText = /^(?:(.)?([<>^]))?(0)?(\d{1,4})?(?:\.(\d{1,2}))?([sdxXf])?$/su

/** The part of Python's format specification that rules use: fill, alignment, width, precision, s d x X f. */
function format(value: unknown, spec: string): string | undefined {
  if (spec === '') return pythonText(value)
  const found = specText.exec(spec)
  if (!found) return undefined
  const [, padding, align, zero, width = '0', precision, type] = found
  const isNumber = typeof value === 'number'
  if (!isNumber && type !== undefined && type !== 's') return undefined
  if (isNumber && type === 's') return undefined
  const text = isNumber ? numberText(value, type, precision) : pythonText(value).slice(0, cut(precision))
  if (text === undefined) return undefined
  const fillWith = padding ?? (zero ? '0' : ' ')
  const missing = Math.max(0, Number(width) - text.length)
  const before = { '<': 0, '>': missing, '^': Math.floor(missing / 2) }[align ?? (isNumber ? '>' : '<')] ?? 0
  return fillWith.repeat(before) + text + fillWith.repeat(missing - before)
}

function cut(precision: string | undefined): number | undefined {
  return precision === undefined ? undefined : Number(precision)
}

function numberText(value: number, type: string | undefined, precision: string | undefined): string | undefined {
  if (type === 'f') return value.toFixed(precision === undefined ? 6 : Number(precision))
  if (type === undefined) return precision === undefined ? String(value) : undefined
  if (!Number.isInteger(value)) return undefined
  if (type === 'd') return String(value)
  const hex = value.toString(16)
  return type === 'X' ? hex.toUpperCase() : hex
}
