/**
 * One pass through a flow's function, from the top to its next wait or its end: what the function sees as `flow`. It
 * answers from the record, records what is new under the node's lease, and tells the engine what it waits for. It never
 * starts, ends or schedules a flow.
 */
import type { Db, Trx } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import { type FlowRow, putStep, type StepRow, standingOf, writeProgress } from '#db/flows.ts'
import { findNode, LeaseLost, type Node, type NodePatch, writeNode } from '#db/nodes.ts'
import type { Flow, Wait } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { Conflict } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import type { Progress } from '#protocol/progress.ts'
import { provision } from '#protocol/states.ts'
import { ChildFlow, type ParentFlow, type Told } from './child-flow.ts'
import { movedFields } from './moves.ts'
import { moveTold } from './told.ts'

/** How often a held node is looked at although nobody woke its flow. */
const holdLookMs = 60_000

/** What a pass resolves `suspended` with when its function waits. */
export const suspended = Symbol('suspended')

/** The operator asked to stop. */
export class Aborted extends Conflict {
  override readonly name = 'Aborted'
}

/** The node was put in maintenance while it waited for its agent. */
export class InMaintenance extends Conflict {
  override readonly name = 'InMaintenance'
}

type Pausing = Pick<Wait, 'on' | 'everyMs' | 'release'> & { name: string; deadlineMs: number | null }

/** What a pass needs of the engine's world. */
export interface PassWorld {
  db: Db
  clock: Clock
  hostname: string
  /** The lease of another node until this pass ends; its token. @throws NodeLocked */
  lend(uuid: string): Promise<number>
  /** May work on a node in maintenance go on some time, or is it to end? */
  waitsInMaintenance(): boolean
}

/** One pass through a flow's function: what the function sees as `flow`. */
export class Pass implements ParentFlow {
  readonly id: number
  readonly nodeUuid: string
  readonly suspended: Promise<typeof suspended>
  waiting:
    | { name: string; on: readonly string[]; everyMs: number; deadlineMs: number | null; release: boolean }
    | undefined
  /** What it does now: it answers from the record, looks whether a wait is over, works, or goes to sleep. */
  stage: 'replay' | 'look' | 'work' | 'rest' = 'replay'
  readonly #world: PassWorld
  readonly #flow: FlowRow
  readonly #token: number
  readonly #stateless: boolean
  readonly #steps: Map<string, StepRow>
  readonly #signal: AbortSignal
  readonly #used = new Set<string>()
  #suspend: (value: typeof suspended) => void = () => {}
  #progressAtMs = 0
  /** What the step that is at work has to tell with its record; undefined between steps. */
  #untold: Told[] | undefined
  /** The node may be in a "wait" state still, as it was when the pass began: nothing has been recorded since. */
  #mayWait = true

  /** `token`: of the lease; `stateless`: the flow leaves the provision state alone. */
  constructor(
    world: PassWorld,
    flow: FlowRow,
    options: { token: number; stateless: boolean; steps: Map<string, StepRow>; signal: AbortSignal },
  ) {
    this.id = flow.id
    this.nodeUuid = flow.node_uuid
    this.#world = world
    this.#flow = flow
    this.#token = options.token
    this.#stateless = options.stateless
    this.#steps = options.steps
    this.#signal = options.signal
    this.suspended = new Promise(resolve => {
      this.#suspend = resolve
    })
  }

  async once<T>(name: string, work: () => Promise<T>): Promise<T> {
    const key = this.#key(name)
    const recorded = this.#steps.get(key)
    if (recorded?.state === 'done') return recorded.result as T // what `work` returned, through JSON
    this.stage = 'work'
    await this.#checkpoint()
    const started_at = timestamp(this.#world.clock.now())
    const untold: Told[] = []
    const result = await this.#working(work, untold)
    await this.#record({ name: key, started_at, state: 'done', result, deadlineMs: null }, {}, untold)
    return result
  }

  /** Does the work of a step, and keeps what it has to tell for its record. */
  async #working<T>(work: () => Promise<T>, untold: Told[]): Promise<T> {
    this.#untold = untold
    try {
      return await work()
    } catch (error) {
      // There will be no record: what it told before it failed is true all the same.
      for (const told of untold) await this.tellOf(told)
      throw error
    } finally {
      this.#untold = undefined
    }
  }

