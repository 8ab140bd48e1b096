/**
 * What a watched run shows while it lasts: on a terminal one line, redrawn in place, with a bar; elsewhere a line per
 * phase and one per ten per cent of the run. Written to the error stream, so that the result stays clean.
 */
import type { Now, Run } from '#protocol/timeline.ts'
import { harmless } from './output.ts'
import { duration, size } from './progress-view.ts'
import type { Output, Terminal } from './terminal.ts'

const barWidth = 24

export class WatchView {
  readonly #name: string
  readonly #err: Output
  readonly #live: boolean
  /** Phase and tenth that were written last, where the output is no terminal. */
  #written = { phase: '', tenth: -1 }

  constructor(name: string, terminal: Terminal) {
    this.#name = name
    this.#err = terminal.err
    this.#live = terminal.err.isTTY === true && terminal.env.TERM !== 'dumb'
  }

  update({ kind, seconds, now }: Run): void {
    if (!now) return
    const line = [`${this.#name}: ${kind}`, ...parts(now, seconds, { bar: this.#live })].join('  ')
    if (this.#live) {
      this.#err.write(`\r\x1b[K${harmless(line).slice(0, (this.#err.columns ?? 80) - 1)}`)
      return
    }
    const phase = `${now.phase} ${now.step ?? ''}`
    const tenth = now.fraction === null ? -1 : Math.floor(10 * now.fraction)
    if (phase === this.#written.phase && tenth <= this.#written.tenth) return
    this.#written = { phase, tenth: Math.max(tenth, this.#written.tenth) }
    this.#err.write(`${harmless(line)}\n`)
  }

  finish({ kind, outcome, seconds, unattributed_s }: Run): void {
    const lost = unattributed_s === 0 ? '' : `, ${duration(unattributed_s * 1000)} of it unattributed`
    const line = `${this.#name}: ${kind} ${outcome} after ${duration(seconds * 1000)}${lost}`
    this.#err.write(`${this.#live ? '\r\x1b[K' : ''}${harmless(line)}\n`)
  }
}

function parts(now: Now, seconds: number, { bar: hasBar }: { bar: boolean }): string[] {
  const { phase, step, what, bytes, total_bytes, rate_bytes_per_s, fraction, eta_s, phase_eta_s, position } = now
  const share = fraction ?? now.phase_fraction
  const moved = bytes === null || (bytes === 0 && total_bytes === null) ? '' : size(bytes)
  const end = eta_s ?? phase_eta_s
  const left =
    end === null ? duration(seconds * 1000) : `${duration(end * 1000)} left${eta_s === null ? ' of the phase' : ''}`
  const all = [
    step === null ? phase : `${phase} (${step})`,
    hasBar ? (share === null ? '' : bar(share)) : what,
    share === null || hasBar ? '' : percent(share),
    position === null ? '' : `place ${position} in the queue`,
    total_bytes === null || moved === '' ? moved : `${moved} of ${size(total_bytes)}`,
    rate_bytes_per_s === null ? '' : `${size(rate_bytes_per_s)}/s`,
    left,
    now.is_overdue ? 'longer than usual' : '',
  ]
  return all.filter(part => part !== '')
}

const percent = (share: number) => `${Math.floor(100 * share)} %`

function bar(share: number): string {
  const done = Math.min(barWidth, Math.floor(barWidth * share))
  return `[${'#'.repeat(done)}${'-'.repeat(barWidth - done)}] ${percent(share).padStart(5)}`
}
