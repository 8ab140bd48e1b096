/**
 * Templates of configuration files in the language that operators have theirs in: Jinja's output, if, for, set, raw and
 * comments. Only data goes in, and nothing is called: a template can do no more than be wrong.
 *
 * Source: Jinja, "Template Designer Documentation" (behaviour restated). Absent: macros, inheritance, includes.
 */
import { type Expression, isTruthy, mustHave, parseExpression, type Scope, shown } from './expression.ts'
import { TemplateWrong } from './faults.ts'

type Node =
  | { kind: 'text'; text: string }
  | { kind: 'output'; line: number; text: string; expression: Expression }
  | { kind: 'set'; line: number; text: string; name: string; expression: Expression }
  | { kind: 'if'; line: number; branches: { text: string; condition: Expression | null; body: Node[] }[] }
  | { kind: 'for'; line: number; text: string; name: string; items: Expression; body: Node[] }

/**
 * Fills a template in. A name that is not known is an error; one line break at the end is dropped, as Jinja does.
 * @throws TemplateWrong
 */
export function renderTemplate(template: string, scope: Scope): string {
  const parser = new Parser(pieces(template.replace(/\r\n/g, '\n').replace(/\n$/, '')))
  const nodes = parser.body([])
  return rendered(nodes, { ...scope })
}

interface Piece {
  kind: 'text' | 'output' | 'statement'
  text: string
  line: number
}

/** Parts of the text, with the blanks gone that a `-` beside a bracket takes away. */
function pieces(template: string): Piece[] {
  const pattern =
    /\{%([-+]?)\s*raw\s*(-?)%\}([\s\S]*?)\{%(-?)\s*endraw\s*(-?)%\}|\{\{([-+]?)([\s\S]*?)(-?)\}\}|\{%([-+]?)([\s\S]*?)(-?)%\}|\{#(-?)([\s\S]*?)(-?)#\}/g
  const found: Piece[] = []
  let [at, line, trimNext] = [0, 1, false]
  const text = (raw: string, trimEnd: boolean) => {
    const start = trimNext ? raw.trimStart() : raw
    found.push({ kind: 'text', text: trimEnd ? start.trimEnd() : start, line })
  }
  const pass = (raw: string) => {
    line += raw.split('\n').length - 1
  }
  for (const match of template.matchAll(pattern)) {
    const [whole, rawBefore, rawInner1, raw, rawInner2, rawAfter] = match
    const [outBefore, output, outAfter, stBefore, statement, stAfter, coBefore, , coAfter] = match.slice(6)
    const before = template.slice(at, match.index)
    text(before, [rawBefore, outBefore, stBefore, coBefore].includes('-'))
    pass(before)
    if (output !== undefined) found.push({ kind: 'output', text: output, line })
    if (statement !== undefined) found.push({ kind: 'statement', text: statement.trim(), line })
    if (raw !== undefined) {
      const start = rawInner1 === '-' ? raw.trimStart() : raw
      found.push({ kind: 'text', text: rawInner2 === '-' ? start.trimEnd() : start, line })
    }
    trimNext = [rawAfter, outAfter, stAfter, coAfter].includes('-')
    pass(whole)
    at = match.index + whole.length
  }
  const rest = template.slice(at)
  const open = /\{[{%#]/.exec(rest)
  if (open) {
    pass(rest.slice(0, open.index))
    throw new TemplateWrong(line, `"${open[0]}" is never closed`)
  }
  text(rest, false)
  return found
}

class Parser {
  readonly #pieces: readonly Piece[]
  #at = 0

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces
  }

  /** Nodes up to a statement that begins with one of these words, which is left for the caller; none: to the end. */
  body(ends: readonly string[], opened?: { line: number; text: string }): Node[] {
    const nodes: Node[] = []
    for (;;) {
      const piece = this.#pieces[this.#at]
      if (piece === undefined) {
        if (opened === undefined) return nodes
        throw new TemplateWrong(opened.line, `"{% ${opened.text} %}" has no ${ends.at(-1)}`)
      }
      if (piece.kind === 'statement' && ends.includes(wordOf(piece.text))) return nodes
      this.#at += 1
      const { line, text } = piece
      if (piece.kind === 'text') nodes.push({ kind: 'text', text })
      else if (piece.kind === 'output') {
        nodes.push({ kind: 'output', line, text, expression: parseExpression(text, line) })
      } else nodes.push(this.#statement(piece))
    }
  }

  #statement({ text, line }: Piece): Node {
    const word = wordOf(text)
    if (word === 'if') return this.#if(text, line)
    if (word === 'for') {
      const [, name, items] = /^for\s+(\w+)\s+in\s+([\s\S]+)$/.exec(text) ?? []
      if (name === undefined || items === undefined) throw new TemplateWrong(line, `cannot read "{% ${text} %}"`)
      const body = this.body(['endfor'], { line, text })
      this.#at += 1
      return { kind: 'for', line, text: items, name, items: parseExpression(items, line), body }
    }
    const [, name, value] = /^set\s+(\w+)\s*=([\s\S]+)$/.exec(text) ?? []
    if (name !== undefined && value !== undefined) {
      return { kind: 'set', line, text: value, name, expression: parseExpression(value, line) }
    }
    throw new TemplateWrong(line, `there is no statement "{% ${text} %}"; expected if, for, set or raw, well closed`)
  }

  #if(text: string, line: number): Node {
    const branches: Extract<Node, { kind: 'if' }>['branches'] = []
    let condition = text.slice('if'.length)
    let isElse = false
    for (;;) {
      const body = this.body(isElse ? ['endif'] : ['elif', 'else', 'endif'], { line, text })
      branches.push({ text: condition, condition: isElse ? null : parseExpression(condition, line), body })
      const piece = this.#pieces[this.#at] as Piece // where body has stopped
      this.#at += 1
      const word = wordOf(piece.text)
      if (word === 'endif') return { kind: 'if', line, branches }
      isElse = word === 'else'
      condition = piece.text.slice(word.length)
    }
  }
}

const wordOf = (statement: string) => /^\w+/.exec(statement)?.[0] ?? ''

function rendered(nodes: readonly Node[], scope: Record<string, unknown>): string {
  return nodes.map(node => renderedNode(node, scope)).join('')
}

function renderedNode(node: Node, scope: Record<string, unknown>): string {
  switch (node.kind) {
    case 'text':
      return node.text
    case 'output':
      return shown(mustHave(node.expression, scope, node.line, node.text))
    case 'set':
      scope[node.name] = mustHave(node.expression, scope, node.line, node.text)
      return ''
    case 'if': {
      for (const { text, condition, body } of node.branches) {
        if (condition === null || isTruthy(mustHave(condition, scope, node.line, text))) return rendered(body, scope)
      }
      return ''
    }
    case 'for': {
      const items = mustHave(node.items, scope, node.line, node.text)
      const list = Array.isArray(items) ? items : Object.keys(items ?? {})
      return list.map(item => rendered(node.body, { ...scope, [node.name]: item })).join('')
    }
  }
}
