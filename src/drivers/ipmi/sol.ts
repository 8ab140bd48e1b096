/**
 * The machine's serial port through its BMC (Serial over LAN): opens a session for it, carries characters both ways, and
 * ends when the BMC is gone or takes it away. Each packet is acknowledged; what was not is sent again. Whoever uses it
 * decides whether to open another one.
 *
 * Source: IPMI v2.0 rev 1.1, 15.9 to 15.12 "SOL", 24.1 "Activate Payload", 24.2 "Deactivate Payload".
 */
import { messageOf } from '#lib/fault.ts'
import { commands, completion, completionText, netFns } from '#protocol/ipmi/commands.ts'
import { payloadTypes } from '#protocol/ipmi/packet.ts'
import {
  activationRefusals,
  bmcFlags,
  deactivation,
  decodeActivated,
  decodeSol,
  encodeActivation,
  encodeSol,
  heldByAnother,
  nextSolSeq,
  type SolPacket,
} from '#protocol/ipmi/sol.ts'
import type { SerialEvents, SerialLine } from '../console/serial-console.ts'
import type { IpmiClient } from './client.ts'
import { IpmiNoSession, IpmiRefused, IpmiSilent, IpmiUnreadable } from './faults.ts'
import type { IpmiAnswer } from './rmcp/route.ts'
import type { Limits, Session } from './rmcp/session.ts'

/** BMCs forget a session after a minute of silence. */
const aliveEveryMs = 20_000
/** Characters are awaited by somebody who types: they are sent again soon. */
const usualResendMs = 500
const sendings = 12
const headBytes = 4
/** One packet carries no more, whatever the BMC says. */
const mostInPacket = 255

/** @throws what opening a session throws; IpmiRefused where the BMC has no serial port to give */
export async function openSol(
  client: IpmiClient,
  events: SerialEvents,
  options: { signal: AbortSignal; resendMs?: number },
): Promise<SerialLine> {
  const { signal, resendMs = usualResendMs } = options
  const own = await client.openOwn(signal)
  try {
    const { protection } = own.session
    if (!protection) {
      throw new IpmiNoSession(`The BMC at ${client.bmc} has no serial console with IPMI 1.5; it needs version 2.0`)
    }
    const inboundBytes = await activate(client.bmc, own.session, encodeActivation(protection), signal)
    const mostCharacters = Math.min(inboundBytes - headBytes, mostInPacket)
    return new Sol(client.bmc, own, { mostCharacters, resendMs, events })
  } catch (error) {
    own.close()
    throw error
  }
}

/** @returns the most bytes that a packet to the BMC may have */
async function activate(bmc: string, session: Session, data: number[], signal: AbortSignal): Promise<number> {
  const what = 'the request for its serial port'
  for (let attempt = 1; ; attempt += 1) {
    const answer = await askWithin(session, commands.app.activatePayload, data, signal)
    if (!answer) throw new IpmiSilent(`The BMC at ${bmc} opened a session and then did not answer ${what}`)
    if (answer.completion === completion.ok) {
      const activated = decodeActivated(answer.data)
      if (activated && activated.inboundBytes > headBytes) return activated.inboundBytes
      throw new IpmiUnreadable(`The BMC at ${bmc} answered ${what} with ${answer.data.length} bytes, expected 12`)
    }
    // A console that was not closed, of ours before a crash or of somebody else: this one takes its place, once.
    if (answer.completion === heldByAnother && attempt === 1) {
      await askWithin(session, commands.app.deactivatePayload, deactivation, signal)
      continue
    }
    const why = activationRefusals[answer.completion] ?? completionText(answer.completion)
    throw new IpmiRefused(`The BMC at ${bmc} refused ${what}: ${why}`, answer.completion)
  }
}

function askWithin(
  session: Session,
  command: number,
  data: readonly number[],
  signal: AbortSignal,
): Promise<IpmiAnswer | undefined> {
  const pace = { firstMs: 1000, longestMs: 3000 }
  const limits: Limits = { pace, endMs: performance.now() + 10_000, signal }
  return session.ask({ netFn: netFns.app, command, data }, limits)
}

