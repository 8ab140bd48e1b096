/**
 * One simulation from the first node to the last phase: who stands and who goes through the phases, and what was
 * measured in each. It decides nothing about machines or service; those are made and ended by its caller.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from '#cli/client.ts'
import { Fault } from '#lib/fault.ts'
import { Campaign, type Phase, type PhaseResult } from './campaign.ts'
import { type Latencies, latenciesOf, type Usage, usageOf } from './figures.ts'
import { idleStep } from './ramdisk-commands.ts'
import type { Target } from './target.ts'

export interface SimulationOptions {
  target: Target
  api: Api
  /** Requests that were made again so far. */
  retries: () => number
  /** How long heartbeats took, in milliseconds, since it was last asked. */
  takeHeartbeats: () => number[]
  phases: readonly Phase[]
  /** Machines that only send heartbeats. */
  standing: number
  concurrency: number
  seed: number
  signal: AbortSignal
  say(line: string): void
}

export interface PhaseReport extends PhaseResult {
  heartbeats: Latencies & { per_s: number }
  /** Of the service, where it is ours; memory at its highest. */
  service: (Usage & { cpu_ms_per_node: number }) | null
  /** `late_*`: by how much its own event loop was late, which counts as latency of the service too. */
  simulator: { cpu_s: number; rss_mib: number; late_p99_ms: number; late_max_ms: number }
}

export interface Report {
  nodes: number
  standing: number
  concurrency: number
  seed: number
  seconds: number
  phases: PhaseReport[]
  /** What happened on all machines together. */
  machines: Record<string, number>
  service_peak_rss_mib: number | null
}

/** Of nodes that go through the phases: thousands that stand are not to be listed with them at each look. */
const goers = { resource_class: 'going' }

/** Requests for machines to stand that are under way at a time. */
const standersAtOnce = 8

/** Standing machines did not begin to stand. */
class NotStanding extends Fault {
  readonly status = 500
  readonly code = 'not-standing'
}

export async function simulate(options: SimulationOptions): Promise<Report> {
  const { target, phases, standing, say } = options
  const began = performance.now()
  const machines = target.fleet.machines
  const [idle, going] = [machines.slice(0, standing), machines.slice(standing)]
  const standers = new Set(idle)
  const cleans = phases.includes('clean')
  let toldMs = performance.now()
  const campaign = new Campaign({
    ...options,
    machines: going,
    enrolment: machine => ({
      ...target.enrolment(machine),
      ...(cleans ? {} : { automated_clean: false }),
      ...(standers.has(machine) ? {} : goers),
    }),
    instanceInfo: target.instanceInfo,
    onProgress: (phase, done, of) => {
      if (performance.now() - toldMs < 5000 && done < of) return
      toldMs = performance.now()
      say(`${phase}: ${done} of ${of}`)
    },
  })
  const meter = new Meter(target, options.takeHeartbeats)
  const reports: PhaseReport[] = []
  // Nodes become available by way of cleaning, which does nothing where it is switched off.
  const needsProvide = !cleans && phases.some(phase => phase === 'deploy' || phase === 'undeploy')
  try {
    for (const phase of phases) {
      if (phase === 'deploy' && needsProvide) await campaign.run('clean', going, goers)
      // All are enrolled and managed; what comes next is for those that do not stand.
      const all = phase === 'enrol' || phase === 'manage' || phase === 'remove'
      const result = await meter.during(() => (all ? campaign.run(phase, machines) : campaign.run(phase, going, goers)))
      reports.push({ ...result.value, ...result.figures })
      if (phase === 'manage' && idle.length > 0) await stand(campaign, idle, options)
    }
  } finally {
    await meter.stop()
  }
  return {
    nodes: machines.length,
    standing,
    concurrency: options.concurrency,
    seed: options.seed,
    seconds: Math.round((performance.now() - began) / 100) / 10,
    phases: reports,
    machines: { ...target.fleet.counters },
    service_peak_rss_mib: target.pid === undefined ? null : Math.round(meter.peakMib),
  }
}

