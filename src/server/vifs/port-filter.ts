/**
 * Filters of trait-based networking: which ports go to which networks. A text becomes a function; what is wrong in it is
 * told with the place.
 *
 *     port.vendor == 'acme' && (network.name =~ 'storage' || network.tags == 'fast') && port.is_port
 *
 * `&&` binds stronger than `||`. A port or network that lacks what is asked for is not equal to anything, and begins with
 * nothing.
 *
 * Source: ironic/common/trait_based_networking (names, comparators and their meaning, restated).
 */

/** What a filter is asked about. */
export interface Pair {
  readonly port: {
    readonly kind: 'port' | 'portgroup'
    readonly address: string | null
    readonly category: string | null
    readonly physical_network: string | null
    readonly vendor: string | null
  }
  /** Null: any, so that what is asked of networks holds. */
  readonly network: { readonly name: string | null; readonly tags: readonly string[] } | null
}

export type PortFilter = (pair: Pair) => boolean

/** The text is no filter; the message says where and what was expected. */
export class NoFilter extends Error {}

const texts = {
  'network.name': ({ network }: Pair) => network?.name ?? null,
  'port.address': ({ port }: Pair) => port.address,
  'port.category': ({ port }: Pair) => port.category,
  'port.physical_network': ({ port }: Pair) => port.physical_network,
  'port.vendor': ({ port }: Pair) => port.vendor,
} as const
const lists = { 'network.tags': ({ network }: Pair) => network?.tags ?? [] } as const
const questions = {
  'port.is_port': ({ port }: Pair) => port.kind === 'port',
  'port.is_portgroup': ({ port }: Pair) => port.kind === 'portgroup',
} as const

const ofText: Readonly<Record<string, (found: string, wanted: string) => boolean>> = {
  '==': (found, wanted) => found === wanted,
  '!=': (found, wanted) => found !== wanted,
  '>=': (found, wanted) => found >= wanted,
  '>': (found, wanted) => found > wanted,
  '<=': (found, wanted) => found <= wanted,
  '<': (found, wanted) => found < wanted,
  '=~': (found, wanted) => found.startsWith(wanted),
}
const ofList: Readonly<Record<string, (found: readonly string[], wanted: string) => boolean>> = {
  '==': (found, wanted) => found.includes(wanted),
  '!=': (found, wanted) => !found.includes(wanted),
  '=~': (found, wanted) => found.some(one => one.startsWith(wanted)),
}

const names = [...Object.keys(texts), ...Object.keys(lists), ...Object.keys(questions)].sort()
/** A filter within so many parentheses is a mistake. */
const deepest = 50

/** @throws NoFilter */
export function parseFilter(text: string): PortFilter {
  const words = wordsOf(text)
  let at = 0
  let depth = 0
  const take = () => words[at++] as Word // the last word is the end, which nobody takes away
  const peek = () => words[at] as Word // so there is one
  const refuse = (word: Word, expected: string): never => {
    const found = word.kind === 'end' ? 'the end' : JSON.stringify(word.text)
    throw new NoFilter(`found ${found} at character ${word.at + 1}, expected ${expected}`)
  }

  function either(): PortFilter {
    const parts = [both()]
    while (peek().text === '||') {
      take()
      parts.push(both())
    }
    return pair => parts.some(part => part(pair))
  }

  function both(): PortFilter {
    const parts = [single()]
    while (peek().text === '&&') {
      take()
      parts.push(single())
    }
    return pair => parts.every(part => part(pair))
  }

  function single(): PortFilter {
    const word = take()
    if (word.text === '(') {
      depth += 1
      if (depth > deepest) refuse(word, `at most ${deepest} parentheses within each other`)
      const inner = either()
      const end = take()
      if (end.text !== ')') refuse(end, ')')
      depth -= 1
      return inner
    }
    if (word.kind !== 'name' || !names.includes(word.text)) return refuse(word, `one of ${names.join(', ')}`)
    return Object.hasOwn(questions, word.text)
      ? questions[word.text as keyof typeof questions] // its own key
      : comparison(word)
  }

  function comparison(name: Word): PortFilter {
    const isList = Object.hasOwn(lists, name.text)
    const comparators: Readonly<Record<string, unknown>> = isList ? ofList : ofText
    const sign = take()
    if (!Object.hasOwn(comparators, sign.text)) refuse(sign, `one of ${Object.keys(comparators).join(' ')}`)
    const literal = take()
    if (literal.kind !== 'literal') refuse(literal, "a text in single quotes, such as 'storage'")
    const wanted = literal.text.slice(1, -1)
    const isOfNetwork = name.text.startsWith('network.')
    if (isList) {
      const read = lists[name.text as keyof typeof lists] // its own key
      const holds = ofList[sign.text]
      return pair => pair.network === null || (holds?.(read(pair), wanted) ?? false)
    }
    const read = texts[name.text as keyof typeof texts] // names that are neither lists nor questions
    const holds = ofText[sign.text]
    return pair => {
      if (isOfNetwork && pair.network === null) return true
      const found = read(pair)
      return found === null ? sign.text === '!=' : (holds?.(found, wanted) ?? false)
    }
  }

  const filter = either()
  if (peek().kind !== 'end') refuse(peek(), '&&, || or the end')
  return filter
}

interface Word {
  kind: 'name' | 'sign' | 'literal' | 'end'
  text: string
  at: number
}

/** Names, signs, and texts in quotes, which hold what Ironic's may, and the colons of MAC addresses. */
const wordPattern = /\s*(?:([a-z]+\.[a-z_]+)|(&&|\|\||==|!=|>=|<=|=~|[<>()])|('[A-Za-z0-9_.:-]*'))/y

function wordsOf(text: string): Word[] {
  const words: Word[] = []
  wordPattern.lastIndex = 0
  const endOf = text.trimEnd().length
  while (wordPattern.lastIndex < endOf) {
    const from = wordPattern.lastIndex
    const [whole = '', name, sign, literal] = wordPattern.exec(text) ?? []
    if (whole === '') {
      const at = from + (/^\s*/.exec(text.slice(from))?.[0].length ?? 0)
      throw new NoFilter(
        `found ${JSON.stringify(text.slice(at, at + 20))} at character ${at + 1}, expected a name such as port.vendor, a ` +
          'comparator, a text in single quotes of letters, digits and -_.: or one of && || ( )',
      )
    }
    const word = name ?? sign ?? literal ?? ''
    const kind = name === undefined ? (sign === undefined ? 'literal' : 'sign') : 'name'
    words.push({ kind, text: word, at: from + whole.length - word.length })
  }
  return [...words, { kind: 'end', text: '', at: text.length }]
}
