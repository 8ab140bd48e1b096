/**
 * The BMC's end of Serial over LAN: gives the machine's serial port to one session at a time, acknowledges what is typed,
 * and sends what the machine writes until it is acknowledged.
 *
 * Source: IPMI v2.0 rev 1.1, 15.9 to 15.12 "SOL", 24.1 "Activate Payload", 24.2 "Deactivate Payload".
 */
import { completion } from '#protocol/ipmi/commands.ts'
import { payloadTypes } from '#protocol/ipmi/packet.ts'
import { bmcFlags, decodeSol, encodeActivated, encodeSol, heldByAnother, nextSolSeq } from '#protocol/ipmi/sol.ts'
import type { Hardware } from '../redfish/hardware.ts'
import type { BmcSession } from './sessions.ts'

const inboundBytes = 200
const mostCharacters = 200
const resendMs = 200
const sendings = 20
/** What a machine writes faster than it is fetched: the oldest of it goes. */
const mostWaiting = 64 * 1024
const none = Buffer.alloc(0)

export class SerialOverLan {
  readonly #hardware: Hardware
  #holder: BmcSession | null = null
  #unplug = () => {}
  #waiting: Buffer = none
  #sent: { seq: number; characters: Buffer; timer: NodeJS.Timeout } | null = null
  #seq = 0
  #typed = { seq: 0, count: 0 }

  constructor(hardware: Hardware) {
    this.#hardware = hardware
  }

  activate(session: BmcSession, [type = 0]: Uint8Array, port: number): readonly number[] {
    const { serial } = this.#hardware
    if (type !== payloadTypes.sol || !serial) return [0x81]
    if (this.#holder) return [heldByAnother]
    this.#holder = session
    this.#typed = { seq: 0, count: 0 }
    this.#unplug = serial.listen(characters => {
      this.#waiting = Buffer.concat([this.#waiting, characters]).subarray(-mostWaiting)
      this.#sendNext()
    })
    return [completion.ok, ...encodeActivated({ inboundBytes, port })]
  }

  deactivate(): readonly number[] {
    const holder = this.#holder
    if (!holder) return [0x80]
    holder.push(encodeSol({ seq: 0, ackSeq: 0, accepted: 0, flags: bmcFlags.deactivated, characters: none }))
    this.forget(holder)
    return [completion.ok]
  }

  /** The session is gone, and its hold on the port with it. */
  forget(session: BmcSession): void {
    if (this.#holder !== session) return
    this.#unplug()
    clearTimeout(this.#sent?.timer)
    this.#holder = null
    this.#sent = null
    this.#waiting = none
  }

  take(session: BmcSession, payload: Buffer): void {
    const packet = decodeSol(payload)
    if (!packet || session !== this.#holder) return
    if (this.#sent && packet.ackSeq === this.#sent.seq) {
      clearTimeout(this.#sent.timer)
      this.#waiting = Buffer.concat([this.#sent.characters.subarray(packet.accepted), this.#waiting])
      this.#sent = null
      this.#sendNext()
    }
    if (packet.seq === 0) return
    const { seq, characters } = packet
    const known = this.#typed.seq === seq ? this.#typed.count : 0
    this.#typed = { seq, count: characters.length }
    if (characters.length > known) this.#hardware.serial?.type(Buffer.from(characters.subarray(known)))
    session.push(encodeSol({ seq: 0, ackSeq: seq, accepted: characters.length, flags: 0, characters: none }))
  }

  #sendNext(): void {
    if (this.#sent || !this.#holder || this.#waiting.length === 0) return
    const characters = this.#waiting.subarray(0, mostCharacters)
    this.#waiting = this.#waiting.subarray(characters.length)
    this.#seq = nextSolSeq(this.#seq)
    this.#send(this.#seq, characters, 1)
  }

  #send(seq: number, characters: Buffer, times: number): void {
    const holder = this.#holder
    if (!holder) return
    // Nobody is there any more: the port is free again.
    if (times > sendings) {
      this.forget(holder)
      return
    }
    const timer = setTimeout(() => this.#send(seq, characters, times + 1), resendMs)
    timer.unref()
    this.#sent = { seq, characters, timer }
    holder.push(encodeSol({ seq, ackSeq: 0, accepted: 0, flags: 0, characters }))
  }
}
