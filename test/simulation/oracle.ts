/**
 * What must never happen in a simulation, whatever went wrong: a move that the table does not have, a change of a
 * machine by somebody who does not hold its node, an image written twice over or cut off by those who wrote it.
 */
import { type ProvisionState, provision } from '#protocol/states.ts'
import type { Store } from './store.ts'

export class Oracle {
  readonly violations: string[] = []
  readonly #store: Store
  /** Flow that has had an image written in this boot of a machine, by node. */
  readonly #writing = new Map<string, number | undefined>()

  readonly #isWritten: (nodeUuid: string) => boolean

  /** @param isWritten whether the image that a machine was to get is whole on its disk */
  constructor(store: Store, isWritten: (nodeUuid: string) => boolean) {
    this.#store = store
    this.#isWritten = isWritten
  }

  /** A conductor asks a machine for a change. */
  change(hostname: string, nodeUuid: string, what: string): void {
    const node = this.#store.sqlite
      .prepare('SELECT lease_holder, provision_state FROM nodes WHERE uuid = ?')
      .get(nodeUuid)
    if (node?.lease_holder !== hostname) {
      this.#broken(`${hostname} asks ${nodeUuid} for "${what}", which ${node?.lease_holder ?? 'nobody'} holds`)
    }
    const writer = this.#writing.get(nodeUuid)
    if (writer === undefined || what === 'power on' || this.#isWritten(nodeUuid)) return
    const flow = this.#liveFlow(nodeUuid)
    if (flow?.id === writer && flow.phase === 'run') {
      this.#broken(`${hostname} asks ${nodeUuid} for "${what}" while the same flow has its image written`)
    }
  }

  /** A step begins on the agent of a machine. */
  stepBegins(nodeUuid: string, step: string): void {
    if (step !== 'deploy.write_image') return
    const flow = this.#liveFlow(nodeUuid)
    if (this.#writing.has(nodeUuid)) this.#broken(`an image is written on ${nodeUuid} twice in one boot`)
    this.#writing.set(nodeUuid, flow?.id)
  }

  /** Whatever ran on the machine has ended: its power went, or it started anew. */
  bootEnds(nodeUuid: string): void {
    this.#writing.delete(nodeUuid)
  }

  /** Looks at every move that was made, and at what is left at the end. */
  conclude(): void {
    const made = this.#store.sqlite.prepare('SELECT DISTINCT came_from, went_to FROM temp.moves').all()
    for (const { came_from, went_to } of made) {
      if (!isReachable(String(came_from) as ProvisionState, String(went_to))) {
        this.#broken(`a node moved from "${came_from}" to "${went_to}", which the table does not have`)
      }
    }
    const held = this.#store.sqlite.prepare('SELECT uuid FROM nodes WHERE lease_holder IS NOT NULL').all()
    for (const { uuid } of held) this.#broken(`node ${uuid} is still held at the end`)
    const live = this.#store.sqlite
      .prepare("SELECT id, kind, state FROM flows WHERE state IN ('ready', 'running', 'waiting')")
      .all()
    for (const { id, kind, state } of live) this.#broken(`flow ${id} (${kind}) is still ${state} at the end`)
    const mute = this.#store.sqlite.prepare(
      "SELECT id, kind FROM flows WHERE state = 'failed' AND (error IS NULL OR error = '' OR error_code = 'internal')",
    )
    for (const { id, kind } of mute.all()) this.#broken(`flow ${id} (${kind}) failed without an explanation`)
  }

  #liveFlow(nodeUuid: string): { id: number; phase: string } | undefined {
    const row = this.#store.sqlite
      .prepare(
        `SELECT id, phase FROM flows WHERE node_uuid = ? AND kind NOT IN ('power', 'boot settings')
         AND state IN ('ready', 'running', 'waiting') ORDER BY id DESC`,
      )
      .get(nodeUuid)
    return row && { id: Number(row.id), phase: String(row.phase) }
  }

  #broken(text: string): void {
    this.violations.push(text)
  }
}

/** One transaction may make two moves of the table at once: a flow that fails right out of its wait, say. */
function isReachable(from: ProvisionState, to: string): boolean {
  const steps = Object.values(provision[from].on)
  return (
    steps.includes(to as ProvisionState) ||
    steps.some(middle => Object.values(provision[middle].on).includes(to as never))
  )
}
