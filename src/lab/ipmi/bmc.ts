/**
 * A BMC that speaks IPMI over a LAN: sessions of RMCP+ and of IPMI 1.5, and commands on the hardware behind it. One
 * function from a datagram to its answer; server.ts puts it behind a socket. The same `Hardware` as the Redfish
 * service's, so a QEMU machine, a fake of a test and a simulated rack may have either.
 *
 * Source: IPMI v2.0 rev 1.1, 13 "IPMI LAN interface", 22 "Session commands".
 */
import { createHash } from 'node:crypto'
import { cipherSuites } from '#protocol/ipmi/cipher-suites.ts'
import { commands, completion, netFns } from '#protocol/ipmi/commands.ts'
import { bmcAddress, decodeMessage, encodeMessage, type Message, responseTo } from '#protocol/ipmi/message.ts'
import {
  authTypes,
  decodePacket,
  encodePong,
  ipmiPort,
  payloadTypes,
  plain15,
  plain20,
  type SessionPacket,
} from '#protocol/ipmi/packet.ts'
import { answerCommand, type BmcState } from './commands.ts'
import { Openings15 } from './openings-15.ts'
import { Openings20 } from './openings-20.ts'
import type { BmcOptions, ResolvedOptions } from './options.ts'
import { SerialOverLan } from './serial-over-lan.ts'
import { type BmcSession, Sessions } from './sessions.ts'

export class IpmiBmc {
  /** Every command that came within a session, as `netFn/command`, in hex. */
  readonly commands: string[] = []
  /** Where it is reached, as it tells those who ask for the serial port. */
  port = ipmiPort
  readonly sessions: Sessions
  readonly #options: ResolvedOptions
  readonly #openings20: Openings20
  readonly #openings15: Openings15
  readonly #state: BmcState
  readonly #serial: SerialOverLan

  constructor(options: BmcOptions) {
    const all: ResolvedOptions = {
      key: null,
      suites: [3, 17],
      speaks20: true,
      authTypes: [authTypes.md5],
      maxSessions: 8,
      now: Date.now,
      behind: new Map(),
      sdrBytes: 32,
      ...options,
    }
    const { uuid } = all.hardware.facts
    this.#options = all
    this.sessions = new Sessions(all)
    this.#openings20 = new Openings20(all, this.sessions, createHash('md5').update(uuid).digest())
    this.#openings15 = new Openings15(all, this.sessions)
    this.#serial = new SerialOverLan(all.hardware)
    this.#state = { hardware: all.hardware, bootOptions: new Map(), sdrReservation: 0, sdrBytes: all.sdrBytes }
  }

