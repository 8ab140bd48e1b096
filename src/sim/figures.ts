/** Figures of a run: latencies as percentiles, a program's use of the machine, and tables for people. Measures nothing by itself. */
import { readdir, readFile } from 'node:fs/promises'

export interface Latencies {
  count: number
  p50_ms: number | null
  p99_ms: number | null
  max_ms: number | null
}

/** What was measured, in any order; all null when nothing was. */
export function latenciesOf(ms: readonly number[]): Latencies {
  const sorted = Float64Array.from(ms).sort()
  const at = (share: number) => {
    const value = sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
    return value === undefined ? null : Math.round(value * 10) / 10
  }
  return { count: sorted.length, p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1) }
}

/** What a process and its children have used. */
export interface Usage {
  cpu_s: number
  rss_mib: number
}

/** Reads /proc; zeros for a process that is gone. */
export async function usageOf(pid: number): Promise<Usage> {
  const total: Usage = { cpu_s: 0, rss_mib: 0 }
  for (const each of await familyOf(pid)) {
    const own = await statOf(each)
    if (own === null) continue
    total.cpu_s += own.cpu_s
    total.rss_mib += own.rss_mib
  }
  return total
}

/** Clock ticks per second, and pages, as all Linux systems that we run on have them. Source: proc_pid_stat(5). */
const TICKS_PER_S = 100
const PAGE_BYTES = 4096

async function statOf(pid: number): Promise<(Usage & { parent: number }) | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null)
  if (text === null) return null
  // The name in brackets may hold anything; what counts comes after it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [parent, user, system, pages] = [1, 11, 12, 21].map(index => Number(fields[index]))
  return {
    parent: parent ?? 0,
    cpu_s: ((user ?? 0) + (system ?? 0)) / TICKS_PER_S,
    rss_mib: ((pages ?? 0) * PAGE_BYTES) / 2 ** 20,
  }
}

async function familyOf(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const parents = await Promise.all(pids.map(async one => [one, (await statOf(one))?.parent ?? 0] as const))
  const family = [pid]
  for (const member of family) family.push(...parents.flatMap(([one, parent]) => (parent === member ? [one] : [])))
  return family
}

/** Rows of texts as lines; the first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const lines = rows.map(row =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))),
  )
  return lines.map(cells => cells.join('  ').trimEnd()).join('\n')
}

/** A number for people: three figures, no more. */
export function shown(value: number | null, unit = ''): string {
  if (value === null || !Number.isFinite(value)) return '-'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return `${value.toFixed(digits)}${unit}`
}