  async until<T>(name: string, wait: Wait, look: () => Promise<T | undefined>): Promise<T> {
    const key = this.#key(name)
    const recorded = this.#steps.get(key)
    if (recorded?.state === 'done') return recorded.result as T // what `look` returned, through JSON
    // A wait that has begun is for something that runs already (a step that must not be cut off): it is seen to its end.
    this.stage = recorded && wait.release ? 'look' : 'work'
    if (recorded) this.#signal.throwIfAborted()
    else await this.#checkpoint()
    if (recorded && (await this.#pausedBy(wait))) return this.#pause({ name: key, ...wait, deadlineMs: null })
    const { clock } = this.#world
    const started_at = recorded?.started_at ?? timestamp(clock.now())
    const deadlineMs = recorded ? recorded.deadlineMs : wait.timeoutMs > 0 ? clock.now() + wait.timeoutMs : null
    if (!recorded) await this.#record({ name: key, started_at, state: 'started', result: undefined, deadlineMs })
    // Whoever cuts looks off, however often, puts off the end of the wait by one look: the last is seen to its end.
    if (deadlineMs !== null && clock.now() >= deadlineMs) this.stage = 'work'
    const found = await look()
    if (found !== undefined) {
      if (this.stage === 'look') this.#signal.throwIfAborted()
      this.stage = 'work'
      await this.#record({ name: key, started_at, state: 'done', result: found, deadlineMs })
      return found
    }
    if (deadlineMs !== null && clock.now() >= deadlineMs) throw await wait.onTimeout()
    return this.#pause({ name: key, ...wait, deadlineMs })
  }

  async hold(name: string): Promise<void> {
    const key = this.#key(name)
    const recorded = this.#steps.get(key)
    if (recorded?.state === 'done') return
    const { clock } = this.#world
    const started_at = recorded?.started_at ?? timestamp(clock.now())
    this.stage = recorded ? 'look' : 'work'
    if (recorded) {
      this.#signal.throwIfAborted()
      const { provision_state } = await this.node()
      if (provision[provision_state].kind !== 'hold') {
        return this.#record({ name: key, started_at, state: 'done', result: null, deadlineMs: null })
      }
    } else {
      await this.#checkpoint()
      const node = await this.node()
      const moved = movedFields(node, 'hold', node.target_provision_state ?? undefined, clock.now())
      const told = [this.#moveOf(node, moved)]
      await this.#record({ name: key, started_at, state: 'started', result: undefined, deadlineMs: null }, moved, told)
    }
    return this.#pause({ name: key, on: ['unhold'], everyMs: holdLookMs, deadlineMs: null, release: true })
  }

  /** Ends this pass with a wait. */
  #pause({ name, on = [], everyMs, deadlineMs, release = false }: Pausing): Promise<never> {
    this.stage = 'rest'
    this.waiting = { name, on, everyMs, deadlineMs, release }
    this.#suspend(suspended)
    return new Promise<never>(() => {})
  }

  /**
   * A node in maintenance that waits for its agent stays as it is, without any limit, until that is lifted; what the
   * agent tells meanwhile counts afterwards. @throws InMaintenance where it may not even wait
   */
  async #pausedBy(wait: Wait): Promise<boolean> {
    if (!wait.release || !wait.on?.includes('heartbeat') || this.#flow.phase === 'undo') return false
    const { maintenance, maintenance_reason: reason } = await this.node()
    if (!maintenance) return false
    if (this.#world.waitsInMaintenance()) return true
    throw new InMaintenance(
      `The ${this.#flow.kind} of node ${this.nodeUuid} ends because the node was put in maintenance` +
        `${reason ? ` (${reason})` : ''}, which [conductor] allow_provisioning_in_maintenance forbids`,
    )
  }

  recall<T>(name: string): T | undefined {
    const recorded = this.#steps.get(name)
    return recorded?.state === 'done' ? (recorded.result as T) : undefined // what its step returned, through JSON
  }

  child(uuid: string, prefix: string): Flow {
    return new ChildFlow(this, { uuid, prefix, ...this.#world })
  }

  async write(patch: NodePatch): Promise<void> {
    await writeNode(this.#world.db, this.nodeUuid, this.#token, patch, this.#world.clock.now())
  }

  async move(name: string, event: string, patch: NodePatch = {}): Promise<void> {
    const key = this.#key(name)
    if (this.#steps.get(key)?.state === 'done') return
    this.stage = 'work'
    await this.#checkpoint()
    const { db, clock } = this.#world
    const node = await mustFind(db, this.nodeUuid)
    const moved = movedFields(node, event, undefined, clock.now())
    const started_at = timestamp(clock.now())
    const step = { name: key, started_at, state: 'done', result: null, deadlineMs: null } as const
    await this.#record(step, { ...patch, ...moved }, [this.#moveOf(node, moved)])
  }

  async node(): Promise<Node> {
    return mustFind(this.#world.db, this.nodeUuid)
  }

  async event(kind: string, data: Record<string, unknown>): Promise<void> {
    await this.eventOf({ nodeUuid: this.nodeUuid, kind, data })
  }

  async tell(kind: string, data: Record<string, unknown>): Promise<void> {
    await this.tellOf({ nodeUuid: this.nodeUuid, kind, data })
  }

  /** An event of this node or of one that it contains. */
  async eventOf(told: Told): Promise<void> {
    if (this.#untold) this.#untold.push(told)
    else await this.tellOf(told)
  }

  async tellOf({ nodeUuid, kind, data }: Told, db: Db | Trx = this.#world.db): Promise<void> {
    const { clock, hostname } = this.#world
    const all = { ...data, conductor: hostname }
    await appendEvent(db, { nowMs: clock.now(), node_uuid: nodeUuid, flow_id: this.id, kind, data: all })
  }

  #moveOf(node: Node, moved: NodePatch): Told {
    return { nodeUuid: node.uuid, kind: 'provision state', data: moveTold(node, moved, this.#world.clock.now()) }
  }

  async progress(progress: Progress | null): Promise<void> {
    const nowMs = this.#world.clock.now()
    if (progress !== null && nowMs - this.#progressAtMs < 900) return
    this.#progressAtMs = nowMs
    await writeProgress(this.#world.db, this.id, progress)
  }

  /** The stored name of a step; the two phases do not share names. */
  #key(name: string): string {
    const key = this.#flow.phase === 'undo' ? `undo/${name}` : name
    if (this.#used.has(key)) throw new Error(`flow ${this.#flow.kind} has two steps called ${key}`)
    this.#used.add(key)
    return key
  }

  /**
   * Records a step in one transaction with the proof that the lease is still ours, the node's way back to work, and
   * what the step has to tell.
   */
  async #record(
    step: Omit<StepRow, 'seq' | 'ended_at'>,
    patch: NodePatch = {},
    untold: readonly Told[] = [],
  ): Promise<void> {
    const { db, clock } = this.#world
    const nowMs = clock.now()
    const row: StepRow = {
      ...step,
      seq: this.#steps.get(step.name)?.seq ?? this.#steps.size + 1,
      ended_at: step.state === 'done' ? timestamp(nowMs) : null,
    }
    // A wait for the agent is over with the first step that is done: the node leaves its "wait" state.
    const resumes = this.#mayWait && !this.#stateless && this.#flow.phase === 'run' && step.state === 'done'
    await db.transaction().execute(async trx => {
      const fields = { ...patch, ...(resumes ? await this.#resumed(trx, nowMs) : {}) }
      await writeNode(trx, this.nodeUuid, this.#token, fields, nowMs)
      await putStep(trx, this.id, row)
      for (const told of untold) await this.tellOf(told, trx)
    })
    if (resumes) this.#mayWait = false
    this.#steps.set(step.name, row)
  }

  /** What takes the node from its "wait" state back to work, visibly held again; nothing where it is not in one. */
  async #resumed(trx: Trx, nowMs: number): Promise<NodePatch> {
    const node = await mustFind(trx, this.nodeUuid)
    if (provision[node.provision_state].kind !== 'wait') return {}
    const moved = movedFields(node, 'resume', node.target_provision_state ?? undefined, nowMs)
    await this.tellOf(this.#moveOf(node, moved), trx)
    return { ...moved, reservation: this.#world.hostname }
  }

  /** Between two steps: may this pass go on? Asks the rows: a process that stalled touches no machine any more. */
  async #checkpoint(): Promise<void> {
    this.#signal.throwIfAborted()
    const standing = await standingOf(this.#world.db, this.id, this.#token)
    if (!standing) throw new LeaseLost(`The lease on node ${this.nodeUuid} (token ${this.#token}) is no longer held`)
    if (standing.abortRequested && this.#flow.phase === 'run') throw new Aborted('aborted by the operator')
  }
}

/** The node, which must be there: whoever deleted it ended all work on it. */
export async function mustFind(db: Db | Trx, uuid: string): Promise<Node> {
  const node = await findNode(db, uuid)
  if (!node) throw new LeaseLost(`Node ${uuid} does not exist any more`)
  return node
}