  /**
   * What comes back; empty where firmware says nothing.
   * @param push sends to the same place later, for what no request asked for
   */
  async handle(datagram: Buffer, push: (datagram: Buffer) => void = () => {}): Promise<Buffer[]> {
    const packet = decodePacket(datagram)
    if (!packet) return []
    if (packet.kind === 'ping') return [encodePong(packet.tag)]
    if (packet.kind === 'pong') return []
    if (packet.sessionId !== 0) {
      const challenged = this.#openings15.activate(packet)
      return challenged ? [challenged] : this.#inSession(packet, push)
    }
    if (packet.kind === '2.0') {
      if (!this.#options.speaks20) return []
      const answer = this.#openings20.answer(packet.payloadType, packet.payload)
      if (answer) return [answer]
      if (packet.payloadType !== payloadTypes.message) return []
    }
    const request = decodeMessage(packet.payload)
    if (!request) return []
    const payload = encodeMessage(responseTo(request, Uint8Array.from(this.#outside(request))))
    return [packet.kind === '2.0' ? plain20(payloadTypes.message, payload) : plain15(payload)]
  }

  async #inSession(packet: SessionPacket, push: (datagram: Buffer) => void): Promise<Buffer[]> {
    const session = this.sessions.get(packet.sessionId)
    const opened = session?.seal.open(packet)
    if (!session || !opened) return []
    if (opened.payloadType === payloadTypes.sol) this.#serial.take(session, opened.payload)
    if (opened.payloadType !== payloadTypes.message) return []
    session.push = payload => push(session.seal.seal(payloadTypes.sol, payload))
    const request = decodeMessage(opened.payload)
    if (!request || request.to !== bmcAddress) return []
    const answers = await this.#answer(session, request)
    return answers.map(message => session.seal.seal(payloadTypes.message, encodeMessage(message)))
  }

  /** One answer, or two: a message that was passed on is answered by who got it. */
  async #answer(session: BmcSession, request: Message): Promise<Message[]> {
    // A request that comes again is answered again, not carried out again.
    if (session.isRepeated(request)) return session.answers
    this.commands.push(`${hex(request.netFn)}/${hex(request.command)}`)
    const instead = this.#options.before?.(request)
    if (instead === 'silent') return []
    const answers =
      instead !== undefined
        ? [responseTo(request, Uint8Array.of(instead))]
        : isOf(request, commands.app.sendMessage)
          ? this.#passOn(request)
          : [responseTo(request, Uint8Array.from(await this.#carryOut(session, request)))]
    session.remember(request, answers)
    return answers
  }

  async #carryOut(session: BmcSession, request: Message): Promise<readonly number[]> {
    if (isOf(request, commands.app.setPrivilege)) {
      const wanted = request.data[0] ?? 0
      if (wanted > session.mostPrivilege) return [0x81]
      if (wanted !== 0) session.privilege = wanted
      return [completion.ok, session.privilege]
    }
    if (isOf(request, commands.app.closeSession)) {
      const id = Buffer.from(request.data).readUInt32LE(0)
      this.#serial.forget(session)
      return [this.sessions.close(id) ? completion.ok : 0x87]
    }
    const { activatePayload, deactivatePayload } = commands.app
    if (isOf(request, activatePayload)) return this.#serial.activate(session, request.data, this.port)
    if (isOf(request, deactivatePayload)) return this.#serial.deactivate()
    if (request.netFn === netFns.app && outside.has(request.command)) return this.#outside(request)
    return answerCommand(this.#state, request, session.privilege)
  }

  #outside(request: Message): readonly number[] {
    const { options } = this
    if (isOf(request, commands.app.getChannelAuthentication)) {
      const types = options.authTypes.reduce((bits, type) => bits | (1 << type), options.speaks20 ? 0x80 : 0)
      const named = options.users.some(({ name }) => name !== '') ? 0x04 : 0
      const unnamed = options.users.some(({ name }) => name === '') ? 0x02 : 0
      const status = named | unnamed | (options.key ? 0x20 : 0)
      return [completion.ok, 1, types, status, options.speaks20 ? 0x03 : 0, 0, 0, 0, 0]
    }
    if (isOf(request, commands.app.getCipherSuites) && options.speaks20) {
      const records = options.suites.flatMap(id => {
        const suite = cipherSuites.get(id)
        if (!suite) return []
        return [0xc0, id, suite.authentication.id, 0x40 | suite.integrity.id, 0x80 | suite.confidentiality.id]
      })
      const part = (request.data[2] ?? 0) & 0x3f
      return [completion.ok, 1, ...records.slice(part * 16, part * 16 + 16)]
    }
    if (isOf(request, commands.app.getSessionChallenge)) return this.#openings15.challenge(request.data)
    return [outside.has(request.command) ? completion.invalidCommand : completion.insufficientPrivilege]
  }

  #passOn(request: Message): Message[] {
    const inner = decodeMessage(request.data.subarray(1))
    const target = inner && this.#options.behind.get(inner.to)
    if (!inner || !target) return [responseTo(request, Uint8Array.of(0x83))]
    const passed = responseTo(request, Uint8Array.of(completion.ok))
    // The answer goes to the console that asked, under the sequence number that it asked with.
    const answer = responseTo({ ...inner, from: request.from }, Uint8Array.from(target(inner)))
    return [passed, { ...answer, seq: request.seq }]
  }

  /** The options as they are in force. */
  get options(): ResolvedOptions {
    return this.#options
  }
}

/** Commands that are answered without a session. */
const outside: ReadonlySet<number> = new Set([
  commands.app.getChannelAuthentication,
  commands.app.getCipherSuites,
  commands.app.getSessionChallenge,
])

function isOf(request: Message, command: number): boolean {
  return request.netFn === netFns.app && request.command === command
}

const hex = (value: number) => value.toString(16).padStart(2, '0')
