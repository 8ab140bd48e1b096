/**
 * Runs flows. A flow is one async function that reads top to bottom; what each of its steps returned is recorded, and
 * after a wait, a restart or a takeover the function runs again from the top while recorded steps answer at once.
 * Recovery is therefore the ordinary path, not a special one.
 *
 * The engine holds the node's lease while a flow works, moves the node through the state table, writes `last_error` and
 * runs the flow's undo. It knows no driver and no step. Rows decide what runs; `wake` and timers only say "look now".
 */
import { type Db, inTransaction, type Trx } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import { DatabaseUnavailable } from '#db/faults.ts'
import type { Served } from '#db/fleet.ts'
import {
  claimFlow,
  type FlowRow,
  findFlow,
  insertFlow,
  liveFlow,
  nextWakeMs,
  reviveFlows,
  runnableFlows,
  stepsOf,
  updateFlow,
  wakeFlow,
} from '#db/flows.ts'
import { adoptFlows, breakLease, orphanFlows } from '#db/handover.ts'
import {
  breakLeases,
  dropLease,
  findNode,
  type Lease,
  LeaseLost,
  type Node,
  type NodePatch,
  takeLease,
  writeNode,
} from '#db/nodes.ts'
import type { Flow, FlowContext } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { type Load, noLoad } from '#lib/event-loop.ts'
import { Conflict, Fault, messageOf, NotFound } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import type { CommandHeader } from '#protocol/agent.ts'
import type { Caller } from './conductor.ts'
import { FlowCourse } from './flow-course.ts'
import type { Args, Failure, FlowDefinition } from './flow-definition.ts'
import { FlowLeases, type HeldLease, leaseMs } from './flow-leases.ts'
import { LookPace } from './pace.ts'
import { Aborted, mustFind, Pass, suspended } from './pass.ts'
import { alone, type Peers } from './peers.ts'
import { asked, standing } from './told.ts'

/** How often leases are renewed. */
const renewEveryMs = 15_000
/** How many flows are looked at in one turn of the loop, and taken up in one bite. */
const batch = 200
const orphanBatch = 500
/** How often the rows are looked at although nobody said that there is something new. */
const lookAtLeastEveryMs = 1000
/** The reason of a signal that cuts a look off. */
const interrupted = Symbol('somebody else needs the node')
/** Ends a sleep that is not needed any more; an error, with its stack, would be made for nobody. */
const overslept = Symbol('there is work')

/** A flow that this process works on now. */
interface Run {
  readonly nodeUuid: string
  readonly abort: AbortController
  done: Promise<void>
  /** It only looks whether a wait is over that freed the node; until it finds so, it may be cut off. */
  isLook?: boolean
  pass?: Pass
}

export interface EngineOptions {
  db: Db
  clock: Clock
  log: Log
  hostname: string
  /** A failure's text is cut to this many characters ([DEFAULT] log_in_db_max_size). */
  errorLimit: number
  /** Agents that have nothing to tell call no sooner after their last call. */
  regularCallMs: number
  /** How busy this process is: what can wait is put off. Default: never. */
  load?: Load
  /** Does a node in maintenance wait for its agent until that is lifted, instead of failing? Default: it does. */
  waitsInMaintenance?(): boolean
  definitions: readonly FlowDefinition[]
  /** The other conductors. Default: there are none. */
  peers?: Peers
  /** Makes what drivers see of a node, for a flow. */
  context(flow: Flow, node: Node, signal: AbortSignal): Promise<FlowContext>
}

export class FlowEngine {
  readonly #options: EngineOptions
  readonly #definitions: ReadonlyMap<string, FlowDefinition>
  readonly #peers: Peers
  readonly #leases: FlowLeases
  readonly #course: FlowCourse
  readonly #running = new Map<number, Run>()
  readonly #stop = new AbortController()
  readonly #pace: LookPace
  #loop: Promise<void> | undefined
  #renewal: Promise<void> | undefined
  #kicked: () => void = () => {}
  #kickedAlready = false

  constructor(options: EngineOptions) {
    this.#options = options
    const { load = noLoad, regularCallMs: regularMs } = options
    this.#pace = new LookPace(options.clock, { signal: this.#stop.signal, regularMs, busy: () => load.busy() })
    this.#leases = new FlowLeases(options)
    this.#course = new FlowCourse(options, { leases: this.#leases, pace: this.#pace })
    this.#peers = options.peers ?? alone(options.hostname)
    this.#definitions = new Map(options.definitions.map(definition => [definition.kind, definition]))
  }

