/**
 * What the rows of a simulation may never show, looked at with every statement that changes them: a write by a process
 * that does not hold the node, two holders, a step recorded twice, a move that the table does not have, a node that
 * nobody works on though its state says so. It knows the rows and who changes them, and nothing of machines.
 */
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite'
import { type ProvisionState, provision } from '#protocol/states.ts'
import type { Store } from './store.ts'

/** One life of a conductor. */
export interface Writer {
  readonly hostname: string
}

/** A pass through a flow: who makes it, and the lease under which it was begun. */
interface Pass {
  readonly writer: Writer | undefined
  readonly token: number
}

interface NodeChange {
  uuid: string
  /** Whether what a BMC tells was changed, and whether anything else that is no lease's was. */
  wrote: { told: boolean; other: boolean }
  before: { holder: string | null; token: number; untilMs: number; state: ProvisionState }
  after: { holder: string | null; token: number; untilMs: number; state: ProvisionState }
}

interface FlowChange {
  id: number
  uuid: string
  before: { state: string; phase: string }
  after: { state: string; phase: string; conductor: string | null }
  holder: string | null
  token: number
}

interface StepChange {
  id: number
  name: string
  before: string | null
  flow: { state: string; uuid: string }
  holder: string | null
  token: number
}

/** What BMCs tell is written without a lease, while nobody holds the node. */
const told = 'power_state boot_mode health properties maintenance maintenance_reason fault last_error'.split(' ')
/** Changes of these are the lease's own; and these say nothing. */
const leaseColumns = 'lease_holder lease_purpose lease_since lease_until_ms lease_token reservation'.split(' ')
const quietColumns = ['id', 'uuid', 'inventory', ...leaseColumns]
/** In this time a process that is not cut off hears that it lost a node. */
const newsMs = 1_000
const ended = ['done', 'failed', 'aborted']

export class Ledger {
  readonly violations: string[] = []
  /** Who has the statement run that comes next; undefined: the simulation itself. */
  writer: Writer | undefined
  readonly #row: (sql: string, ...values: SQLInputValue[]) => Record<string, SQLOutputValue> | undefined
  readonly #nowMs: () => number
  /** Told of every state that a node has come to. */
  readonly #onState: (nodeUuid: string, state: ProvisionState) => void
  readonly #passes = new Map<number, Pass>()
  /** When each node was last taken, or taken away. */
  readonly #passedOn = new Map<string, number>()
  /** Found in the transaction under way: what is taken back has not been. */
  #found: string[] = []
  /** Nodes whose lease was taken in the transaction under way, be it for somebody else. */
  readonly #taken = new Set<string>()
  /** Nodes that the transaction under way brought to another state, or whose work it ended. */
  readonly #moved = new Map<string, ProvisionState | undefined>()

  constructor(
    store: Pick<Store, 'row'>,
    nowMs: () => number,
    onState: (nodeUuid: string, state: ProvisionState) => void,
  ) {
    this.#row = (sql, ...values) => store.row(sql, ...values)
    this.#nowMs = nowMs
    this.#onState = onState
  }

