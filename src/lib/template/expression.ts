/**
 * Expressions of templates: the part of Jinja's that configuration templates use. Read once, then evaluated on values
 * that look like JSON. What is not known is an error, unless the template asks whether it is.
 *
 * Source: Jinja, "Template Designer Documentation", Expressions, Tests, Filters (behaviour restated).
 */
import { TemplateWrong } from './faults.ts'

export type Scope = Readonly<Record<string, unknown>>
/** Answers `undefined` for what is not there; whoever uses the value refuses that. */
export type Expression = (scope: Scope) => unknown

type Token = { kind: 'name' | 'number' | 'text' | 'sign' | 'end'; value: string }

const tokenPattern =
  /\s*(?:([A-Za-z_]\w*)|(\d+(?:\.\d+)?)|'((?:[^'\\]|\\[\s\S])*)'|"((?:[^"\\]|\\[\s\S])*)"|(==|!=|<=|>=|[<>|.,()[\]~+-]))/y

/** @throws TemplateWrong naming what is not understood */
export function parseExpression(text: string, line: number): Expression {
  const reader = new Reader(text, line)
  const expression = ternary(reader)
  if (reader.peek().kind !== 'end') throw reader.wrong()
  return expression
}

/** The value, which must be there. */
export function mustHave(expression: Expression, scope: Scope, line: number, text: string): unknown {
  const value = expression(scope)
  if (value !== undefined) return value
  throw new TemplateWrong(line, `there is no variable ${text.trim()}; ${known(scope)}`)
}

/** As Python sees it: empty texts, lists and objects count as false. */
export function isTruthy(value: unknown): boolean {
  if (Array.isArray(value) || typeof value === 'string') return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

export function shown(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function known(scope: Scope): string {
  const names = Object.entries(scope).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.keys(value).map(inner => `${name}.${inner}`)
      : [name],
  )
  return `expected one of ${names.join(', ') || 'none'}`
}

class Reader {
  readonly #tokens: Token[] = []
  readonly #line: number
  readonly #text: string
  #at = 0

  constructor(text: string, line: number) {
    this.#line = line
    this.#text = text.trim()
    tokenPattern.lastIndex = 0
    while (tokenPattern.lastIndex < this.#text.length) {
      const found = tokenPattern.exec(this.#text)
      if (!found) throw new TemplateWrong(line, `cannot read the expression "${this.#text}"`)
      const [, name, number, single, double, sign] = found
      if (name !== undefined) this.#tokens.push({ kind: 'name', value: name })
      else if (number !== undefined) this.#tokens.push({ kind: 'number', value: number })
      else if (sign !== undefined) this.#tokens.push({ kind: 'sign', value: sign })
      else this.#tokens.push({ kind: 'text', value: unescaped(single ?? double ?? '') })
    }
  }

  get line(): number {
    return this.#line
  }

  peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', value: '' }
  }

  next(): Token {
    const token = this.peek()
    this.#at += 1
    return token
  }

  /** Takes the word or sign if it is next. */
  takes(value: string): boolean {
    const { kind, value: found } = this.peek()
    if ((kind !== 'name' && kind !== 'sign') || found !== value) return false
    this.#at += 1
    return true
  }

  needs(value: string): void {
    if (!this.takes(value)) throw this.wrong()
  }

  name(): string {
    const { kind, value } = this.next()
    if (kind !== 'name') throw this.wrong()
    return value
  }

  wrong(): TemplateWrong {
    return new TemplateWrong(this.#line, `cannot read the expression "${this.#text}"`)
  }
}

const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r' }
const unescaped = (text: string) => text.replace(/\\([\s\S])/g, (_, sign: string) => escapes[sign] ?? sign)

function ternary(reader: Reader): Expression {
  const then = either(reader)
  if (!reader.takes('if')) return then
  const condition = either(reader)
  const otherwise = reader.takes('else') ? ternary(reader) : () => ''
  return scope => (isTruthy(condition(scope)) ? then(scope) : otherwise(scope))
}

function either(reader: Reader): Expression {
  let left = both(reader)
  while (reader.takes('or')) {
    const [first, second] = [left, both(reader)]
    left = scope => (isTruthy(first(scope)) ? first(scope) : second(scope))
  }
  return left
}

function both(reader: Reader): Expression {
  let left = negation(reader)
  while (reader.takes('and')) {
    const [first, second] = [left, negation(reader)]
    left = scope => (isTruthy(first(scope)) ? second(scope) : first(scope))
  }
  return left
}

function negation(reader: Reader): Expression {
  if (!reader.takes('not')) return comparison(reader)
  const inner = negation(reader)
  return scope => !isTruthy(inner(scope))
}

const comparisons: Record<string, (a: unknown, b: unknown) => boolean> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => Number(a) < Number(b),
  '>': (a, b) => Number(a) > Number(b),
  '<=': (a, b) => Number(a) <= Number(b),
  '>=': (a, b) => Number(a) >= Number(b),
}

function comparison(reader: Reader): Expression {
  let left = sum(reader)
  for (;;) {
    const first = left
    const sign = Object.keys(comparisons).find(each => reader.takes(each))
    if (sign !== undefined) {
      const second = sum(reader)
      left = scope => comparisons[sign]?.(first(scope), second(scope))
    } else if (reader.takes('in')) {
      const second = sum(reader)
      left = scope => contains(second(scope), first(scope))
    } else if (reader.takes('not')) {
      reader.needs('in')
      const second = sum(reader)
      left = scope => !contains(second(scope), first(scope))
    } else if (reader.takes('is')) {
      const isNot = reader.takes('not')
      const test = tests[reader.name()]
      if (!test) throw reader.wrong()
      left = scope => test(first(scope)) !== isNot
    } else {
      return left
    }
  }
}

const tests: Record<string, (value: unknown) => boolean> = {
  defined: value => value !== undefined,
  undefined: value => value === undefined,
  none: value => value === null,
  string: value => typeof value === 'string',
  number: value => typeof value === 'number',
  true: value => value === true,
  false: value => value === false,
}

function contains(whole: unknown, part: unknown): boolean {
  if (typeof whole === 'string') return whole.includes(String(part))
  if (Array.isArray(whole)) return whole.includes(part)
  return typeof whole === 'object' && whole !== null && Object.hasOwn(whole, String(part))
}

function sum(reader: Reader): Expression {
  let left = postfix(reader)
  for (;;) {
    const first = left
    if (reader.takes('~')) {
      const second = postfix(reader)
      left = scope => shown(first(scope)) + shown(second(scope))
    } else if (reader.takes('+')) {
      const second = postfix(reader)
      left = scope => {
        const [a, b] = [first(scope), second(scope)]
        return typeof a === 'number' && typeof b === 'number' ? a + b : shown(a) + shown(b)
      }
    } else if (reader.takes('-')) {
      const second = postfix(reader)
      left = scope => Number(first(scope)) - Number(second(scope))
    } else {
      return left
    }
  }
}

function postfix(reader: Reader): Expression {
  let value = primary(reader)
  for (;;) {
    const inner = value
    if (reader.takes('.')) {
      const name = reader.name()
      value = scope => member(inner(scope), name)
    } else if (reader.takes('[')) {
      const index = ternary(reader)
      reader.needs(']')
      value = scope => member(inner(scope), index(scope))
    } else if (reader.takes('|')) {
      const name = reader.name()
      const filter = Object.hasOwn(filters, name) ? filters[name] : undefined
      if (!filter) {
        throw new TemplateWrong(reader.line, `there is no filter ${name}; expected ${Object.keys(filters).join(', ')}`)
      }
      const args = reader.takes('(') ? list(reader, ')') : []
      value = scope => filter(inner(scope), ...args.map(arg => arg(scope)))
    } else {
      return value
    }
  }
}

/** Own members alone: a template sees data, nothing of the program. */
function member(value: unknown, name: unknown): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, String(name))) return undefined
  return (value as Record<string, unknown>)[String(name)]
}