/** Puts machines into a cleaning without end, and waits until the agents of all have begun it. */
async function stand(campaign: Campaign, idle: Target['fleet']['machines'], options: SimulationOptions): Promise<void> {
  const { target, signal, say, concurrency } = options
  const before = target.fleet.counters.steps
  const begun = () => target.fleet.counters.steps - before
  let toldMs = performance.now()
  let asked = 0
  const queue = idle.values()
  const worker = async () => {
    for (const machine of queue) {
      if (performance.now() - toldMs >= 5000) {
        toldMs = performance.now()
        say(`stand: ${begun()} of ${idle.length}`)
      }
      // No more boots at a time than there are nodes under way otherwise.
      for (let left = 2400; left > 0 && asked - begun() >= concurrency; left--) await sleep(50, undefined, { signal })
      asked += 1
      await campaign.beginCleaning(machine, [{ interface: 'deploy', step: idleStep }])
    }
  }
  await Promise.all(Array.from({ length: standersAtOnce }, worker))
  const until = performance.now() + 300_000
  while (begun() < idle.length) {
    if (performance.now() > until) throw new NotStanding(`Only ${begun()} of ${idle.length} machines stand after 300 s`)
    await sleep(250, undefined, { signal })
  }
  say(`${idle.length} machines stand and send heartbeats`)
  options.takeHeartbeats()
}

/** How often the simulator's event loop is expected to come round. */
const LOOKS_EVERY_MS = 10

/** What is measured is the whole time from one look to the next. */
const latenessMs = (ns: number) => Math.max(0, Math.round(ns / 1e6) - LOOKS_EVERY_MS)

/** What service and simulator use while something is done. */
class Meter {
  /** Highest memory of the service that was seen. */
  peakMib = 0
  readonly #target: Target
  readonly #takeHeartbeats: () => number[]
  readonly #stop = new AbortController()
  readonly #sampling: Promise<void>
  readonly #lateness = monitorEventLoopDelay({ resolution: LOOKS_EVERY_MS })
  #phasePeakMib = 0

  constructor(target: Target, takeHeartbeats: () => number[]) {
    this.#target = target
    this.#takeHeartbeats = takeHeartbeats
    this.#sampling = this.#sample()
    this.#lateness.enable()
  }

  async during(work: () => Promise<PhaseResult>) {
    const { pid } = this.#target
    this.#takeHeartbeats()
    this.#phasePeakMib = 0
    this.#lateness.reset()
    const before = pid === undefined ? null : await usageOf(pid)
    const ownBefore = process.cpuUsage()
    const value = await work()
    const own = process.cpuUsage(ownBefore)
    const after = pid === undefined ? null : await usageOf(pid)
    const heartbeats = this.#takeHeartbeats()
    const cpuS = (after?.cpu_s ?? 0) - (before?.cpu_s ?? 0)
    const figures = {
      heartbeats: { ...latenciesOf(heartbeats), per_s: Math.round((heartbeats.length / value.seconds) * 10) / 10 },
      service:
        after === null
          ? null
          : {
              cpu_s: Math.round(cpuS * 100) / 100,
              cpu_ms_per_node: Math.round((cpuS * 100_000) / Math.max(1, value.count)) / 100,
              rss_mib: Math.round(Math.max(after.rss_mib, this.#phasePeakMib)),
            },
      simulator: {
        cpu_s: Math.round((own.user + own.system) / 10_000) / 100,
        rss_mib: Math.round(process.memoryUsage.rss() / 2 ** 20),
        late_p99_ms: latenessMs(this.#lateness.percentile(99)),
        late_max_ms: latenessMs(this.#lateness.max),
      },
    }
    return { value, figures }
  }

  async stop(): Promise<void> {
    this.#lateness.disable()
    this.#stop.abort()
    await this.#sampling
  }

  async #sample(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const { pid } = this.#target
      if (pid !== undefined) {
        const { rss_mib } = await usageOf(pid)
        this.#phasePeakMib = Math.max(this.#phasePeakMib, rss_mib)
        this.peakMib = Math.max(this.peakMib, rss_mib)
      }
      await sleep(1000, undefined, { signal }).catch(() => {})
    }
  }
}
