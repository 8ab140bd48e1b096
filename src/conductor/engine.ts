/**
 * Runs flows. A flow is one async function that reads top to bottom; what each of its steps returned is recorded, and
 * after a wait, a restart or a takeover the function runs again from the top while recorded steps answer at once.
 * Recovery is therefore the ordinary path, not a special one.
 *
 * The engine holds the node's lease while a flow works, moves the node through the state table, writes `last_error` and
 * runs the flow's undo. It knows no driver and no step. Rows decide what runs; `wake` and timers only say "look now".
 */
import type { Db, Trx } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import {
  claimFlow,
  type FlowRow,
  findFlow,
  insertFlow,
  nextWakeMs,
  reviveFlows,
  runnableFlows,
  stepsOf,
  updateFlow,
  wakeFlow,
  writeProgress,
} from '#db/flows.ts'
import {
  breakLeases,
  dropLease,
  LeaseLost,
  type Node,
  type NodePatch,
  renewLeases,
  takeLease,
  writeNode,
} from '#db/nodes.ts'
import type { Flow, FlowContext } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { Fault, messageOf, NodeLocked } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { type ProvisionState, target } from '#protocol/states.ts'
import type { Caller } from './conductor.ts'
import { movedFields } from './moves.ts'
import { Aborted, mustFind, Pass, suspended } from './pass.ts'

/** How long a lease lasts without renewal, and how often it is renewed. */
const leaseMs = 60_000
const renewEveryMs = 15_000
/** How many flows are looked at in one turn of the loop. */
const batch = 200

export type Args = Record<string, unknown>

/** A kind of flow: the recorded function, its undo, and what its failure writes on the node. */
export interface FlowDefinition {
  readonly kind: string
  /** It never moves the node along the state table (power changes), and may run beside a flow that waits. */
  readonly stateless?: boolean
  /** Does the work; returns the event that ends it well (`done`, `manage`), or null when no state is involved. */
  run(ctx: FlowContext, args: Args): Promise<string | null>
  /** Puts things back after a fault or an abort; also recorded, so that it survives a crash as well. */
  undo?(ctx: FlowContext, args: Args, failure: Failure): Promise<void>
  /** Fields written together with the failed state. */
  failed?(node: Node, failure: Failure): NodePatch
  /** Fields written together with the good end. */
  succeeded?(node: Node): NodePatch
  /** target_provision_state while it runs, where it differs from the state's own. */
  target?(args: Args): ProvisionState | undefined
}

export interface Failure {
  message: string
  code: string
  aborted: boolean
}

export interface EngineOptions {
  db: Db
  clock: Clock
  log: Log
  hostname: string
  /** A failure's text is cut to this many characters ([DEFAULT] log_in_db_max_size). */
  errorLimit: number
  definitions: readonly FlowDefinition[]
  /** Makes what drivers see of a node, for a flow. */
  context(flow: Flow, node: Node, signal: AbortSignal): Promise<FlowContext>
}

export class FlowEngine {
  readonly #options: EngineOptions
  readonly #definitions: ReadonlyMap<string, FlowDefinition>
  /** Leases this process holds for its flows: node to token. A copy for speed; the row decides. */
  readonly #held = new Map<string, number>()
  readonly #running = new Map<number, { done: Promise<void>; abort: AbortController }>()
  readonly #stop = new AbortController()
  #loop: Promise<void> | undefined
  #renewal: Promise<void> | undefined
  #kicked: () => void = () => {}
  #kickedAlready = false

  constructor(options: EngineOptions) {
    this.#options = options
    this.#definitions = new Map(options.definitions.map(definition => [definition.kind, definition]))
  }

  /** Takes up what a former life of this host left, then works until `stop`. */
  async start(): Promise<void> {
    const { db, hostname, log } = this.#options
    const nodes = await breakLeases(db, hostname)
    const flows = await reviveFlows(db)
    if (nodes.length > 0) log.info({ nodes, flows }, 'taking up the work that a former process left')
    this.#loop = this.#work()
    this.#renewal = this.#renew()
  }

  /** Stops at the next record; what runs goes on in the next process. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.kick()
    for (const { abort } of this.#running.values()) abort.abort()
    await Promise.allSettled([this.#loop, this.#renewal, ...[...this.#running.values()].map(run => run.done)])
  }

  /** Look at the rows now. */
  kick(): void {
    this.#kickedAlready = true
    this.#kicked()
  }