const filters: Record<string, (value: unknown, ...args: unknown[]) => unknown> = {
  default: (value, otherwise = '', orEmpty = false) =>
    value === undefined || (orEmpty === true && !isTruthy(value)) ? otherwise : value,
  lower: value => shown(value).toLowerCase(),
  upper: value => shown(value).toUpperCase(),
  trim: value => shown(value).trim(),
  int: value => Math.trunc(Number(value)) || 0,
  string: value => shown(value),
  length: value => (typeof value === 'string' || Array.isArray(value) ? value.length : Object.keys(value ?? {}).length),
  join: (value, between = '') => (Array.isArray(value) ? value.map(shown).join(shown(between)) : value),
  replace: (value, from, to) => shown(value).replaceAll(shown(from), () => shown(to)),
  tojson: value => JSON.stringify(value),
}

function primary(reader: Reader): Expression {
  const { kind, value } = reader.next()
  if (kind === 'text') return () => value
  if (kind === 'number') return () => Number(value)
  if (kind === 'sign' && value === '(') {
    const inner = ternary(reader)
    reader.needs(')')
    return inner
  }
  if (kind === 'sign' && value === '[') {
    const items = list(reader, ']')
    return scope => items.map(item => item(scope))
  }
  if (kind !== 'name') throw reader.wrong()
  if (Object.hasOwn(constants, value)) return () => constants[value]
  return scope => member(scope, value)
}

const constants: Record<string, unknown> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
}

function list(reader: Reader, end: string): Expression[] {
  const items: Expression[] = []
  while (!reader.takes(end)) {
    items.push(ternary(reader))
    if (!reader.takes(',')) {
      reader.needs(end)
      return items
    }
  }
  return items
}
