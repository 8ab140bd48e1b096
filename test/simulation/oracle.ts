/**
 * What must never happen in a simulation, whatever went wrong. What the rows may never show is the ledger's; here are
 * the machines: a change by somebody who does not hold the node, an instance that loses its power or its disk, an image
 * written twice over or cut off by those who wrote it, a state that the disk does not bear out.
 */
import type { ProvisionState } from '#protocol/states.ts'
import type { Process } from './host.ts'
import { Ledger } from './ledger.ts'
import type { Store } from './store.ts'
import type { SimTime } from './time.ts'

/** How long a request to an agent may be under way, and the one that looked before it. */
const underWayMs = 1_000

interface LiveFlow {
  id: number
  kind: string
  phase: string
}

export class Oracle {
  readonly #store: Store
  readonly #time: SimTime
  readonly #ledger: Ledger
  readonly #found: string[] = []
  /** Steps that were begun in this boot of a machine, with the flow that had them begun, by node. */
  readonly #begun = new Map<string, { flowId: number | undefined; step: string; atMs: number }[]>()
  readonly #diskOf: (nodeUuid: string) => string | null

  /** @param diskOf the image that is whole on a machine's disk */
  constructor(store: Store, time: SimTime, diskOf: (nodeUuid: string) => string | null) {
    this.#store = store
    this.#time = time
    this.#diskOf = diskOf
    this.#ledger = new Ledger(
      store,
      () => time.now(),
      (uuid, state) => this.#stateReached(uuid, state),
    )
    store.ledger = this.#ledger
  }

  get violations(): string[] {
    return [...this.#ledger.violations, ...this.#found]
  }

  /** Something is wrong that the simulation itself has seen. */
  broken(text: string): void {
    this.#found.push(text)
  }

  /** A conductor is about to ask a machine for a change, for a flow or without one. */
  request(process: Process, nodeUuid: string, flowId: number | undefined, what: string): void {
    if (flowId === undefined || this.#ledger.mayAct(process, flowId, nodeUuid)) return
    this.broken(`${process.hostname} asks ${nodeUuid} for "${what}" in flow ${flowId}, and does not hold the node`)
  }

  /** A machine does what was asked for. */
  change(hostname: string, nodeUuid: string, what: string): void {
    const flow = this.#liveFlow(nodeUuid)
    const state = this.#stateOf(nodeUuid)
    if (state === 'active' && !flow && what !== 'power on' && what !== 'boot from Hdd')
      this.broken(`${hostname} asks ${nodeUuid} for "${what}" while its instance runs and nobody works on it`)
    const writing = this.#begun.get(nodeUuid)?.find(one => one.step === 'deploy.write_image')
    if (!writing || what === 'power on' || this.#diskOf(nodeUuid) !== null) return
    if (flow?.id === writing.flowId && flow?.phase === 'run')
      this.broken(`${hostname} asks ${nodeUuid} for "${what}" while the same flow has its image written`)
  }

  /** A step begins on the agent of a machine. */
  stepBegins(nodeUuid: string, step: string): void {
    const flow = this.#liveFlow(nodeUuid)
    const begun = this.#begun.get(nodeUuid) ?? []
    this.#begun.set(nodeUuid, begun)
    const kinds = step.startsWith('clean.') ? ['clean', 'undeploy'] : ['deploy']
    if (!flow || !kinds.includes(flow.kind))
      this.broken(`${step} begins on ${nodeUuid} in "${this.#stateOf(nodeUuid)}", during ${flow?.kind ?? 'nothing'}`)
    // A request of one who lost the node meanwhile cannot be called back; no later one may be made.
    const again = begun.find(one => one.step === step && one.flowId === flow?.id)
    if (again && this.#time.now() - again.atMs > underWayMs)
      this.broken(`${step} begins on ${nodeUuid} twice in one boot and one flow`)
    if (step === 'deploy.write_image' && begun.some(one => one.step === step))
      this.broken(`an image is written on ${nodeUuid} twice in one boot`)
    begun.push({ flowId: flow?.id, step, atMs: this.#time.now() })
  }

  /** Whatever ran on the machine has ended: its power went, or it started anew. */
  bootEnds(nodeUuid: string): void {
    this.#begun.delete(nodeUuid)
  }

  /** Does nobody hold a node or work on one? */
  isQuiet(): boolean {
    const busy = this.#store.row(
      `SELECT EXISTS (SELECT 1 FROM nodes WHERE lease_holder IS NOT NULL)
       OR EXISTS (SELECT 1 FROM flows WHERE state IN ('ready', 'running', 'waiting')) AS busy`,
    )
    return busy?.busy === 0
  }

  /** Looks at what is left at the end. */
  conclude(): void {
    const rows = (sql: string) => this.#store.rows(sql)
    for (const { uuid, provision_state: state } of rows('SELECT uuid, provision_state FROM nodes'))
      this.#stateReached(String(uuid), String(state) as ProvisionState) // written along the table
    for (const { uuid } of rows('SELECT uuid FROM nodes WHERE lease_holder IS NOT NULL'))
      this.broken(`node ${uuid} is still held at the end`)
    for (const { id, kind, state } of rows(
      "SELECT id, kind, state FROM flows WHERE state IN ('ready', 'running', 'waiting')",
    ))
      this.broken(`flow ${id} (${kind}) is still ${state} at the end`)
    for (const { id, kind } of rows(
      "SELECT id, kind FROM flows WHERE state = 'failed' AND (error IS NULL OR error = '' OR error_code = 'internal')",
    ))
      this.broken(`flow ${id} (${kind}) failed without an explanation`)
    for (const { id, ends } of rows(
      `SELECT id, (SELECT count(*) FROM events WHERE flow_id = flows.id AND kind = 'ended') AS ends FROM flows
       WHERE state IN ('done', 'failed', 'aborted') AND ends <> 1`,
    ))
      this.broken(`the end of flow ${id} was told ${ends} times`)
  }

  /** What a state says of a machine's disk must be so. */
  #stateReached(nodeUuid: string, state: ProvisionState): void {
    const disk = this.#diskOf(nodeUuid)
    if (state === 'active') {
      const row = this.#store.row('SELECT instance_info FROM nodes WHERE uuid = ?', nodeUuid)
      const { image_source: wanted } = JSON.parse(String(row?.instance_info))
      if (disk !== wanted) this.broken(`${nodeUuid} is active with ${disk ?? 'nothing'} on its disk, not ${wanted}`)
    }
    if (state === 'available' && disk !== null) this.broken(`${nodeUuid} is available with ${disk} on its disk`)
  }

  #stateOf(nodeUuid: string): ProvisionState {
    const row = this.#store.row('SELECT provision_state FROM nodes WHERE uuid = ?', nodeUuid)
    return String(row?.provision_state) as ProvisionState // as above
  }

  #liveFlow(nodeUuid: string): LiveFlow | undefined {
    const row = this.#store.row(
      `SELECT id, kind, phase FROM flows WHERE node_uuid = ? AND kind NOT IN ('power', 'boot settings')
       AND state IN ('ready', 'running', 'waiting') ORDER BY id DESC`,
      nodeUuid,
    )
    return row && { id: Number(row.id), kind: String(row.kind), phase: String(row.phase) }
  }
}
