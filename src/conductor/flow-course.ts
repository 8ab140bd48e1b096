/**
 * The course of a flow as its rows tell it: asleep, at its end, turned to its undo, failed. Every change is one
 * transaction of the flow's row, the node's fields under its lease, and the log of what happened. Runs nothing.
 */

import { givePlaceBack } from '#db/admissions.ts'
import { type Db, inTransaction, type Trx } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import { DatabaseUnavailable } from '#db/faults.ts'
import { type FlowRow, forgetContents, sleepFlow, updateFlow, writeProgress } from '#db/flows.ts'
import { dropLease, type Node, type NodePatch, writeNode } from '#db/nodes.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { target } from '#protocol/states.ts'
import type { Caller } from './conductor.ts'
import type { Args, Failure, FlowDefinition } from './flow-definition.ts'
import type { FlowLeases } from './flow-leases.ts'
import { flowsEnded } from './measured.ts'
import { movedFields } from './moves.ts'
import type { LookPace } from './pace.ts'
import { mustFind, type Pass } from './pass.ts'
import { asked, moveTold, standing } from './told.ts'

/** How soon a look that was cut off is made again: late enough for whoever cut it off to take the node first. */
const lookAgainMs = 1000

/** What the log of events needs to know of a flow. */
type FlowName = Pick<FlowRow, 'id' | 'node_uuid'>

export class FlowCourse {
  readonly #options: { db: Db; clock: Clock; log: Log; hostname: string }
  readonly #leases: FlowLeases
  readonly #pace: LookPace

  constructor(
    options: { db: Db; clock: Clock; log: Log; hostname: string },
    parts: { leases: FlowLeases; pace: LookPace },
  ) {
    this.#options = options
    this.#leases = parts.leases
    this.#pace = parts.pace
  }

  /** The database was away in mid-pass: as soon as it answers the flow is ready once more, if the lease is still ours. */
  async again(flow: FlowRow, token: number, cause: DatabaseUnavailable, signal: AbortSignal): Promise<void> {
    const { db, clock, log } = this.#options
    log.warn({ node: flow.node_uuid, flow: flow.kind }, cause.message)
    for (;;) {
      await clock.sleep(lookAgainMs, signal)
      try {
        await inTransaction(db, async trx => {
          await writeNode(trx, flow.node_uuid, token, {}, clock.now())
          await updateFlow(trx, flow.id, { state: 'ready' })
        })
        this.#leases.hold(flow.id, flow.node_uuid, token)
        return
      } catch (error) {
        if (!(error instanceof DatabaseUnavailable)) throw error
      }
    }
  }

  /** A look was cut off: the flow waits as before. */
  async lookLater(flow: FlowRow, token: number): Promise<void> {
    const { db, clock } = this.#options
    const nowMs = clock.now()
    this.#leases.forget(flow.id, token)
    await inTransaction(db, async trx => {
      await writeNode(trx, flow.node_uuid, token, {}, nowMs)
      await updateFlow(trx, flow.id, { state: 'waiting', wake_at_ms: nowMs + lookAgainMs })
      await dropLease(trx, flow.node_uuid, token)
    })
  }

  /** Goes to sleep: the wait becomes the flow's row, and a wait for the agent frees the node. */
  async sleep(pass: Pass, flow: FlowRow, definition: FlowDefinition, token: number): Promise<void> {
    const { db, clock } = this.#options
    const wait = pass.waiting
    if (!wait) throw new Error(`flow ${flow.id} is suspended without a wait`)
    const nowMs = clock.now()
    if (wait.release) this.#leases.forget(flow.id, token)
    const isCalled = wait.release && wait.on.length > 0
    const everyMs = isCalled ? this.#pace.looked(flow.node_uuid, wait.name, wait.everyMs) : wait.everyMs
    await inTransaction(db, async trx => {
      const node = await mustFind(trx, flow.node_uuid)
      const wake = Math.min(nowMs + everyMs, wait.deadlineMs ?? Number.POSITIVE_INFINITY)
      await sleepFlow(trx, flow.id, { ...wait, wakeAtMs: wake })
      const moves = wait.release && target(node.provision_state, 'wait') !== undefined
      const patch = moves ? this.moved(node, 'wait', definition, flow.args, nowMs) : {}
      await writeNode(trx, node.uuid, token, patch, nowMs)
      if (moves) await this.moveEvent(trx, flow, node, patch, nowMs)
      if (wait.release) await dropLease(trx, node.uuid, token)
    })
  }

  /** The function came to its end: the event that it returned moves the node. */
  async succeed(flow: FlowRow, definition: FlowDefinition, token: number, event: string | null): Promise<void> {
    const { db, clock } = this.#options
    const nowMs = clock.now()
    this.#leases.forget(flow.id, token)
    await inTransaction(db, async trx => {
      const node = await mustFind(trx, flow.node_uuid)
      const patch: NodePatch = { ...definition.succeeded?.(node) }
      if (event !== null) Object.assign(patch, this.moved(node, event, definition, flow.args, nowMs))
      await writeNode(trx, node.uuid, token, patch, nowMs)
      await this.end(trx, flow, { ...node, ...patch }, null, nowMs)
      await this.moveEvent(trx, flow, node, patch, nowMs)
      await dropLease(trx, node.uuid, token)
    })
    this.measure(flow, null, nowMs)
  }

