/** The demo's clock: what is done now, how long each stage took, and, within a deployment, where its seconds went. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabService } from './service.ts'

export class Stages {
  readonly #print: (line: string) => void
  readonly #rows: { name: string; seconds: number }[] = []
  readonly #began = performance.now()

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  /** Does a stage, telling what it is; its seconds go into the table. */
  async run<T>(name: string, title: string, work: () => Promise<T>): Promise<T> {
    this.#print(`\n== ${title}`)
    const began = performance.now()
    const result = await work()
    this.#rows.push({ name, seconds: (performance.now() - began) / 1000 })
    return result
  }

  /** Watches the deployment of nodes; where each one's seconds went becomes rows of the table. */
  watch(service: Pick<LabService, 'api'>, names: readonly string[]): { stop(): Promise<void> } {
    const abort = new AbortController()
    const done = Promise.all(names.map(name => this.#watchOne(service, name, names.length > 1, abort.signal)))
    return {
      async stop() {
        abort.abort()
        await done
      },
    }
  }

  async #watchOne(
    service: Pick<LabService, 'api'>,
    name: string,
    several: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    let phase = ''
    let since = performance.now()
    const turn = (next: string) => {
      if (next === phase) return
      const now = performance.now()
      if (phase !== '')
        this.#rows.push({ name: `  ${several ? `${name}: ` : ''}${phase}`, seconds: (now - since) / 1000 })
      phase = next
      since = now
    }
    while (!signal.aborted) {
      const node = await service.api.get(`/v1/nodes/${name}`).catch(() => undefined)
      if (node) turn(phaseOf(node))
      await sleep(250, undefined, { signal }).catch(() => {})
    }
    turn('')
  }

  /** The table of stages with their seconds. */
  table(): string {
    const total = { name: 'total', seconds: (performance.now() - this.#began) / 1000 }
    const rows = [...this.#rows, total]
    const width = Math.max(...rows.map(row => row.name.length), 5)
    const line = (name: string, seconds: string) => `${name.padEnd(width)}  ${seconds.padStart(9)}`
    const body = rows.map(row => line(row.name, row.seconds.toFixed(1)))
    return [line('stage', 'seconds'), '-'.repeat(width + 11), ...body].join('\n')
  }
}

/** What a deploying node is at: the running step, in words where one step has two halves. */
function phaseOf(node: Record<string, unknown>): string {
  const step = (node.deploy_step as { step?: string } | undefined)?.step
  if (node.provision_state === 'active') return ''
  if (node.provision_state === 'available') return 'accepted'
  if (step === undefined) return 'prepare'
  if (step === 'deploy') return 'boot ramdisk'
  return step.replaceAll('_', ' ')
}