class Sol implements SerialLine {
  readonly #bmc: string
  readonly #session: Session
  readonly #close: () => void
  readonly #mostCharacters: number
  readonly #resendMs: number
  readonly #events: SerialEvents
  readonly #stop = new AbortController()
  readonly #alive: NodeJS.Timeout
  #waiting: Buffer = Buffer.alloc(0)
  /** Sent and not acknowledged yet. */
  #sent: { seq: number; characters: Buffer; times: number; timer: NodeJS.Timeout } | null = null
  #seq = 0
  /** The last packet of the BMC that carried something, and how much of it was taken. */
  #received = { seq: 0, count: 0 }

  constructor(
    bmc: string,
    own: { session: Session; close(): void },
    options: { mostCharacters: number; resendMs: number; events: SerialEvents },
  ) {
    this.#bmc = bmc
    this.#session = own.session
    this.#close = own.close
    this.#mostCharacters = options.mostCharacters
    this.#resendMs = options.resendMs
    this.#events = options.events
    own.session.onPayload = (type, payload) => this.#take(type, payload)
    own.session.attend()
    this.#alive = setInterval(() => void this.#askWhetherAlive(), aliveEveryMs)
    this.#alive.unref()
  }

  get unsentBytes(): number {
    return this.#waiting.length
  }

  write(characters: Buffer): void {
    if (this.#stop.signal.aborted) return
    this.#waiting = Buffer.concat([this.#waiting, characters])
    this.#sendNext()
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#rest()
    const { deactivatePayload } = commands.app
    // It ends by itself where this does not arrive.
    await askWithin(this.#session, deactivatePayload, deactivation, AbortSignal.timeout(2000)).catch(() => {})
    this.#close()
  }

  #rest(): void {
    this.#stop.abort()
    clearInterval(this.#alive)
    clearTimeout(this.#sent?.timer)
    this.#session.onPayload = null
  }

  #end(why: string): void {
    if (this.#stop.signal.aborted) return
    this.#rest()
    this.#close()
    this.#events.end(why)
  }

  async #askWhetherAlive(): Promise<void> {
    try {
      const answer = await askWithin(this.#session, commands.app.getDeviceId, [], this.#stop.signal)
      if (!answer) this.#end(`the BMC at ${this.#bmc} does not answer any more`)
    } catch (error) {
      this.#end(messageOf(error))
    }
  }

  #take(type: number, payload: Buffer): void {
    const packet = type === payloadTypes.sol ? decodeSol(payload) : undefined
    if (!packet || this.#stop.signal.aborted) return
    if (packet.ackSeq !== 0) this.#acknowledged(packet)
    if (packet.seq !== 0) this.#arrived(packet)
    if ((packet.flags & bmcFlags.deactivated) !== 0)
      this.#end(`the BMC at ${this.#bmc} gave its serial port to another`)
  }

  #acknowledged({ ackSeq, accepted, flags }: SolPacket): void {
    const sent = this.#sent
    if (sent?.seq !== ackSeq) return
    // "Not now": the whole of it comes again when its time is up.
    if ((flags & (bmcFlags.nack | bmcFlags.unavailable)) !== 0 && accepted === 0) return
    clearTimeout(sent.timer)
    this.#sent = null
    this.#waiting = Buffer.concat([sent.characters.subarray(accepted), this.#waiting])
    this.#sendNext()
  }

  /** One that is sent again may have grown meanwhile. */
  #arrived({ seq, characters }: SolPacket): void {
    const known = this.#received.seq === seq ? this.#received.count : 0
    this.#received = { seq, count: Math.max(known, characters.length) }
    const answer = { seq: 0, ackSeq: seq, accepted: characters.length, flags: 0, characters: Buffer.alloc(0) }
    this.#session.send(payloadTypes.sol, encodeSol(answer))
    if (characters.length > known) this.#events.data(Buffer.from(characters.subarray(known)))
  }

  #sendNext(): void {
    if (this.#sent || this.#waiting.length === 0) return
    const characters = this.#waiting.subarray(0, this.#mostCharacters)
    this.#waiting = this.#waiting.subarray(characters.length)
    this.#seq = nextSolSeq(this.#seq)
    this.#send(this.#seq, characters, 1)
  }

  #send(seq: number, characters: Buffer, times: number): void {
    if (times > sendings) {
      this.#end(`the BMC at ${this.#bmc} takes no characters any more`)
      return
    }
    const packet = { seq, ackSeq: 0, accepted: 0, flags: 0, characters }
    const timer = setTimeout(() => this.#send(seq, characters, times + 1), this.#resendMs)
    this.#sent = { seq, characters, times, timer }
    this.#session.send(payloadTypes.sol, encodeSol(packet))
  }
}
