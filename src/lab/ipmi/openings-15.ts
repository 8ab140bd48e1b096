/** The BMC's side of opening a session of IPMI 1.5. Source: IPMI v2.0 rev 1.1, 22.16 and 22.17. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { commands, completion } from '#protocol/ipmi/commands.ts'
import { decodeMessage, encodeMessage, responseTo } from '#protocol/ipmi/message.ts'
import { authTypes, encodeSession15, type SessionPacket } from '#protocol/ipmi/packet.ts'
import { padded } from '#protocol/ipmi/rakp.ts'
import { authCode15, seal15 } from '#protocol/ipmi/sealing.ts'
import { type BmcUser, type ResolvedOptions, userFor } from './options.ts'
import { BmcSession, type Sessions } from './sessions.ts'

const passwordBytes = 16
const mostChallenges = 32

export class Openings15 {
  readonly #options: ResolvedOptions
  readonly #sessions: Sessions
  readonly #challenges = new Map<number, { user: BmcUser; authType: number; text: Buffer }>()

  constructor(options: ResolvedOptions, sessions: Sessions) {
    this.#options = options
    this.#sessions = sessions
  }

  /** The data of an answer to "Get Session Challenge". */
  challenge(data: Uint8Array): readonly number[] {
    const authType = (data[0] ?? 0) & 0x0f
    const name = Buffer.from(data.subarray(1, 17)).toString().replace(/\0.*$/s, '')
    const found = userFor(this.#options, name, 0)
    if (!found) return [name === '' ? 0x82 : 0x81]
    if (!this.#options.authTypes.includes(authType)) return [completion.invalidData]
    const id = this.#sessions.freeId()
    const text = randomBytes(16)
    this.#challenges.set(id, { user: found.user, authType, text })
    for (const old of this.#challenges.keys()) if (this.#challenges.size > mostChallenges) this.#challenges.delete(old)
    return [completion.ok, ...uint32(id), ...text]
  }

  /** The answer to "Activate Session"; undefined for what is none to a challenge of ours, or proves nothing. */
  activate(packet: SessionPacket): Buffer | undefined {
    const challenge = this.#challenges.get(packet.sessionId)
    if (packet.kind !== '1.5' || !challenge) return undefined
    const { user, authType, text } = challenge
    const password = padded(Buffer.from(user.password), passwordBytes)
    const expected = authCode15({ ...packet, password })
    const isProven =
      packet.authType === authType &&
      (authType === authTypes.none || (expected && packet.authCode && timingSafeEqual(expected, packet.authCode)))
    const request = decodeMessage(packet.payload)
    if (!isProven || request?.command !== commands.app.activateSession) return undefined
    const [, wanted = 0] = request.data
    const respond = (code: number, ...data: number[]) => {
      const payload = encodeMessage(responseTo(request, Uint8Array.of(code, ...data)))
      const answer = { authType, sessionId: packet.sessionId, seq: 0, payload }
      return encodeSession15({ ...answer, authCode: authCode15({ ...answer, password }) })
    }
    if (!Buffer.from(request.data.subarray(2, 18)).equals(text)) return respond(completion.invalidData)
    if (!userFor(this.#options, user.name, wanted)?.isAllowed) return respond(0x86)
    if (this.#sessions.isFull) return respond(0x81)
    this.#challenges.delete(packet.sessionId)
    const id = this.#sessions.freeId()
    const firstSeq = Buffer.from(request.data).readUInt32LE(18)
    const seal = seal15({ authType, id, password, firstSeq, isSigned: true })
    this.#sessions.add(id, new BmcSession(seal, wanted))
    return respond(completion.ok, authType, ...uint32(id), ...uint32(1), wanted)
  }
}

function uint32(value: number): number[] {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return [...bytes]
}
