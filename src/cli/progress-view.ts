/**
 * What a wait shows while it lasts: on a terminal one line per node, redrawn in place, with a bar where the service
 * knows the bytes; elsewhere a line per change of state and one per ten per cent. Written to the error stream, so that
 * results stay clean.
 */
import type { Progress } from '#protocol/progress.ts'
import { harmless } from './output.ts'
import type { Output, Terminal } from './terminal.ts'

/** What is seen of a node at one look. */
export interface Sight {
  readonly state: string
  /** The running step as `interface.name`, also where no progress is known. */
  readonly step: string | undefined
  readonly progress: Progress | undefined
}

interface Row {
  sight: Sight
  /** When the state began, by our clock. */
  since: number
  /** The figures' own time stamp, and when we first saw it. */
  news: { stamp: string; at: number }
  /** Last tenth that was written, for output that is no terminal. */
  tenth: number
}

/** After this long without news the bar says so instead of promising an end. */
const silenceMs = 15_000

export class ProgressView {
  readonly #err: Output
  readonly #now: () => number
  readonly #live: boolean
  readonly #rows = new Map<string, Row>()
  #drawn = 0

  constructor(terminal: Terminal) {
    this.#err = terminal.err
    this.#now = terminal.now
    this.#live = terminal.err.isTTY === true && terminal.env.TERM !== 'dumb'
  }

  update(name: string, sight: Sight): void {
    const before = this.#rows.get(name)
    const now = this.#now()
    const stamp = sight.progress?.updated_at ?? ''
    const row: Row = {
      sight,
      since: before && before.sight.state === sight.state ? before.since : now,
      news: before?.news.stamp === stamp ? before.news : { stamp, at: now },
      tenth: before && samePhase(before.sight, sight) ? before.tenth : -1,
    }
    this.#rows.set(name, row)
    if (!this.#live) this.#writeNews(name, row, before)
  }

  /** The node's wait is over: its last line stays. */
  finish(name: string, text: string): void {
    this.#rows.delete(name)
    this.above(`${name}: ${text}`)
  }

  /** A line above the live ones. */
  above(text: string): void {
    this.#erase()
    this.#err.write(`${harmless(text)}\n`)
    this.draw()
  }

  /** Redraws the live lines; nothing where the output is no terminal. */
  draw(): void {
    if (!this.#live) return
    const columns = this.#err.columns ?? 80
    const names = [...this.#rows.keys()]
    const nameWidth = Math.max(0, ...names.map(({ length }) => length))
    const lines = [...this.#rows].map(([name, row]) => `${name.padEnd(nameWidth)}  ${this.#live1(row)}`)
    this.#erase()
    this.#err.write(lines.map(line => `${harmless(line).slice(0, columns - 1)}\n`).join(''))
    this.#drawn = lines.length
  }

  #erase(): void {
    if (this.#drawn > 0) this.#err.write(`\x1b[${this.#drawn}A\x1b[J`)
    this.#drawn = 0
  }

  #live1({ sight: { state, step, progress }, since, news }: Row): string {
    if (!progress) return `${state}${step ? `, ${step}` : ''}  ${duration(this.#now() - since)}`
    const silentMs = this.#now() - news.at
    const end = silentMs > silenceMs ? `no news for ${duration(silentMs)}` : remaining(progress)
    const parts = [state, progress.phase, bar(progress), amount(progress), rate(progress), end]
    return parts.filter(part => part !== '').join('  ')
  }

  /** One line when the state or step changed, or another tenth is done. */
  #writeNews(name: string, row: Row, before: Row | undefined): void {
    const { state, step, progress } = row.sight
    const changed = before?.sight.state !== state || before.sight.step !== step
    const tenth = progress?.total_bytes ? Math.floor((10 * progress.bytes) / progress.total_bytes) : -1
    if (!changed && tenth <= row.tenth) return
    row.tenth = Math.max(tenth, row.tenth)
    const where = step ? `${state}, ${step}` : state
    this.#err.write(`${harmless(progress ? `${name}: ${where}: ${sentence(progress)}` : `${name}: ${where}`)}\n`)
  }
}

function samePhase(a: Sight, b: Sight): boolean {
  return a.state === b.state && a.step === b.step && a.progress?.phase === b.progress?.phase
}

function sentence(progress: Progress): string {
  const share = progress.total_bytes ? ` ${percent(progress)} %` : ''
  const details = [amount(progress), rate(progress), remaining(progress)].filter(part => part !== '')
  return `${progress.phase}${share} (${details.join(', ')})`
}

const barWidth = 24

function bar(progress: Progress): string {
  if (!progress.total_bytes) return ''
  const done = Math.min(barWidth, Math.floor((barWidth * progress.bytes) / progress.total_bytes))
  return `[${'#'.repeat(done)}${'-'.repeat(barWidth - done)}] ${String(percent(progress)).padStart(3)} %`
}

function percent({ bytes, total_bytes }: Progress): number {
  return total_bytes ? Math.min(100, Math.floor((100 * bytes) / total_bytes)) : 0
}

function amount({ bytes, total_bytes }: Progress): string {
  return total_bytes ? `${size(bytes)} of ${size(total_bytes)}` : size(bytes)
}

function rate({ rate_bytes_per_s }: Progress): string {
  return rate_bytes_per_s === null ? '' : `${size(rate_bytes_per_s)}/s`
}

function remaining({ eta_s }: Progress): string {
  return eta_s === null ? '' : `${duration(eta_s * 1000)} left`
}

/** `512 B`, `45.3 MiB`. */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** `42 s`, `3 min 05 s`, `2 h 07 min`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}