  /** Takes up what a former life of this host left, then works until `stop`. */
  async start(): Promise<void> {
    const { db, hostname, log } = this.#options
    const nodes = await breakLeases(db, { holder: hostname })
    if (nodes.length > 0) log.info({ nodes }, 'taking up the work that a former process left')
    await this.takeUp()
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
    const wake = () => this.#wakeNow(nodeUuid, event)
    await (event === 'heartbeat' ? this.#pace.called(nodeUuid, wake) : wake())
  }

  /** The node's agent called and told nothing new, but perhaps whether its command still runs: it may have ended. */
  async heard(nodeUuid: string, command?: CommandHeader): Promise<void> {
    await this.#pace.heard(nodeUuid, command, () => this.#wakeNow(nodeUuid, 'heartbeat'))
  }

  async #wakeNow(nodeUuid: string, event: string): Promise<void> {
    for (const hostname of await wakeFlow(this.#options.db, nodeUuid, event)) this.call(hostname)
  }

  /** There is work for this conductor. */
  call(hostname: string): void {
    if (hostname === this.#options.hostname) this.kick()
    else this.#peers.wake(hostname)
  }

  /**
   * Takes up what others let fall: flows that nobody runs although they count as running, and flows that belong to
   * nobody whose nodes this conductor serves now.
   */
  async takeUp(db: Db = this.#options.db): Promise<void> {
    const { hostname, log } = this.#options
    const revived = await reviveFlows(db)
    const orNotTo = this.#peers.alone ? hostname : undefined
    const adopted: number[] = []
    for (let afterId = 0; ; ) {
      const orphans = await orphanFlows(db, { afterId, limit: orphanBatch, orNotTo })
      const ours = orphans.filter(flow => this.#serves(flow.node))
      adopted.push(...(await adoptFlows(db, ours, hostname)))
      if (orphans.length < orphanBatch) break
      afterId = orphans.at(-1)?.id ?? afterId
    }
    if (adopted.length > 0) log.warn({ flows: adopted }, 'taking up work that belongs to nobody')
    if (revived > 0 || adopted.length > 0) this.kick()
  }

  async #ownerOf(trx: Trx, nodeUuid: string): Promise<string> {
    const node = await findNode(trx, nodeUuid)
    if (!node) throw new NotFound(`Node ${nodeUuid} could not be found`)
    return this.#peers.ownerOf(node)
  }

  #serves(node: Served): boolean {
    try {
      return this.#peers.ownerOf(node) === this.#options.hostname
    } catch (error) {
      if (error instanceof Fault) return false
      throw error
    }
  }

  /**
   * Takes a node from whoever holds it, here or elsewhere, and lets its flow run anew from its record. Returns the lease
   * that was ended; undefined where nobody held the node.
   */
  async unlock(nodeUuid: string, caller: Caller): Promise<Lease | undefined> {
    const { db, clock, hostname } = this.#options
    const lease = await breakLease(db, nodeUuid)
    if (!lease) return undefined
    const { holder, purpose, since } = lease
    const node = await mustFind(db, nodeUuid)
    const data = { holder, purpose, since, ...asked(caller), ...standing(node), conductor: hostname }
    await appendEvent(db, { nowMs: clock.now(), node_uuid: nodeUuid, kind: 'unlocked', data })
    this.letGo(nodeUuid)
    this.#peers.fence(nodeUuid)
    await this.takeUp()
    return lease
  }

  /** A node was taken from this conductor: what runs on it is cut off, and not waited for; it may hang for ever. */
  letGo(nodeUuid: string): void {
    for (const [id, run] of this.#running) {
      if (run.nodeUuid !== nodeUuid) continue
      run.abort.abort(new LeaseLost(`node ${nodeUuid} was taken from this conductor`))
      this.#running.delete(id)
      this.#leases.drop(id)
    }
    this.kick()
  }

  /** Prolongs a lease of work that is no flow, until what it returns is called. */
  keepLease(lease: HeldLease): () => void {
    return this.#leases.keep(lease)
  }

  /**
   * This conductor was taken for dead: others have its nodes. What runs here is cut off at once; the rows would not
   * take its results.
   */
  fence(): void {
    this.#leases.clear()
    for (const { abort } of this.#running.values()) abort.abort(new LeaseLost('this conductor was taken for dead'))
  }

  /**
   * Starts a flow: takes the lease, moves the node by `event`, and records what is to be done, all in one transaction
   * (or nothing). When it returns, a reader of the API sees the new state. A flow that waits on this node is set aside
   * without its undo: what begins now makes it good.
   * @throws NodeLocked when somebody works on the node; Conflict when its state does not allow the event any more
   */
  async begin(request: {
    nodeUuid: string
    kind: string
    args: Args
    event: string | null
    caller: Caller
    patch?: (node: Node) => NodePatch
    /** Refuses, by a fault, a node that is not what it was when the caller looked. */
    check?: (node: Node) => void
  }): Promise<void> {
    const { db, clock, hostname } = this.#options
    const definition = this.#definition(request.kind)
    const nowMs = clock.now()
    const { flowId, token, owner, waiting } = await inTransaction(db, async trx => {
      // Whoever serves the node holds it from now on, be it another process.
      const owner = await this.#ownerOf(trx, request.nodeUuid)
      const lease = { holder: owner, purpose: request.kind, nowMs, forMs: leaseMs, visible: true }
      const token = await takeLease(trx, request.nodeUuid, lease)
      const node = await mustFind(trx, request.nodeUuid)
      const patch: NodePatch = { last_error: null, ...request.patch?.(node) }
      if (request.event !== null)
        Object.assign(patch, this.#course.moved(node, request.event, definition, request.args, nowMs))
      request.check?.(node)
      await writeNode(trx, node.uuid, token, patch, nowMs)
      const waiting = definition.stateless ? undefined : await liveFlow(trx, node.uuid)
      if (waiting) {
        await this.#course.end(trx, waiting, node, setAside(waiting, request.kind), nowMs)
      }
      const { user, project, requestId } = request.caller
      const from = node.provision_state
      const flowId = await insertFlow(trx, {
        node_uuid: node.uuid,
        kind: request.kind,
        args: { ...request.args, from },
        requested_by: user,
        requested_project: project,
        request_id: requestId,
        conductor: owner,
        lease_token: token,
        nowMs,
      })
      const flow = { id: flowId, node_uuid: node.uuid }
      const { kind, event, caller } = request
      const about = definition.about?.(request.args)
      const data = { flow: kind, event, about, from, ...asked(caller), ...standing({ ...node, ...patch }) }
      await this.#course.tell(trx, flow, 'requested', data, nowMs)
      await this.#course.moveEvent(trx, flow, node, patch, nowMs)
      return { flowId, token, owner, waiting }
    })
    if (waiting) this.#course.measure(waiting, setAside(waiting, request.kind), nowMs)
    if (owner === hostname) this.#leases.hold(flowId, request.nodeUuid, token)
    this.call(owner)
  }

  /**
   * Ends the waiting flow of a node: the node shows the state after `abort` at once, then the flow's undo runs. Where
   * `cuttable` says no, the flow is only told to end after its present step.
   * @throws NodeLocked when somebody works on the node; Conflict when nothing waits on it, or its state allows no abort
   */
  async abort(nodeUuid: string, cuttable: (node: Node) => boolean, caller: Caller): Promise<void> {
    const { db, clock, hostname } = this.#options
    const nowMs = clock.now()
    const begun = await inTransaction(db, async trx => {
      const owner = await this.#ownerOf(trx, nodeUuid)
      const lease = { holder: owner, purpose: 'abort', nowMs, forMs: leaseMs, visible: true }
      const token = await takeLease(trx, nodeUuid, lease)
      const node = await mustFind(trx, nodeUuid)
      const flow = await liveFlow(trx, nodeUuid)
      if (!flow) throw new Conflict(`Node ${nodeUuid} has nothing to abort: no work is recorded for it`)
      const patch = this.#course.moved(node, 'abort', this.#definition(flow.kind), flow.args, nowMs)
      if (!cuttable(node)) {
        await updateFlow(trx, flow.id, { abort_requested: 1 })
        const data = { flow: flow.kind, event: 'abort', ...asked(caller), ...standing(node) }
        await this.#course.tell(trx, flow, 'requested', data, nowMs)
        await dropLease(trx, nodeUuid, token)
        return undefined
      }
      const message = `${flow.kind} was aborted by request in state "${node.provision_state}"`
      await writeNode(trx, node.uuid, token, { ...patch, last_error: message }, nowMs)
      await updateFlow(trx, flow.id, {
        state: 'ready',
        phase: 'undo',
        abort_requested: 1,
        error: message,
        error_code: 'aborted',
        wake_at_ms: null,
        deadline_ms: null,
        conductor: owner,
        lease_token: token,
      })
      await this.#course.tell(
        trx,
        flow,
        'aborted',
        { message, ...asked(caller), ...standing({ ...node, ...patch }) },
        nowMs,
      )
      await this.#course.moveEvent(trx, flow, node, patch, nowMs, caller)
      return { flowId: flow.id, token, owner }
    })
    if (!begun) return this.kick()
    if (begun.owner === hostname) this.#leases.hold(begun.flowId, nodeUuid, begun.token)
    this.call(begun.owner)
  }

  /**
   * Lets a held node go on: it is in its "wait" state when this returns, and its flow looks at once.
   * @throws NodeLocked when somebody works on the node; Conflict when its state is no "hold" state
   */
  async unhold(nodeUuid: string, caller: Caller): Promise<void> {
    const { db, clock, hostname } = this.#options
    const nowMs = clock.now()
    await inTransaction(db, async trx => {
      const lease = { holder: hostname, purpose: 'unhold', nowMs, forMs: leaseMs, visible: true }
      const token = await takeLease(trx, nodeUuid, lease)
      const node = await mustFind(trx, nodeUuid)
      const flow = await liveFlow(trx, nodeUuid)
      if (!flow) throw new Conflict(`Node ${nodeUuid} has nothing to go on with: no work is recorded for it`)
      const patch = this.#course.moved(node, 'unhold', this.#definition(flow.kind), flow.args, nowMs)
      await writeNode(trx, nodeUuid, token, patch, nowMs)
      const data = { flow: flow.kind, event: 'unhold', ...asked(caller), ...standing(node) }
      await this.#course.tell(trx, flow, 'requested', data, nowMs)
      await this.#course.moveEvent(trx, flow, node, patch, nowMs, caller)
      await dropLease(trx, nodeUuid, token)
    })
    await this.wake(nodeUuid, 'unhold')
  }

  /**
   * Cuts off a flow's look at its agent, which may take minutes where the agent does not answer, so that somebody else
   * can have the node; the look is made again soon. Tells whether there was one. Work is never cut off.
   */
  async interruptLook(nodeUuid: string, where: 'here' | 'anywhere' = 'anywhere'): Promise<boolean> {
    const looks = [...this.#running.values()].filter(
      run => run.nodeUuid === nodeUuid && run.isLook && run.pass?.stage !== 'work',
    )
    if (looks.length === 0 && where === 'anywhere') this.#peers.interrupt(nodeUuid)
    for (const look of looks) look.abort.abort(interrupted)
    await Promise.all(looks.map(look => look.done))
    return looks.length > 0
  }

  // The loop: find what can run, run it, sleep until the next is due or somebody kicks.

  async #work(): Promise<void> {
    const { db, clock, hostname, log, load = noLoad } = this.#options
    while (!this.#stop.signal.aborted) {
      this.#kickedAlready = false
      const kicked = new Promise<void>(resolve => {
        this.#kicked = resolve
      })
      let waitMs = lookAtLeastEveryMs
      try {
        for (const flow of await runnableFlows(db, hostname, { nowMs: clock.now(), limit: batch })) {
          if (this.#stop.signal.aborted || this.#running.has(flow.id)) continue
          this.#launch(flow)
          // Whoever asks something meanwhile does not wait for all of them.
          await load.breathe()
        }
        const next = await nextWakeMs(db, hostname)
        if (next !== null) waitMs = Math.min(waitMs, Math.max(20, next - clock.now()))
      } catch (error) {
        log.error({ err: error }, 'cannot read the flows; looking again in a second')
      }
      if (this.#kickedAlready) continue
      const sleeper = new AbortController()
      const slept = clock.sleep(waitMs, AbortSignal.any([this.#stop.signal, sleeper.signal])).catch(() => {})
      await Promise.race([kicked, slept])
      sleeper.abort(overslept)
    }
  }

  #launch(flow: FlowRow): void {
    const abort = new AbortController()
    const run: Run = { nodeUuid: flow.node_uuid, abort, done: Promise.resolve() }
    this.#running.set(flow.id, run)
    run.done = this.#run(flow, run, AbortSignal.any([abort.signal, this.#stop.signal]))
      .catch(error => {
        const { log } = this.#options
        if (this.#stop.signal.aborted) return
        // The lease is not renewed any more; when its time is over the flow is taken up again.
        if (this.#running.get(flow.id) === run) this.#leases.drop(flow.id)
        // A pass that was cut off may end with anything: what counts is why it was.
        const cause = abort.signal.reason instanceof LeaseLost ? abort.signal.reason : error
        if (cause instanceof LeaseLost) log.warn({ flow: flow.id, node: flow.node_uuid }, cause.message)
        else log.error({ err: error, flow: flow.id, node: flow.node_uuid }, 'a flow could not be run')
      })
      .finally(() => {
        if (this.#running.get(flow.id) === run) this.#running.delete(flow.id)
        this.kick()
      })
  }

  /** One pass of a flow: from the top to its next wait or its end. */
  async #run(flow: FlowRow, run: Run, signal: AbortSignal): Promise<void> {
    const { db, clock, hostname, log } = this.#options
    const lease = await this.#leases.of(flow)
    if (lease === undefined) {
      // Somebody works on the node for a moment; this flow is next.
      await clock.sleep(100, signal).catch(() => {})
      return
    }
    const { token } = lease
    run.isLook = lease.isLook
    if (!(await claimFlow(db, flow.id, hostname))) {
      this.#leases.forget(flow.id, token)
      await dropLease(db, flow.node_uuid, token)
      return
    }
    const definition = this.#definition(flow.kind)
    const current = (await findFlow(db, flow.id)) ?? flow
    const { stateless = false } = definition
    const lend = (uuid: string) => this.#leases.lend(current.id, uuid, current.kind)
    const steps = await stepsOf(db, flow.id)
    const { waitsInMaintenance = () => true } = this.#options
    const pass = new Pass({ ...this.#options, lend, waitsInMaintenance }, current, { token, stateless, steps, signal })
    run.pass = pass
    const node = await mustFind(db, flow.node_uuid)
    const failure: Failure = {
      message: current.error ?? '',
      code: current.error_code ?? '',
      // Not whether an abort was asked for: the step that it waited for may have failed before it came to that.
      aborted: current.error_code === 'aborted',
    }
    try {
      const ctx = await this.#options.context(pass, node, signal)
      const body =
        current.phase === 'run'
          ? definition.run(ctx, current.args)
          : (definition.undo?.(ctx, current.args, failure) ?? Promise.resolve()).then(() => null)
      // After a suspension the function is left where it stands: it waits on a promise that nobody will settle.
      const event = await Promise.race([body, pass.suspended])
      if (event === suspended) return await this.#course.sleep(pass, current, definition, token)
      if (current.phase === 'run') await this.#course.succeed(current, definition, token, event)
      else await this.#course.fail(current, definition, token, failure)
    } catch (error) {
      if (signal.reason === interrupted && !this.#stop.signal.aborted)
        return await this.#course.lookLater(current, token)
      if (signal.aborted || error instanceof LeaseLost) throw error
      // No failure of the flow: it runs again from the top when the database answers. To wait for that is no look.
      if (error instanceof DatabaseUnavailable) {
        run.isLook = false
        return await this.#course.again(current, token, error, signal)
      }
      if (current.phase === 'undo') {
        log.error({ err: error, node: flow.node_uuid }, `undoing ${flow.kind} failed`)
        const also = messageOf(error) === failure.message ? ' for the same reason' : `, too: ${messageOf(error)}`
        const message = `${failure.message} (cleaning up failed${also})`
        return await this.#course.fail(current, definition, token, { ...failure, message, undoFailed: true })
      }
      await this.#course.turnToUndo(current, token, describe(error, this.#options))
    } finally {
      await this.#leases.takeBack(flow.id)
    }
  }

  #definition(kind: string): FlowDefinition {
    const definition = this.#definitions.get(kind)
    if (!definition) throw new Error(`no flow is called ${kind}`)
    return definition
  }

  /** Prolongs the held leases while their flows run, and takes up what others let fall. */
  async #renew(): Promise<void> {
    const { db, clock, log } = this.#options
    while (!this.#stop.signal.aborted) {
      await clock.sleep(renewEveryMs, this.#stop.signal).catch(() => {})
      try {
        // Own leases first: after a stall of this process they may have run out, and are still good if nobody took them.
        await this.#leases.prolong()
        const nodes = await breakLeases(db, { expiredAtMs: clock.now() })
        if (nodes.length > 0) log.warn({ nodes }, 'leases ran out without being given back')
        await this.takeUp()
      } catch (error) {
        log.error({ err: error }, 'cannot renew the leases')
      }
    }
  }
}

function setAside(flow: FlowRow, by: string): Failure {
  return { message: `${flow.kind} was set aside by ${by}`, code: 'aborted', aborted: true }
}

/** What the operator reads of a fault; of a bug no more than that it was one, the log has the rest. */
function describe(error: unknown, { log, errorLimit }: Pick<EngineOptions, 'log' | 'errorLimit'>): Failure {
  if (error instanceof Aborted) return { message: error.message, code: 'aborted', aborted: true }
  if (error instanceof Fault) return { message: error.message.slice(0, errorLimit), code: error.code, aborted: false }
  log.error({ err: error }, 'a flow failed with an error that is a bug')
  const message = `Internal error, please report it: ${messageOf(error)}`
  return { message: message.slice(0, errorLimit), code: 'internal', aborted: false }
}