  /** A fault: the undo is what runs next. */
  async turnToUndo(flow: FlowRow, token: number, failure: Failure): Promise<void> {
    const { db, clock, log } = this.#options
    log.warn({ node: flow.node_uuid, flow: flow.kind, code: failure.code }, failure.message)
    await inTransaction(db, async trx => {
      await writeNode(trx, flow.node_uuid, token, { last_error: failure.message }, clock.now())
      const { message: error, code: error_code } = failure
      await updateFlow(trx, flow.id, { state: 'ready', phase: 'undo', error, error_code, deadline_ms: null })
      await writeProgress(trx, flow.id, null)
    })
    this.#leases.hold(flow.id, flow.node_uuid, token)
  }

  /** The undo has run. */
  async fail(flow: FlowRow, definition: FlowDefinition, token: number, failure: Failure): Promise<void> {
    const { db, clock } = this.#options
    const nowMs = clock.now()
    this.#leases.forget(flow.id, token)
    await inTransaction(db, async trx => {
      const node = await mustFind(trx, flow.node_uuid)
      // A power change that was under way is given up, too.
      const given = definition.failed?.(node, failure)
      const patch: NodePatch = { last_error: failure.message, target_power_state: null, ...given }
      const move = (event: string) => {
        const now = { ...node, provision_state: patch.provision_state ?? node.provision_state }
        if (target(now.provision_state, event) === undefined) return
        Object.assign(patch, this.moved(now, event, definition, flow.args, nowMs))
      }
      if (!definition.stateless) move('fail')
      if (failure.aborted && !failure.undoFailed && definition.afterAbort !== undefined) move(definition.afterAbort)
      await writeNode(trx, node.uuid, token, patch, nowMs)
      await this.end(trx, flow, { ...node, ...patch }, failure, nowMs)
      await this.moveEvent(trx, flow, node, patch, nowMs)
      await dropLease(trx, node.uuid, token)
    })
    this.measure(flow, failure, nowMs)
  }

  /** `node`: as it stands then; `failure` null: it ended well. */
  async end(trx: Trx, flow: FlowRow, node: Node, failure: Failure | null, nowMs: number): Promise<void> {
    const state = endOf(failure)
    this.#pace.forget(flow.node_uuid)
    await updateFlow(trx, flow.id, {
      state,
      error: failure?.message ?? null,
      error_code: failure?.code ?? null,
      wake_at_ms: null,
      deadline_ms: null,
      ended_at: timestamp(nowMs),
    })
    await writeProgress(trx, flow.id, null)
    await givePlaceBack(trx, flow.id)
    await forgetContents(trx, flow.id)
    const failed = failure ? { error: failure.message, code: failure.code } : {}
    await this.tell(trx, flow, 'ended', { flow: flow.kind, state, ...failed, ...standing(node) }, nowMs)
  }

  /** Tells the metrics of a flow that has ended, once that is written. */
  measure(flow: FlowRow, failure: Failure | null, nowMs: number): void {
    const durationMs = Math.max(0, nowMs - Date.parse(flow.started_at))
    flowsEnded.tell({ flow: flow.kind, state: endOf(failure), code: failure?.code ?? null, durationMs })
  }

  /** Where a move along the table led, if the patch makes one; `caller`: who asked for this very move. */
  async moveEvent(
    trx: Trx,
    flow: FlowName,
    node: Node,
    patch: NodePatch,
    nowMs: number,
    caller?: Caller,
  ): Promise<void> {
    const { provision_state: to } = patch
    if (to === undefined || to === node.provision_state) return
    const data = { ...moveTold(node, patch, nowMs), ...(caller && asked(caller)) }
    await this.tell(trx, flow, 'provision state', data, nowMs)
  }

  /** Adds to the log of what happened, with this conductor's name. */
  async tell(trx: Trx, flow: FlowName, kind: string, data: Record<string, unknown>, nowMs: number): Promise<void> {
    const all = { ...data, conductor: this.#options.hostname }
    await appendEvent(trx, { nowMs, node_uuid: flow.node_uuid, flow_id: flow.id, kind, data: all })
  }

  /** The fields that a move along the table writes. @throws Conflict when the table has no such move */
  moved(node: Node, event: string, definition: FlowDefinition, args: Args, nowMs: number): NodePatch {
    return movedFields(node, event, definition.target?.(args), nowMs)
  }
}

function endOf(failure: Failure | null): 'done' | 'failed' | 'aborted' {
  if (failure === null) return 'done'
  return failure.aborted ? 'aborted' : 'failed'
}
