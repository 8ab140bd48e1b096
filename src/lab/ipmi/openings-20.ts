/** The BMC's side of opening a session of RMCP+. Source: IPMI v2.0 rev 1.1, 13.15 "RMCP+ session activation". */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { suiteOf } from '#protocol/ipmi/cipher-suites.ts'
import { privileges, rmcpStatus } from '#protocol/ipmi/commands.ts'
import { payloadTypes, plain20 } from '#protocol/ipmi/packet.ts'
import {
  bmcCode,
  checkCode,
  consoleCode,
  decodeOpenRequest,
  decodeRakp1,
  decodeRakp3,
  type Exchange,
  encodeOpenResponse,
  encodeRakp2,
  encodeRakp4,
  padded,
  sessionKeys,
} from '#protocol/ipmi/rakp.ts'
import { seal20 } from '#protocol/ipmi/sealing.ts'
import { type ResolvedOptions, userFor } from './options.ts'
import { BmcSession, type Sessions } from './sessions.ts'

interface Opening extends Exchange {
  privilege: number
}

/** Openings that nobody ended are forgotten when so many came after them. */
const mostOpenings = 32
const noBytes = Buffer.alloc(0)

export class Openings20 {
  readonly #options: ResolvedOptions
  readonly #sessions: Sessions
  readonly #guid: Buffer
  readonly #openings = new Map<number, Opening>()

  constructor(options: ResolvedOptions, sessions: Sessions, guid: Buffer) {
    this.#options = options
    this.#sessions = sessions
    this.#guid = guid
  }

  answer(payloadType: number, payload: Buffer): Buffer | undefined {
    const { openRequest, openResponse, rakp1, rakp2, rakp3, rakp4 } = payloadTypes
    switch (payloadType) {
      case openRequest:
        return outside(openResponse, this.#open(payload))
      case rakp1:
        return outside(rakp2, this.#first(payload))
      case rakp3:
        return outside(rakp4, this.#third(payload))
      default:
        return undefined
    }
  }

  #open(payload: Buffer): Buffer | undefined {
    const asked = decodeOpenRequest(payload)
    if (!asked) return undefined
    const { tag, consoleId, algorithms } = asked
    const privilege = asked.privilege || privileges.ADMINISTRATOR
    const respond = (status: number, bmcId = 0) =>
      encodeOpenResponse({ tag, status, privilege, consoleId, bmcId, algorithms })
    const suite = suiteOf(algorithms)
    if (!suite || !this.#options.suites.includes(suite.id)) return respond(rmcpStatus.noSuiteMatch)
    if (this.#sessions.isFull) return respond(rmcpStatus.insufficientResources)
    const bmcId = this.#sessions.freeId()
    const bmcKey = this.#options.key && padded(this.#options.key)
    this.#openings.set(bmcId, {
      suite,
      consoleId,
      bmcId,
      consoleRandom: noBytes,
      bmcRandom: randomBytes(16),
      bmcGuid: this.#guid,
      role: 0,
      user: noBytes,
      password: noBytes,
      bmcKey,
      privilege,
    })
    for (const id of this.#openings.keys()) if (this.#openings.size > mostOpenings) this.#openings.delete(id)
    return respond(rmcpStatus.ok, bmcId)
  }

  #first(payload: Buffer): Buffer | undefined {
    const asked = decodeRakp1(payload)
    const opening = asked && this.#openings.get(asked.bmcId)
    if (!asked || !opening) return undefined
    const { tag, role } = asked
    const { consoleId, bmcRandom, bmcGuid } = opening
    const refuse = (status: number) => encodeRakp2({ tag, status, consoleId, bmcRandom, bmcGuid, code: noBytes })
    const found = userFor(this.#options, asked.user.toString(), role & 0x0f)
    if (!found) return refuse(rmcpStatus.unauthorizedName)
    if (!found.isAllowed) return refuse(rmcpStatus.unauthorizedRole)
    opening.consoleRandom = Buffer.from(asked.consoleRandom)
    opening.role = role
    opening.user = Buffer.from(asked.user)
    opening.password = padded(Buffer.from(found.user.password))
    return encodeRakp2({ tag, status: rmcpStatus.ok, consoleId, bmcRandom, bmcGuid, code: bmcCode(opening) })
  }

  #third(payload: Buffer): Buffer | undefined {
    const asked = decodeRakp3(payload)
    if (!asked) return undefined
    const { tag, bmcId } = asked
    const opening = this.#openings.get(bmcId)
    if (!opening) return encodeRakp4({ tag, status: rmcpStatus.invalidSessionId, consoleId: 0, code: noBytes })
    this.#openings.delete(bmcId)
    if (asked.status !== rmcpStatus.ok) return undefined
    const { consoleId, suite, role, privilege } = opening
    const expected = consoleCode(opening)
    if (expected.length !== asked.code.length || !timingSafeEqual(expected, asked.code)) {
      return encodeRakp4({ tag, status: rmcpStatus.invalidCheck, consoleId, code: noBytes })
    }
    const seal = seal20(suite, sessionKeys(opening), { own: bmcId, other: consoleId })
    this.#sessions.add(bmcId, new BmcSession(seal, Math.min(role & 0x0f || privilege, privilege)))
    return encodeRakp4({ tag, status: rmcpStatus.ok, consoleId, code: checkCode(opening) })
  }
}

function outside(payloadType: number, payload: Buffer | undefined): Buffer | undefined {
  return payload && plain20(payloadType, payload)
}