  /**
   * May the pass that this process makes through a flow act on the node? It may if it holds it, and for a moment longer:
   * news of a loss take their time.
   */
  mayAct(writer: Writer, flowId: number, nodeUuid: string): boolean {
    if (this.#nowMs() - (this.#passedOn.get(nodeUuid) ?? 0) < newsMs) return true
    const node = this.#row('SELECT lease_holder, lease_token FROM nodes WHERE uuid = ?', nodeUuid)
    return this.#owns(writer, flowId, String(node?.lease_holder), Number(node?.lease_token))
  }

  nodeChanged({ uuid, wrote, before, after }: NodeChange): void {
    if (!this.writer) return
    const { hostname } = this.writer
    const took = after.holder !== null && after.token > before.token
    if (took) {
      if (before.holder !== null && before.untilMs >= this.#nowMs())
        this.#broken(`${hostname} takes node ${uuid}, which ${before.holder} holds`)
      this.#taken.add(uuid)
    }
    const isOwn = before.holder === hostname || this.#taken.has(uuid)
    if (after.token !== before.token) this.#passedOn.set(uuid, this.#nowMs())
    if (after.token < before.token) this.#broken(`the token of node ${uuid} shrinks`)
    if (!took && after.holder !== null && after.holder !== before.holder)
      this.#broken(`node ${uuid} passes to ${after.holder} without a new token`)
    if (!took && !isOwn && before.holder !== null && after.token === before.token) {
      if (after.holder === null) this.#broken(`${hostname} gives back node ${uuid}, which ${before.holder} holds`)
      else if (after.untilMs !== before.untilMs)
        this.#broken(`${hostname} prolongs the lease on node ${uuid}, which ${before.holder} holds`)
    }
    if (!isOwn && (wrote.other || (wrote.told && before.holder !== null)))
      this.#broken(`${hostname} writes to node ${uuid}, which ${before.holder ?? 'nobody'} holds`)
    if (before.state === after.state) return
    this.#moved.set(uuid, after.state)
    if (!isReachable(before.state, after.state))
      this.#broken(`node ${uuid} moves from "${before.state}" to "${after.state}", which the table does not have`)
  }

  flowChanged({ id, uuid, before, after, holder, token }: FlowChange): void {
    const by = this.writer?.hostname
    if (ended.includes(before.state)) this.#broken(`${by} makes flow ${id} ${after.state}, which is ${before.state}`)
    if (before.phase === 'undo' && after.phase === 'run') this.#broken(`flow ${id} goes back from its undo`)
    if (after.state === 'running') {
      if (before.state === 'running') this.#broken(`${by} claims flow ${id}, which runs`)
      this.#passes.set(id, { writer: this.writer, token })
      return
    }
    if (ended.includes(after.state) && !this.#moved.has(uuid)) this.#moved.set(uuid, undefined)
    // The work of a process that is gone: nobody holds its nodes, or it belongs to nobody from now on.
    const isLeft = after.conductor === null || (after.state === 'ready' && holder === null)
    if (isLeft || this.#taken.has(uuid) || this.#owns(this.writer, id, holder, token)) return
    this.#broken(`${by} makes flow ${id} ${after.state} (${before.state} before) without holding node ${uuid}`)
  }

  stepChanged({ id, name, before, flow, holder, token }: StepChange): void {
    const by = this.writer?.hostname
    if (before === 'done') this.#broken(`${by} records step "${name}" of flow ${id} once more`)
    if (flow.state !== 'running') this.#broken(`${by} records step "${name}" of flow ${id}, which is ${flow.state}`)
    if (!this.#owns(this.writer, id, holder, token))
      this.#broken(`${by} records step "${name}" of flow ${id} without holding node ${flow.uuid}`)
  }

  /** What was done since the last end of a transaction counts. */
  commit(): void {
    for (const uuid of this.#moved.keys()) this.#checkWork(uuid)
    this.violations.push(...this.#found)
    for (const [uuid, state] of this.#moved) if (state !== undefined) this.#onState(uuid, state)
    this.rollBack()
  }

  /** It does not. */
  rollBack(): void {
    this.#found = []
    this.#taken.clear()
    this.#moved.clear()
  }

  /** A node in a state of work has exactly one flow that moves it; in others it may have one that is to end. */
  #checkWork(uuid: string): void {
    const row = this.#row(
      `SELECT provision_state AS state, (SELECT count(*) FROM flows WHERE node_uuid = nodes.uuid
         AND kind NOT IN ('power', 'boot settings') AND state IN ('ready', 'running', 'waiting')) AS flows
       FROM nodes WHERE uuid = ?`,
      uuid,
    )
    if (!row) return
    const { kind } = provision[String(row.state) as ProvisionState] // written along the table
    const isWorkedOn = kind === 'transitional' || kind === 'wait' || kind === 'hold'
    if (Number(row.flows) > 1) this.#broken(`node ${uuid} has ${row.flows} flows at a time`)
    if (isWorkedOn && row.flows === 0) this.#broken(`node ${uuid} is in "${row.state}", and no flow works on it`)
  }

  #owns(writer: Writer | undefined, flowId: number, holder: string | null, token: number): boolean {
    const pass = this.#passes.get(flowId)
    return pass?.writer === writer && pass?.token === token && holder === writer?.hostname
  }

  #broken(text: string): void {
    this.#found.push(text)
  }
}

/** One transaction may make two moves of the table at once: a flow that fails right out of its wait, say. */
function isReachable(from: ProvisionState, to: ProvisionState): boolean {
  const steps: ProvisionState[] = Object.values(provision[from].on)
  return steps.includes(to) || steps.some(middle => (Object.values(provision[middle].on) as string[]).includes(to))
}

/**
 * Has the ledger that serves the present simulation told of every change of rows. Triggers belong to the schema, so that
 * they are made once for all simulations.
 */
export function keepLedger(sqlite: DatabaseSync, current: () => Ledger | undefined): void {
  const columns = sqlite.prepare('PRAGMA table_info(nodes)').all()
  const written = columns.map(({ name }) => String(name)).filter(name => !quietColumns.includes(name))
  const differ = (names: string[]) => names.map(name => `OLD."${name}" IS NOT NEW."${name}"`).join(' OR ')
  const others = written.filter(name => !told.includes(name))
  const lease = (row: string) =>
    `${row}.lease_holder, ${row}.lease_token, ${row}.lease_until_ms, ${row}.provision_state`
  const holder = (uuid: string) =>
    `(SELECT lease_holder FROM nodes WHERE uuid = ${uuid}), (SELECT lease_token FROM nodes WHERE uuid = ${uuid})`
  const flow = '(SELECT state FROM flows WHERE id = NEW.flow_id), (SELECT node_uuid FROM flows WHERE id = NEW.flow_id)'
  const flowNode = '(SELECT node_uuid FROM flows WHERE id = NEW.flow_id)'
  define(sqlite, 'node_changed', ([uuid, toldOnes, other, ...rest]) => {
    const side = ([heldBy, token, untilMs, state]: SQLOutputValue[]) => ({
      holder: text(heldBy),
      token: Number(token),
      untilMs: Number(untilMs),
      state: String(state) as ProvisionState, // a column that only the table's states are written to
    })
    const wrote = { told: toldOnes === 1, other: other === 1 }
    current()?.nodeChanged({ uuid: String(uuid), wrote, before: side(rest.slice(0, 4)), after: side(rest.slice(4)) })
  })
  define(sqlite, 'flow_changed', ([id, uuid, oldState, oldPhase, state, phase, conductor, heldBy, token]) =>
    current()?.flowChanged({
      id: Number(id),
      uuid: String(uuid),
      before: { state: String(oldState), phase: String(oldPhase) },
      after: { state: String(state), phase: String(phase), conductor: text(conductor) },
      holder: text(heldBy),
      token: Number(token),
    }),
  )
  define(sqlite, 'step_changed', ([id, name, before, state, uuid, heldBy, token]) =>
    current()?.stepChanged({
      id: Number(id),
      name: String(name),
      before: text(before),
      flow: { state: String(state), uuid: String(uuid) },
      holder: text(heldBy),
      token: Number(token),
    }),
  )
  sqlite.exec(`
    CREATE TEMP TRIGGER watch_nodes AFTER UPDATE ON nodes
      BEGIN SELECT node_changed(NEW.uuid, ${differ(told)}, ${differ(others)}, ${lease('OLD')}, ${lease('NEW')}); END;
    CREATE TEMP TRIGGER watch_flows AFTER UPDATE OF state, phase ON flows
      BEGIN SELECT flow_changed(NEW.id, NEW.node_uuid, OLD.state, OLD.phase, NEW.state, NEW.phase, NEW.conductor,
        ${holder('NEW.node_uuid')}); END;
    CREATE TEMP TRIGGER watch_new_steps AFTER INSERT ON flow_steps
      BEGIN SELECT step_changed(NEW.flow_id, NEW.name, NULL, ${flow}, ${holder(flowNode)}); END;
    CREATE TEMP TRIGGER watch_steps AFTER UPDATE OF state ON flow_steps
      BEGIN SELECT step_changed(NEW.flow_id, NEW.name, OLD.state, ${flow}, ${holder(flowNode)}); END;
  `)
}

function define(sqlite: DatabaseSync, name: string, told: (values: SQLOutputValue[]) => void): void {
  sqlite.function(name, { varargs: true }, (...values: SQLOutputValue[]) => {
    told(values)
    return null
  })
}

function text(value: SQLOutputValue | undefined): string | null {
  return value === null || value === undefined ? null : String(value)
}
