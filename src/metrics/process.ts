/**
 * Metrics of this process: how long its event loop was busy without looking up, memory, processor time. Names that are
 * no one's in particular are those of Prometheus' own clients.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Family, labelText, sample } from '#lib/instruments.ts'

/** How often the delay is looked at; it is measured with what that takes. */
const resolutionMs = 10
/** Delays are told of the last whole span of this length. */
const spanMs = 15_000
const quantiles = [0.5, 0.9, 0.99, 1] as const

/** @returns the metrics, and what ends the measuring */
export function measureProcess(): { families: Family[]; stop(): void } {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  const read = () => quantiles.map(q => Math.max(0, delay.percentile(q * 100) / 1e9 - resolutionMs / 1000))
  let last: number[] | undefined
  const turning = setInterval(() => {
    last = read()
    delay.reset()
  }, spanMs).unref()

  const single = (name: string, help: string, value: () => number, type: Family['type'] = 'gauge'): Family => ({
    name,
    help,
    type,
    samples: () => [sample(name, '', value())],
  })
  const name = 'ferrite_event_loop_delay_seconds'
  const families: Family[] = [
    {
      name,
      help: `How late the event loop came to its work in the last ${spanMs / 1000} seconds; quantile 1 is the longest.`,
      type: 'summary',
      samples() {
        const values = last ?? read()
        return quantiles.map((q, index) => sample(name, labelText({ quantile: String(q) }), values[index] ?? 0))
      },
    },
    single(
      'process_cpu_seconds_total',
      'Processor time that this process used, with that of the system for it.',
      () => {
        const { user, system } = process.cpuUsage()
        return (user + system) / 1e6
      },
      'counter',
    ),
    single('process_resident_memory_bytes', 'Memory of this process.', () => process.memoryUsage.rss()),
    single(
      'process_start_time_seconds',
      'When this process was started, in seconds since 1970.',
      () => performance.timeOrigin / 1000,
    ),
  ]
  return {
    families,
    stop() {
      clearInterval(turning)
      delay.disable()
    },
  }
}