  /** Something happened that the node's flow may wait for. */
  async wake(nodeUuid: string, event: string): Promise<void> {
    if (await wakeFlow(this.#options.db, nodeUuid, event)) this.kick()
  }

  /**
   * Starts a flow: takes the lease, moves the node by `event`, and records what is to be done, all in one transaction
   * (or nothing). When it returns, a reader of the API sees the new state.
   * @throws NodeLocked when somebody works on the node; Conflict when its state does not allow the event any more
   */
  async begin(request: {
    nodeUuid: string
    kind: string
    args: Args
    event: string | null
    caller: Caller
    patch?: (node: Node) => NodePatch
    /** A flow that waits on this node and is set aside, without its undo, by what begins now. */
    replaces?: number
  }): Promise<void> {
    const { db, clock, hostname } = this.#options
    const definition = this.#definition(request.kind)
    const nowMs = clock.now()
    const token = await db.transaction().execute(async trx => {
      const lease = { holder: hostname, purpose: request.kind, nowMs, forMs: leaseMs, visible: true }
      const token = await takeLease(trx, request.nodeUuid, lease)
      const node = await mustFind(trx, request.nodeUuid)
      const patch: NodePatch = { last_error: null, ...request.patch?.(node) }
      if (request.event !== null)
        Object.assign(patch, this.#moved(node, request.event, definition, request.args, nowMs))
      await writeNode(trx, node.uuid, token, patch, nowMs)
      if (request.replaces !== undefined) {
        await updateFlow(trx, request.replaces, { state: 'aborted', ended_at: timestamp(nowMs) })
      }
      const { user, requestId } = request.caller
      const flowId = await insertFlow(trx, {
        node_uuid: node.uuid,
        kind: request.kind,
        args: request.args,
        requested_by: user,
        request_id: requestId,
        nowMs,
      })
      await appendEvent(trx, {
        nowMs,
        node_uuid: node.uuid,
        flow_id: flowId,
        kind: 'requested',
        data: { flow: request.kind, event: request.event, from: node.provision_state, user },
      })
      return token
    })
    this.#held.set(request.nodeUuid, token)
    this.kick()
  }

  /** Ends the waiting flow of a node: the node shows the state of `event` at once, then the flow's undo runs. */
  async abort(node: Node, flow: FlowRow, event: string, message: string): Promise<void> {
    const { db, clock, hostname } = this.#options
    const nowMs = clock.now()
    const token = await db.transaction().execute(async trx => {
      const lease = { holder: hostname, purpose: `abort ${flow.kind}`, nowMs, forMs: leaseMs, visible: true }
      const token = await takeLease(trx, node.uuid, lease)
      const now = await mustFind(trx, node.uuid)
      const patch = this.#moved(now, event, this.#definition(flow.kind), flow.args, nowMs)
      await writeNode(trx, node.uuid, token, { ...patch, last_error: message }, nowMs)
      await updateFlow(trx, flow.id, {
        state: 'ready',
        phase: 'undo',
        abort_requested: 1,
        error: message,
        error_code: 'aborted',
        wake_at_ms: null,
        deadline_ms: null,
      })
      await appendEvent(trx, { nowMs, node_uuid: node.uuid, flow_id: flow.id, kind: 'aborted', data: { message } })
      return token
    })
    this.#held.set(node.uuid, token)
    this.kick()
  }

  // The loop: find what can run, run it, sleep until the next is due or somebody kicks.

  async #work(): Promise<void> {
    const { db, clock, log } = this.#options
    while (!this.#stop.signal.aborted) {
      this.#kickedAlready = false
      const kicked = new Promise<void>(resolve => {
        this.#kicked = resolve
      })
      let waitMs = 1000
      try {
        const due = (await runnableFlows(db, clock.now(), batch)).filter(flow => !this.#running.has(flow.id))
        for (const flow of due) this.#launch(flow)
        const next = await nextWakeMs(db)
        if (next !== null) waitMs = Math.min(waitMs, Math.max(20, next - clock.now()))
      } catch (error) {
        log.error({ err: error }, 'cannot read the flows; looking again in a second')
      }
      if (this.#kickedAlready) continue
      const sleeper = new AbortController()
      const slept = clock.sleep(waitMs, AbortSignal.any([this.#stop.signal, sleeper.signal])).catch(() => {})
      await Promise.race([kicked, slept])
      sleeper.abort()
    }
  }

  #launch(flow: FlowRow): void {
    const abort = new AbortController()
    const done = this.#run(flow, AbortSignal.any([abort.signal, this.#stop.signal]))
      .catch(error => {
        const { log } = this.#options
        if (this.#stop.signal.aborted) return
        if (error instanceof LeaseLost) this.#held.delete(flow.node_uuid)
        if (error instanceof LeaseLost) log.warn({ flow: flow.id, node: flow.node_uuid }, error.message)
        else log.error({ err: error, flow: flow.id, node: flow.node_uuid }, 'a flow could not be run')
      })
      .finally(() => {
        this.#running.delete(flow.id)
        this.kick()
      })
    this.#running.set(flow.id, { done, abort })
  }

  /** One pass of a flow: from the top to its next wait or its end. */
  async #run(flow: FlowRow, signal: AbortSignal): Promise<void> {
    const { db, clock, log } = this.#options
    const token = await this.#lease(flow)
    if (token === undefined) {
      // Somebody works on the node for a moment; this flow is next.
      await clock.sleep(100, signal).catch(() => {})
      return
    }
    if (!(await claimFlow(db, flow.id))) {
      await this.#release(flow.node_uuid, token)
      return
    }
    const definition = this.#definition(flow.kind)
    const current = (await findFlow(db, flow.id)) ?? flow
    const pass = new Pass(this.#options, current, token, await stepsOf(db, flow.id), signal)
    const node = await mustFind(db, flow.node_uuid)
    const failure: Failure = {
      message: current.error ?? '',
      code: current.error_code ?? '',
      aborted: current.abortRequested,
    }
    try {
      const ctx = await this.#options.context(pass, node, signal)
      const body =
        current.phase === 'run'
          ? definition.run(ctx, current.args)
          : (definition.undo?.(ctx, current.args, failure) ?? Promise.resolve()).then(() => null)
      // After a suspension the function is left where it stands: it waits on a promise that nobody will settle.
      const event = await Promise.race([body, pass.suspended])
      if (event === suspended) return await this.#sleep(pass, current, token)
      if (current.phase === 'run') await this.#succeed(current, definition, token, event)
      else await this.#fail(current, definition, token, failure)
    } catch (error) {
      if (signal.aborted || error instanceof LeaseLost) throw error
      if (current.phase === 'undo') {
        log.error({ err: error, node: flow.node_uuid }, `undoing ${flow.kind} failed`)
        const also = messageOf(error) === failure.message ? ' for the same reason' : `, too: ${messageOf(error)}`
        const message = `${failure.message} (cleaning up failed${also})`
        return await this.#fail(current, definition, token, { ...failure, message })
      }
      await this.#turnToUndo(current, token, describe(error, this.#options))
    }
  }

  /** The lease of the flow's node: the one held since `begin`, or taken anew. Undefined: somebody else has it. */
  async #lease(flow: FlowRow): Promise<number | undefined> {
    const held = this.#held.get(flow.node_uuid)
    if (held !== undefined) return held
    const { db, clock, hostname } = this.#options
    try {
      // A look while waiting for the agent is not work on the node: the API goes on showing it as free.
      const lease = { holder: hostname, purpose: flow.kind, nowMs: clock.now(), forMs: leaseMs }
      const token = await takeLease(db, flow.node_uuid, { ...lease, visible: flow.state === 'ready' })
      this.#held.set(flow.node_uuid, token)
      return token
    } catch (error) {
      if (error instanceof NodeLocked) return undefined
      throw error
    }
  }

  async #release(nodeUuid: string, token: number): Promise<void> {
    this.#held.delete(nodeUuid)
    await dropLease(this.#options.db, nodeUuid, token)
  }

  /** Goes to sleep: the wait becomes the flow's row, and a wait for the agent frees the node. */
  async #sleep(pass: Pass, flow: FlowRow, token: number): Promise<void> {
    const { db, clock } = this.#options
    const wait = pass.waiting
    if (!wait) throw new Error(`flow ${flow.id} is suspended without a wait`)
    const nowMs = clock.now()
    if (wait.release) this.#held.delete(flow.node_uuid)
    await db.transaction().execute(async trx => {
      const node = await mustFind(trx, flow.node_uuid)
      const definition = this.#definition(flow.kind)
      const wake = Math.min(nowMs + wait.everyMs, wait.deadlineMs ?? Number.POSITIVE_INFINITY)
      await updateFlow(trx, flow.id, {
        state: 'waiting',
        wait_name: wait.name,
        wait_on: wait.on.join(','),
        wake_at_ms: wake,
        deadline_ms: wait.deadlineMs,
      })
      const moves = wait.release && target(node.provision_state, 'wait') !== undefined
      const patch = moves ? this.#moved(node, 'wait', definition, flow.args, nowMs) : {}
      await writeNode(trx, node.uuid, token, patch, nowMs)
      if (moves) await this.#moveEvent(trx, flow, node, patch.provision_state, nowMs)
      if (wait.release) await dropLease(trx, node.uuid, token)
    })
  }

  async #succeed(flow: FlowRow, definition: FlowDefinition, token: number, event: string | null): Promise<void> {
    const { db, clock } = this.#options
    const nowMs = clock.now()
    this.#held.delete(flow.node_uuid)
    await db.transaction().execute(async trx => {
      const node = await mustFind(trx, flow.node_uuid)
      const patch: NodePatch = { ...definition.succeeded?.(node) }
      if (event !== null) Object.assign(patch, this.#moved(node, event, definition, flow.args, nowMs))
      await writeNode(trx, node.uuid, token, patch, nowMs)
      await this.#end(trx, flow, 'done', null, nowMs)
      await this.#moveEvent(trx, flow, node, patch.provision_state, nowMs)
      await dropLease(trx, node.uuid, token)
    })
  }

  async #turnToUndo(flow: FlowRow, token: number, failure: Failure): Promise<void> {
    const { db, clock, log } = this.#options
    log.warn({ node: flow.node_uuid, flow: flow.kind, code: failure.code }, failure.message)
    await db.transaction().execute(async trx => {
      await writeNode(trx, flow.node_uuid, token, { last_error: failure.message }, clock.now())
      const { message: error, code: error_code } = failure
      await updateFlow(trx, flow.id, { state: 'ready', phase: 'undo', error, error_code, deadline_ms: null })
      await writeProgress(trx, flow.id, null)
    })
  }

  async #fail(flow: FlowRow, definition: FlowDefinition, token: number, failure: Failure): Promise<void> {
    const { db, clock } = this.#options
    const nowMs = clock.now()
    this.#held.delete(flow.node_uuid)
    await db.transaction().execute(async trx => {
      const node = await mustFind(trx, flow.node_uuid)
      const patch: NodePatch = { last_error: failure.message, ...definition.failed?.(node, failure) }
      if (!definition.stateless && target(node.provision_state, 'fail') !== undefined) {
        Object.assign(patch, this.#moved(node, 'fail', definition, flow.args, nowMs))
      }
      await writeNode(trx, node.uuid, token, patch, nowMs)
      await this.#end(trx, flow, failure.aborted ? 'aborted' : 'failed', failure, nowMs)
      await this.#moveEvent(trx, flow, node, patch.provision_state, nowMs)
      await dropLease(trx, node.uuid, token)
    })
  }

  async #end(trx: Trx, flow: FlowRow, state: FlowRow['state'], failure: Failure | null, nowMs: number): Promise<void> {
    await updateFlow(trx, flow.id, {
      state,
      error: failure?.message ?? null,
      error_code: failure?.code ?? null,
      wake_at_ms: null,
      deadline_ms: null,
      ended_at: timestamp(nowMs),
    })
    await writeProgress(trx, flow.id, null)
    const data = { flow: flow.kind, state, ...(failure ? { error: failure.message, code: failure.code } : {}) }
    await appendEvent(trx, { nowMs, node_uuid: flow.node_uuid, flow_id: flow.id, kind: 'ended', data })
  }

  async #moveEvent(trx: Trx, flow: FlowRow, node: Node, to: string | undefined, nowMs: number): Promise<void> {
    if (to === undefined || to === node.provision_state) return
    const data = { from: node.provision_state, to }
    await appendEvent(trx, { nowMs, node_uuid: node.uuid, flow_id: flow.id, kind: 'provision state', data })
  }

  /** The fields that a move along the table writes. @throws Conflict when the table has no such move */
  #moved(node: Node, event: string, definition: FlowDefinition, args: Args, nowMs: number): NodePatch {
    return movedFields(node, event, definition.target?.(args), nowMs)
  }

  #definition(kind: string): FlowDefinition {
    const definition = this.#definitions.get(kind)
    if (!definition) throw new Error(`no flow is called ${kind}`)
    return definition
  }

  /** Prolongs the held leases while their flows run. */
  async #renew(): Promise<void> {
    const { db, clock, log } = this.#options
    while (!this.#stop.signal.aborted) {
      await clock.sleep(renewEveryMs, this.#stop.signal).catch(() => {})
      if (this.#held.size === 0) continue
      try {
        await renewLeases(db, this.#held, clock.now() + leaseMs)
      } catch (error) {
        log.error({ err: error }, 'cannot renew the leases')
      }
    }
  }
}

/** What the operator reads of a fault; of a bug no more than that it was one, the log has the rest. */
function describe(error: unknown, { log, errorLimit }: Pick<EngineOptions, 'log' | 'errorLimit'>): Failure {
  if (error instanceof Aborted) return { message: error.message, code: 'aborted', aborted: true }
  if (error instanceof Fault) return { message: error.message.slice(0, errorLimit), code: error.code, aborted: false }
  log.error({ err: error }, 'a flow failed with an error that is a bug')
  const message = `Internal error, please report it: ${messageOf(error)}`
  return { message: message.slice(0, errorLimit), code: 'internal', aborted: false }
}
