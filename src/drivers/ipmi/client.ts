/**
 * The client of one BMC: holds at most one session, opens it when something is asked and closes it after a while of
 * silence. Questions wait for each other, since many BMCs take one at a time. A session that died with its BMC is
 * replaced; answers that say "later" are asked for again, all within [ipmi] command_retry_timeout.
 */
import { lookup } from 'node:dns/promises'
import { isIP, SocketAddress } from 'node:net'
import type { Clock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import { cipherSuites } from '#protocol/ipmi/cipher-suites.ts'
import { completion, completionText, privileges } from '#protocol/ipmi/commands.ts'
import { type BmcAnswer, timed } from '../measured.ts'
import type { BmcSettings } from './driver-info.ts'
import { IpmiNoSession, IpmiRefused, IpmiSilent, IpmiSuiteIgnored, refusal } from './faults.ts'
import type { Credentials } from './rmcp/credentials.ts'
import type { Hub, Line, Remote } from './rmcp/hub.ts'
import { open15 } from './rmcp/open-15.ts'
import { open20 } from './rmcp/open-20.ts'
import { type Capabilities, ping, readCapabilities, readCipherSuites } from './rmcp/outside.ts'
import type { IpmiAnswer, IpmiRequest } from './rmcp/route.ts'
import { type Limits, type OpenedSession, Session } from './rmcp/session.ts'

export interface Asked extends IpmiRequest {
  /** Any user may ask this: a session need not be raised for it. */
  asUser?: boolean
  /** What it is, for messages. */
  what: string
}

/** Sendings within a session that worked before, until it is given up for a new one. */
const sendingsInKept = 3
/** Cipher suites in the order in which we want them, where the BMC tells which ones it has. */
const preferred = [17, 3, 8, 16, 2, 7, 15, 1, 6, 0]
/** These are tried where it does not tell, which only old ones do not. */
const usual = [3, 17]

export class IpmiClient {
  /** Host and port, for messages. */
  readonly bmc: string
  readonly #settings: BmcSettings
  readonly #hub: Hub
  readonly #clock: Clock
  #kept: { session: Session; line: Line } | undefined
  #last: Promise<unknown> = Promise.resolve()
  #usedAtMs = performance.now()
  #waiting = 0
  /** The suite that the BMC took last. */
  #suite: number | undefined

  constructor(settings: BmcSettings, world: { hub: Hub; clock: Clock }) {
    this.#settings = settings
    this.#hub = world.hub
    this.#clock = world.clock
    this.bmc = `${isIP(settings.host) === 6 ? `[${settings.host}]` : settings.host}:${settings.port}`
  }

  /** How long nothing was asked; 0 while something is. */
  get idleMs(): number {
    return this.#waiting > 0 ? 0 : performance.now() - this.#usedAtMs
  }

  get hasSession(): boolean {
    return this.#kept !== undefined
  }

  /**
   * Asks, and hands back the data after the completion code.
   * @throws IpmiRefused for every other completion code than 0; IpmiSilent, IpmiAccessDenied, IpmiNoSession
   */
  async ask(asked: Asked, signal: AbortSignal): Promise<Buffer> {
    const { commandLimitMs, longestPauseMs } = this.#settings
    const endMs = this.#clock.now() + commandLimitMs
    for (let pauseMs = 1000; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const answer = await this.#inTurn(() => timed('ipmi', () => this.#askOnce(asked, signal), outcomeOf))
      if (answer.completion === completion.ok) return answer.data
      const fault = refusal(this.bmc, asked.what, answer.completion)
      const mayPass = fault.mayPass || this.#isToBeBorne(answer.completion)
      if (!mayPass || this.#clock.now() + pauseMs > endMs) throw fault
      await this.#clock.sleep(pauseMs, signal)
    }
  }

  /**
   * A session of its own beside the one for questions, for what lasts. Whoever gets it closes it.
   * @throws as `ask` does
   */
  async openOwn(signal: AbortSignal): Promise<{ session: Session; close(): void }> {
    signal.throwIfAborted()
    const { session, line } = await this.#inTurn(() => this.#open(this.#limits(signal)))
    return {
      session,
      close() {
        session.close()
        line.close()
      },
    }
  }

  /** Says farewell and frees what was held; the next question opens a new session. */
  async close(): Promise<void> {
    await this.#inTurn(async () => this.#drop('farewell'))
  }

  #isToBeBorne(code: number): boolean {
    const text = completionText(code).toLowerCase()
    return this.#settings.passingErrors.some(words => words !== '' && text.includes(words.toLowerCase()))
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting += 1
    const turn = this.#last.then(work, work)
    this.#last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      this.#waiting -= 1
      this.#usedAtMs = performance.now()
    }
  }

  async #askOnce(asked: Asked, signal: AbortSignal): Promise<IpmiAnswer> {
    signal.throwIfAborted()
    const limits = this.#limits(signal)
    try {
      if (this.#kept) {
        const answer = await this.#kept.session.ask(asked, { ...limits, sendings: sendingsInKept })
        if (answer) return answer
        // The BMC restarted, or has forgotten us.
        this.#drop('silently')
      }
      this.#kept = await this.#open(limits)
      const answer = await this.#kept.session.ask(asked, limits)
      if (answer) return answer
    } catch (error) {
      // An answer under way belongs to a question that nobody asks any more.
      if (!(error instanceof IpmiRefused)) this.#drop('farewell')
      throw error
    }
    this.#drop('silently')
    throw new IpmiSilent(`The BMC at ${this.bmc} opened a session and then did not answer ${asked.what}`)
  }

  #limits(signal: AbortSignal): Limits {
    const { commandLimitMs, firstPauseMs, longestPauseMs } = this.#settings
    const pace = { firstMs: firstPauseMs, longestMs: Math.max(firstPauseMs, longestPauseMs) }
    return { pace, endMs: performance.now() + commandLimitMs, signal }
  }

  #drop(how: 'farewell' | 'silently'): void {
    const kept = this.#kept
    this.#kept = undefined
    if (how === 'farewell') kept?.session.close()
    kept?.line.close()
  }

  async #open(limits: Limits): Promise<{ session: Session; line: Line }> {
    const line = await this.#line()
    try {
      const opened = await this.#openOn(line, limits)
      return { session: new Session(line, opened, { route: this.#settings.route, bmc: this.bmc }), line }
    } catch (error) {
      line.close()
      throw error
    }
  }

  async #line(): Promise<Line> {
    const { host, port } = this.#settings
    try {
      const { address, family } = await lookup(host)
      const remote: Remote =
        family === 6 ? { address: canonical(address), family: 6, port } : { address, family: 4, port }
      return await this.#hub.line(remote)
    } catch (error) {
      throw new IpmiSilent(`Cannot reach the BMC at ${this.bmc}: ${messageOf(error)}; check ipmi_address`)
    }
  }

  async #openOn(line: Line, limits: Limits): Promise<OpenedSession> {
    const { version } = this.#settings
    const credentials = this.#credentials()
    if (version === '1.5') {
      const capabilities = await this.#capabilities(line, limits)
      if (capabilities.speaks15) return open15(line, credentials, capabilities, limits)
      throw new IpmiNoSession(`The BMC at ${this.bmc} has no IPMI 1.5; set ipmi_protocol_version to 2.0`)
    }
    const wanted = await this.#suites(line, limits)
    let left = wanted.flatMap(id => cipherSuites.get(id) ?? [])
    for (;;) {
      for (const suite of left) {
        const isLast = left.length === 1
        // Some firmware drops a suite that it does not know, so others are tried soon.
        const hurried = isLast ? limits : { ...limits, suiteSendings: 2 }
        try {
          const opened = await open20(line, credentials, suite, hurried)
          this.#suite = suite.id
          return opened
        } catch (error) {
          this.#suite = undefined
          const isRefused = error instanceof IpmiNoSession && error.isAboutSuite
          const mayAnswer = error instanceof IpmiSuiteIgnored && performance.now() < limits.endMs
          if (isLast || !(isRefused || mayAnswer)) throw await this.#explained(error, line, limits)
          if (isRefused) left = left.filter(other => other !== suite)
        }
      }
    }
  }

  /** The suites to try. One question less than a BMC could be asked: a large fleet feels each. */
  async #suites(line: Line, limits: Limits): Promise<readonly number[]> {
    const { suites } = this.#settings
    if (this.#suite !== undefined) {
      const others = (suites.length > 0 ? suites : usual).filter(id => id !== this.#suite)
      return [this.#suite, ...others]
    }
    if (suites.length > 0) return suites
    const told = await readCipherSuites(line, limits)
    if (told.length === 0) {
      const { speaks20 } = await this.#capabilities(line, limits)
      if (!speaks20) throw this.#speaksOnly15()
    }
    const known = preferred.filter(id => told.includes(id))
    // What proves and encrypts nothing is not taken unasked.
    const safe = known.filter(id => cipherSuites.get(id)?.integrity.id !== 0)
    return safe.length > 0 ? safe : usual
  }

  /** A BMC that opens no session may yet tell that it speaks another version, or that nobody is there at all. */
  async #explained(error: unknown, line: Line, limits: Limits): Promise<unknown> {
    if (!(error instanceof IpmiSuiteIgnored)) return error
    const { firstPauseMs } = this.#settings
    const soon = { ...limits, endMs: performance.now() + firstPauseMs }
    const capabilities = await this.#capabilities(line, soon).catch((silence: unknown) => silence)
    if (capabilities instanceof Error) return capabilities
    return (capabilities as Capabilities).speaks20 ? error : this.#speaksOnly15() // it was not caught
  }

  #speaksOnly15(): IpmiNoSession {
    return new IpmiNoSession(`The BMC at ${this.bmc} has no IPMI 2.0; set ipmi_protocol_version to 1.5`)
  }

  async #capabilities(line: Line, limits: Limits): Promise<Capabilities> {
    const capabilities = await readCapabilities(line, privileges[this.#settings.privilege], limits)
    if (capabilities) return capabilities
    const { commandLimitMs, firstPauseMs } = this.#settings
    const answered = await ping(line, { ...limits, endMs: performance.now() + firstPauseMs })
    const found =
      answered === undefined
        ? `no answer within ${commandLimitMs / 1000} s, to a ping of ASF neither: wrong address or port, a firewall, or IPMI over ` +
          'LAN is switched off in the BMC'
        : `it answers a ping of ASF, ${answered ? 'says that it speaks IPMI' : 'says that it speaks no IPMI'}, and ` +
          'does not tell how to open a session'
    throw new IpmiSilent(`Cannot reach the BMC at ${this.bmc}: ${found}`)
  }

  #credentials(): Credentials {
    const { user, password, bmcKey, privilege } = this.#settings
    return { bmc: this.bmc, user: Buffer.from(user), password: Buffer.from(password), bmcKey, privilege }
  }
}

function outcomeOf(result: { answer: IpmiAnswer } | { error: unknown }): BmcAnswer['outcome'] {
  if ('answer' in result) return result.answer.completion === completion.ok ? 'ok' : 'refused'
  return result.error instanceof IpmiRefused ? 'refused' : 'failed'
}

/** An IPv6 address as the system writes that of an answer's sender. */
function canonical(address: string): string {
  const [bare = address, zone] = address.split('%')
  const same = new SocketAddress({ address: bare, family: 'ipv6' }).address
  return zone === undefined ? same : `${same}%${zone}`
}
