/** The report of a simulation as text for people. */
import { shown, table } from './figures.ts'
import type { Report } from './simulate.ts'

export function reportText(report: Report): string {
  const head = [
    'phase',
    'nodes',
    'failed',
    'seconds',
    'per hour',
    'p50',
    'p99',
    'retries',
    'heartbeats/s',
    'p50',
    'p99',
  ]
  const cost = ['service CPU', 'per node', 'memory', 'simulator CPU']
  const rows = report.phases.map(phase => {
    const { service, heartbeats } = phase
    return [
      phase.phase,
      String(phase.count),
      String(phase.failed),
      shown(phase.seconds),
      String(phase.per_hour),
      ms(phase.p50_ms),
      ms(phase.p99_ms),
      String(phase.retries),
      shown(heartbeats.per_s),
      ms(heartbeats.p50_ms),
      ms(heartbeats.p99_ms),
      shown(service?.cpu_s ?? null, ' s'),
      shown(service?.cpu_ms_per_node ?? null, ' ms'),
      shown(service?.rss_mib ?? null, ' MiB'),
      shown(phase.simulator.cpu_s, ' s'),
    ]
  })
  const failures = report.phases.flatMap(phase => phase.failures.map(text => `${phase.phase}: ${text}`))
  const { nodes, standing, concurrency, seed, seconds, machines } = report
  const counted = Object.entries(machines).map(([name, count]) => `${count} ${name.replaceAll('_', ' ')}`)
  return [
    '',
    table([[...head, ...cost], ...rows]),
    '',
    `${nodes} machines (${standing} standing), ${concurrency} under way at a time, seed ${seed}: ${shown(seconds)} s in all`,
    `on the machines: ${counted.join(', ')}`,
    ...inWords(report).map(line => `  ${line}`),
    ...(failures.length > 0 ? ['', 'The first failures:', ...failures.map(text => `  ${text}`)] : []),
  ].join('\n')
}

/** What a service is compared by. */
function inWords({ phases, service_peak_rss_mib: peakMib }: Report): string[] {
  const enrol = phases.find(({ phase }) => phase === 'enrol')
  const deploy = phases.find(({ phase }) => phase === 'deploy')
  const lines: string[] = []
  if (enrol) lines.push(`enrolled: ${shown(enrol.per_hour / 3600)} nodes/s`)
  if (deploy) {
    const { per_s, p50_ms, p99_ms } = deploy.heartbeats
    lines.push(`deployed: ${deploy.per_hour} nodes/hour`)
    const { late_p99_ms, late_max_ms } = deploy.simulator
    const own = `the simulator's own pauses: p99 ${ms(late_p99_ms)}, at most ${ms(late_max_ms)}`
    lines.push(`heartbeats meanwhile: ${shown(per_s)}/s, p50 ${ms(p50_ms)}, p99 ${ms(p99_ms)} (${own})`)
  }
  if (peakMib !== null) lines.push(`memory of the service: at most ${peakMib} MiB`)
  return lines
}

/** Milliseconds, or seconds once they are thousands. */
function ms(value: number | null): string {
  return value !== null && value >= 1000 ? shown(value / 1000, ' s') : shown(value, ' ms')
}
