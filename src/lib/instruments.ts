/**
 * Counters and histograms in memory, and how they read in the text format of Prometheus. Each keeps so many series and no
 * more: labels beyond that are counted together as `other`, so that no caller can fill the memory.
 *
 * Source: Prometheus, "Exposition formats" (text-based format 0.0.4) and "Metric and label naming".
 */

/** A metric as it is served: what it is, and its samples when they are asked for. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  /** Lines without their ends: a name (the family's, or with `_sum` and the like), labels, a value. */
  samples(): Iterable<string> | AsyncIterable<string>
}

interface About<Labels extends string> {
  name: string
  help: string
  labels: readonly Labels[]
}

type Values<Labels extends string> = Readonly<Record<Labels, string>>

/** Series that one instrument keeps. */
const mostSeries = 500

/** A number that only grows. */
export class Counter<Labels extends string> implements Family {
  readonly type = 'counter'
  readonly name: string
  readonly help: string
  readonly #series: Series<Labels, { value: number }>

  constructor({ name, help, labels }: About<Labels>) {
    this.name = name
    this.help = help
    this.#series = new Series(labels, () => ({ value: 0 }))
  }

  add(values: Values<Labels>, by = 1): void {
    this.#series.of(values).value += by
  }

  *samples(): Iterable<string> {
    for (const [labels, { value }] of this.#series) yield sample(this.name, labels, value)
  }
}

interface Spread {
  readonly counts: number[]
  sum: number
  count: number
}

/** How often a number fell below each of some bounds. */
export class Histogram<Labels extends string> implements Family {
  readonly type = 'histogram'
  readonly name: string
  readonly help: string
  readonly #bounds: readonly number[]
  readonly #series: Series<Labels, Spread>

  /** @param about.bounds upper ends of the buckets, growing; the last one, without end, is added */
  constructor({ name, help, labels, bounds }: About<Labels> & { bounds: readonly number[] }) {
    this.name = name
    this.help = help
    this.#bounds = bounds
    this.#series = new Series(labels, () => ({ counts: bounds.map(() => 0), sum: 0, count: 0 }))
  }

  observe(values: Values<Labels>, value: number): void {
    const spread = this.#series.of(values)
    const bucket = this.#bounds.findIndex(bound => value <= bound)
    if (bucket >= 0) spread.counts[bucket] = (spread.counts[bucket] ?? 0) + 1
    spread.sum += value
    spread.count += 1
  }

  *samples(): Iterable<string> {
    for (const [labels, { counts, sum, count }] of this.#series) {
      let below = 0
      for (const [index, bound] of this.#bounds.entries()) {
        below += counts[index] ?? 0
        yield sample(`${this.name}_bucket`, join(labels, labelText({ le: String(bound) })), below)
      }
      yield sample(`${this.name}_bucket`, join(labels, labelText({ le: '+Inf' })), count)
      yield sample(`${this.name}_sum`, labels, sum)
      yield sample(`${this.name}_count`, labels, count)
    }
  }
}

/** One line. @param labels as labelText() writes them; empty: none */
export function sample(name: string, labels: string, value: number): string {
  return `${name}${labels === '' ? '' : `{${labels}}`} ${value}`
}

export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',')
}

function join(...labels: string[]): string {
  return labels.filter(text => text !== '').join(',')
}

function escaped(text: string): string {
  return text.replace(/["\\\n]/g, found => (found === '\n' ? '\\n' : `\\${found}`))
}

/** What is kept for each combination of labels, by their text. */
class Series<Labels extends string, T> implements Iterable<[string, T]> {
  readonly #labels: readonly Labels[]
  readonly #make: () => T
  readonly #kept = new Map<string, T>()

  constructor(labels: readonly Labels[], make: () => T) {
    this.#labels = labels
    this.#make = make
  }

  of(values: Values<Labels>): T {
    const text = this.#textOf(label => values[label])
    return this.#kept.get(text) ?? this.#add(this.#kept.size < mostSeries ? text : this.#textOf(() => 'other'))
  }

  #add(text: string): T {
    const made = this.#kept.get(text) ?? this.#make()
    this.#kept.set(text, made)
    return made
  }

  #textOf(of: (label: Labels) => string): string {
    return labelText(Object.fromEntries(this.#labels.map(label => [label, of(label)])))
  }

  [Symbol.iterator](): Iterator<[string, T]> {
    return this.#kept[Symbol.iterator]()
  }
}
