/**
 * The agent of a simulated machine, from the first request of its ramdisk to the end of its power: inspection, lookup,
 * heartbeats, commands, all over real HTTP. It behaves on the wire as the agent in src/agent does and shares no code
 * with it, so that one tests the other's conductor.
 *
 * Source: openstack/ironic-python-agent `agent.py`, `ironic_api_client.py` (order, cadence, pauses).
 */
import type { Clock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import { selfSigned } from '#lib/x509.ts'
import { type HeartbeatBody, type LookupAnswer, maskedToken, type StepKind } from '#protocol/agent.ts'
import { agentApi } from './agent-api.ts'
import type { Chance, Range } from './chance.ts'
import { Commands } from './commands.ts'
import type { Certificate, Door, Doors } from './doors.ts'
import { inspectionData } from './inventory.ts'
import type { KernelParameters } from './netboot.ts'
import type { Network } from './network.ts'
import { ApiRefused, type RamdiskApi } from './ramdisk-api.ts'
import { type Body, ramdiskCommands } from './ramdisk-commands.ts'
import type { Settings } from './settings.ts'

/** What all agents of a fleet use together. */
export interface AgentWorld {
  settings: Settings
  clock: Clock
  network: Network
  api: RamdiskApi
  doors: Doors
  /** That agents are reached at. */
  address: string
  /** For fleets whose agents share one. */
  certificate: Certificate | null
}

export interface AgentEvents {
  lookedUp(nodeUuid: string): void
  /** `ms`: until the API had answered. */
  heartbeat(outcome: 'accepted' | 'failed', ms: number): void
  step(kind: StepKind, step: string): void
  /** Something for people to read. */
  note(text: string): void
}

const agentVersion = '12.0.0+simulated'

export class SimAgent {
  readonly #world: AgentWorld
  readonly #body: Body
  readonly #macs: readonly string[]
  readonly #parameters: KernelParameters
  readonly #chance: Chance
  readonly #events: AgentEvents
  /** Ends with the machine's power. */
  readonly #life = new AbortController()
  #door: Door | null = null
  #sleeping: AbortController | null = null
  #forced = true

  constructor(options: {
    world: AgentWorld
    body: Body
    macs: readonly string[]
    /** The kernel's command line. */
    parameters: KernelParameters
    chance: Chance
    events: AgentEvents
  }) {
    this.#world = options.world
    this.#body = options.body
    this.#macs = options.macs
    this.#parameters = options.parameters
    this.#chance = options.chance
    this.#events = options.events
  }

  start(): void {
    this.#live().catch(error => {
      if (!this.#life.signal.aborted) this.#events.note(`the agent ended: ${messageOf(error)}`)
    })
  }

  /** Nothing answers and nothing is sent from now on. */
  stop(): void {
    this.#life.abort()
    this.#sleeping?.abort()
    this.#door?.close()
  }

  async #live(): Promise<void> {
    await this.#inspect()
    const [base] = urls(this.#parameters.get('ipa-api-url'))
    if (base === undefined) return
    let answer = await this.#lookup(base)
    const token = tokenOf(answer, this.#parameters.get('ipa-agent-token') ?? null)
    const certificate = this.#certificate()
    const commands = this.#commands()
    const { clock, doors, settings } = this.#world
    const door = await doors.open(
      agentApi({
        commands,
        token,
        version: agentVersion,
        startedAtMs: clock.now(),
        breaks: () => {
          const isBefore = this.#chance.happens(0.5)
          return this.#chance.happens(settings.rate.agentSilent) ? (isBefore ? 'before' : 'after') : null
        },
      }),
      certificate,
    )
    this.#door = door
    if (this.#life.signal.aborted) return door.close()

    const scheme = settings.agent.tls ? 'https' : 'http'
    const body: HeartbeatBody = {
      callback_url: `${scheme}://${this.#world.address}:${door.port}`,
      agent_version: agentVersion,
      agent_token: token,
      ...(certificate === null ? {} : { agent_verify_ca: certificate.certPem }),
    }
    await this.#beat(async () => {
      try {
        await this.#world.api.heartbeat(
          base,
          answer.node.uuid,
          { body, command: commands.isWorking ? 'running' : 'none' },
          this.#life.signal,
        )
      } catch (error) {
        // The node was deleted and perhaps enrolled anew: whoever this machine is now, the API knows.
        if (error instanceof ApiRefused && error.status === 404) answer = await this.#lookup(base)
        throw error
      }
      return answer.config.heartbeat_timeout * 1000
    })
  }

  /** Posts what the machine is, when asked to; a failure is the conductor's to notice. */
  async #inspect(): Promise<void> {
    const { api, clock, settings } = this.#world
    const { signal } = this.#life
    const [url] = urls(this.#parameters.get('ipa-inspection-callback-url'))
    if (url === undefined) return
    const data = inspectionData(this.#body.inventory)
    for (let attempt = 1; attempt <= 5; attempt++) {
      try {
        await api.inspected(url, data, signal)
        return
      } catch (error) {
        signal.throwIfAborted()
        this.#events.note(`inspection data not delivered (attempt ${attempt}): ${messageOf(error)}`)
        if (error instanceof ApiRefused && error.status < 500 && error.status !== 409) return
      }
      await clock.sleep(settings.agent.lookupPauseMs * 5 * attempt, signal)
    }
  }

  /** Asks until the API knows this machine. */
  async #lookup(base: string): Promise<LookupAnswer> {
    const { api, clock, settings } = this.#world
    const { signal } = this.#life
    const { lookupPauseMs } = settings.agent
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await api.lookup(base, this.#macs, signal)
        this.#events.lookedUp(answer.node.uuid)
        return answer
      } catch (error) {
        signal.throwIfAborted()
        // The node is locked while a token is made, which takes a moment.
        if (error instanceof ApiRefused && error.status === 409) await clock.sleep(5 * lookupPauseMs, signal)
      }
      const mostMs = Math.min(2 ** (attempt - 1), 60) * lookupPauseMs
      await clock.sleep(lookupPauseMs + this.#chance.next() * (mostMs - lookupPauseMs), signal)
    }
  }

  /**
   * Sends heartbeats until the end: at 0.3 to 0.6 of the time the API allows, soon after a failure, and when a command
   * ended, but never closer than the gap. @param send returns the time the API allows, in milliseconds
   */
  async #beat(send: () => Promise<number>): Promise<void> {
    const { clock, settings } = this.#world
    const { heartbeatGapMs } = settings.agent
    const { signal } = this.#life
    let lastMs = Number.NEGATIVE_INFINITY
    let dueMs = clock.now()
    while (!signal.aborted) {
      const nextMs = this.#forced ? Math.min(dueMs, lastMs + heartbeatGapMs) : dueMs
      const waitMs = nextMs - clock.now()
      if (waitMs > 0) {
        await this.#sleepUnlessWoken(waitMs)
        continue
      }
      const wasForced = this.#forced
      this.#forced = false
      lastMs = clock.now()
      try {
        if (this.#chance.happens(settings.rate.heartbeatLost)) throw new Error('the heartbeat was lost')
        const timeoutMs = await send()
        this.#events.heartbeat('accepted', clock.now() - lastMs)
        const range: Range = settings.agent.heartbeatMs ?? [0.3 * timeoutMs, 0.6 * timeoutMs]
        dueMs = clock.now() + this.#chance.within(range)
      } catch (error) {
        if (signal.aborted) return
        this.#events.heartbeat('failed', clock.now() - lastMs)
        this.#events.note(`heartbeat: ${messageOf(error)}`)
        this.#forced ||= wasForced
        lastMs = clock.now()
        dueMs = lastMs + heartbeatGapMs * (1 + this.#chance.next())
      }
    }
  }

  async #sleepUnlessWoken(ms: number): Promise<void> {
    this.#sleeping = new AbortController()
    // Woken or ended: the loop looks for itself.
    await this.#world.clock.sleep(ms, this.#sleeping.signal).catch(() => {})
    this.#sleeping = null
  }

  #commands(): Commands {
    const { settings, network, clock } = this.#world
    const set = ramdiskCommands({
      body: this.#body,
      settings,
      network,
      clock,
      chance: this.#chance,
      signal: this.#life.signal,
      onStep: (kind, step) => this.#events.step(kind, step),
    })
    return new Commands(set, () => {
      this.#forced = true
      this.#sleeping?.abort()
    })
  }

  #certificate(): Certificate | null {
    const { settings, certificate, clock } = this.#world
    return settings.agent.tls ? (certificate ?? agentCertificate(this.#world.address, clock.now())) : null
  }
}

export function agentCertificate(address: string, nowMs: number): Certificate {
  return selfSigned({
    commonName: 'simulated agent',
    ipAddresses: [address],
    notBefore: new Date(nowMs - 3600_000),
    notAfter: new Date(nowMs + 30 * 86_400_000),
    curve: 'p256',
  })
}

/** @throws when the API has given the token to another boot: this agent cannot prove who it is */
function tokenOf({ config }: LookupAnswer, own: string | null): string {
  const offered = config.agent_token ?? null
  const token = offered !== null && offered.length >= 32 ? offered : own
  if (token !== null) return token
  throw new Error(
    offered === maskedToken ? 'the API gave the token of this node to an earlier boot' : 'the API gave no token',
  )
}

function urls(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map(url => url.trim().replace(/\/+$/, ''))
    .filter(url => url !== '')
}
