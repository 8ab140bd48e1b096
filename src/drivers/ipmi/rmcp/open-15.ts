/**
 * Opens a session of IPMI 1.5: a challenge, answered with the password or with an MD5 over it. Nothing is encrypted.
 *
 * Source: IPMI v2.0 rev 1.1, 22.16 "Get Session Challenge", 22.17 "Activate Session"; 18.14 of IPMI v1.5.
 */
import { randomInt } from 'node:crypto'
import { commands, completion, netFns, privileges } from '#protocol/ipmi/commands.ts'
import { authTypes, encodeSession15 } from '#protocol/ipmi/packet.ts'
import { padded } from '#protocol/ipmi/rakp.ts'
import { authCode15, seal15 } from '#protocol/ipmi/sealing.ts'
import { IpmiAccessDenied, IpmiNoSession, IpmiSilent, IpmiUnreadable, refusal } from '../faults.ts'
import type { Credentials } from './credentials.ts'
import { exchange } from './exchange.ts'
import type { Line } from './hub.ts'
import { askOutside, type Capabilities } from './outside.ts'
import { direct, encodeRequest, readAnswer } from './route.ts'
import type { Limits, OpenedSession } from './session.ts'

const passwordBytes = 16
/** Codes of "Get Session Challenge" and "Activate Session" that are about the user or about places. */
const challengeCodes = { unknownUser: 0x81, noNullUser: 0x82 } as const
const noPlaceCodes = [0x81, 0x82, 0x83]

/** @throws IpmiSilent, IpmiAccessDenied, IpmiNoSession */
export async function open15(
  line: Line,
  credentials: Credentials,
  capabilities: Capabilities,
  limits: Limits,
): Promise<OpenedSession> {
  const { bmc, user, privilege } = credentials
  const authType = authTypeFor(credentials, capabilities)
  const password = padded(credentials.password, passwordBytes)
  const silent = (what: string) => new IpmiSilent(`Cannot open a session of IPMI 1.5 at ${bmc}: no answer to ${what}`)

  const asked = { netFn: netFns.app, command: commands.app.getSessionChallenge, data: [authType, ...padded(user, 16)] }
  const challenge = await askOutside(line, asked, limits)
  if (!challenge) throw silent('the request for a challenge')
  if (challenge.completion === challengeCodes.unknownUser || challenge.completion === challengeCodes.noNullUser) {
    throw new IpmiAccessDenied(`The BMC at ${bmc} does not know the user of ipmi_username, or not without a name`)
  }
  if (challenge.completion !== completion.ok) throw refusal(bmc, 'the request for a challenge', challenge.completion)
  if (challenge.data.length < 20) throw new IpmiUnreadable(`The BMC at ${bmc} sent a challenge that is too short`)

  const sessionId = challenge.data.readUInt32LE(0)
  const firstFromBmc = Buffer.alloc(4)
  firstFromBmc.writeUInt32LE(randomInt(1, 0xffffffff))
  const data = [authType, privileges[privilege], ...challenge.data.subarray(4, 20), ...firstFromBmc]
  const request = { netFn: netFns.app, command: commands.app.activateSession, data }
  const seq = randomInt(0, 64)
  const payload = encodeRequest(direct, request, seq)
  const packet = { authType, sessionId, seq: 0, payload }
  const datagram = encodeSession15({ ...packet, authCode: authCode15({ ...packet, password }) })
  const activated = await exchange(line, {
    ...limits,
    make: () => datagram,
    read: each => (each.kind === '1.5' ? readAnswer(direct, request, seq, each.payload) : undefined),
  })
  // Firmware may drop what is not proven instead of refusing it.
  if (!activated) throw silent('the proof of the password, as when it is wrong; check ipmi_password')
  if (noPlaceCodes.includes(activated.completion)) {
    throw new IpmiNoSession(`The BMC at ${bmc} has no place for another session of IPMI 1.5`, 1)
  }
  if (activated.completion !== completion.ok) {
    throw new IpmiAccessDenied(
      `${refusal(bmc, 'the proof of the password', activated.completion).message}; check ipmi_password, ipmi_priv_level`,
    )
  }
  if (activated.data.length < 10) throw new IpmiUnreadable(`The BMC at ${bmc} opened a session without telling its ID`)
  const id = activated.data.readUInt32LE(1)
  const seal = seal15({
    authType: (activated.data[0] ?? authType) & 0x0f,
    id,
    password,
    firstSeq: activated.data.readUInt32LE(5),
    isSigned: capabilities.signsPackets,
  })
  return { seal, bmcId: id, privilege, protection: null }
}

/** MD5 where the BMC has it, then the password itself; nothing only where there is none. */
function authTypeFor({ bmc, password }: Credentials, { authTypes: offered }: Capabilities): number {
  const { md5, password: clear, none } = authTypes
  const order = password.length === 0 ? [none, md5, clear] : [md5, clear]
  const found = order.find(type => (offered & (1 << type)) !== 0)
  if (found !== undefined) return found
  throw new IpmiNoSession(
    `Cannot open a session of IPMI 1.5 at ${bmc}: it offers authentication types 0x${offered.toString(16)}, ` +
      'expected MD5 or password among them; set ipmi_protocol_version to 2.0',
  )
}
