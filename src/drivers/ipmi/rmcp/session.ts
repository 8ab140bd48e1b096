/**
 * A session with one BMC: asks one question after another, raises the privilege before the first that needs more than a
 * user's, and says farewell. A BMC holds few sessions and forgets one that is silent for a minute, so one that gets no
 * answer is not asked for long: who holds it opens another.
 *
 * Source: IPMI v2.0 rev 1.1, 6.12 "Sessions", 22.18 "Set Session Privilege Level", 22.19 "Close Session".
 */
import { commands, completion, netFns, type Privilege, privileges } from '#protocol/ipmi/commands.ts'
import type { Packet } from '#protocol/ipmi/packet.ts'
import { payloadTypes } from '#protocol/ipmi/packet.ts'
import type { Seal } from '#protocol/ipmi/sealing.ts'
import { refusal } from '../faults.ts'
import { exchange, type Pace } from './exchange.ts'
import type { Line } from './hub.ts'
import { direct, encodeRequest, type IpmiAnswer, type IpmiRequest, type Route, readAnswer } from './route.ts'

export interface Limits {
  pace: Pace
  /** By `performance.now()`. */
  endMs: number
  sendings?: number
  signal: AbortSignal
}

export interface OpenedSession {
  seal: Seal
  /** By which the BMC knows the session. */
  bmcId: number
  /** What it may have; it begins as a user, whatever that is. */
  privilege: Privilege
  /** How its packets are protected; null with IPMI 1.5. */
  protection: { encrypts: boolean; authenticates: boolean } | null
}

export class Session {
  readonly #line: Line
  readonly #opened: OpenedSession
  readonly #route: Route
  /** How the BMC is called in messages. */
  readonly #bmc: string
  /** Takes payloads that are no messages; what comes between questions reaches it too. */
  onPayload: ((payloadType: number, payload: Buffer) => void) | null = null
  #seq = 0
  #isRaised: boolean

  constructor(line: Line, opened: OpenedSession, { route, bmc }: { route: Route; bmc: string }) {
    this.#line = line
    this.#opened = opened
    this.#route = route
    this.#bmc = bmc
    this.#isRaised = privileges[opened.privilege] <= privileges.USER
  }

  /** Listens also between questions, for whoever set `onPayload`. */
  attend(): void {
    this.#line.listen(packet => {
      const opened = this.#opened.seal.open(packet)
      if (opened) this.onPayload?.(opened.payloadType, opened.payload)
    })
  }

  get protection(): OpenedSession['protection'] {
    return this.#opened.protection
  }

  /** Sends a payload that is no message; nobody waits for an answer here. */
  send(payloadType: number, payload: Buffer): void {
    this.#line.send(this.#opened.seal.seal(payloadType, payload))
  }

  /**
   * One question; never two at a time.
   * @returns undefined when nobody answered in time
   * @throws IpmiRefused when the privilege cannot be had
   */
  async ask(request: IpmiRequest & { asUser?: boolean }, limits: Limits): Promise<IpmiAnswer | undefined> {
    if (!request.asUser && !(await this.#raise(limits))) return undefined
    const answer = await this.#exchange(this.#route, request, limits)
    if (answer?.completion !== completion.insufficientPrivilege || this.#isRaised) return answer
    return (await this.#raise(limits)) ? this.#exchange(this.#route, request, limits) : undefined
  }

  /** Tells the BMC that its place is free; what it answers changes nothing. The session cannot be used any more. */
  close(): void {
    const data = Buffer.alloc(4)
    data.writeUInt32LE(this.#opened.bmcId)
    const request = { netFn: netFns.app, command: commands.app.closeSession, data: [...data] }
    const message = encodeRequest(direct, request, this.#nextSeq())
    this.#line.send(this.#opened.seal.seal(payloadTypes.message, message))
  }

  async #raise(limits: Limits): Promise<boolean> {
    if (this.#isRaised) return true
    const { privilege } = this.#opened
    const request = { netFn: netFns.app, command: commands.app.setPrivilege, data: [privileges[privilege]] }
    const answer = await this.#exchange(direct, request, limits)
    if (!answer) return false
    if (answer.completion !== completion.ok) {
      throw refusal(this.#bmc, `a session's request for privilege ${privilege}`, answer.completion)
    }
    this.#isRaised = true
    return true
  }

  async #exchange(route: Route, request: IpmiRequest, limits: Limits): Promise<IpmiAnswer | undefined> {
    const { seal } = this.#opened
    const { onPayload } = this
    const seq = this.#nextSeq()
    const message = encodeRequest(route, request, seq)
    const answer = await exchange(this.#line, {
      ...limits,
      make: () => seal.seal(payloadTypes.message, message),
      read(packet: Packet) {
        const opened = seal.open(packet)
        if (!opened) return undefined
        if (opened.payloadType !== payloadTypes.message) {
          onPayload?.(opened.payloadType, opened.payload)
          return undefined
        }
        return readAnswer(route, request, seq, opened.payload)
      },
    })
    if (onPayload) this.attend()
    return answer
  }

  #nextSeq(): number {
    this.#seq = (this.#seq + 1) & 0x3f
    return this.#seq
  }
}
