/** What a simulated BMC is like: its users and key, what it offers, and how it misbehaves. */
import { type Privilege, privileges } from '#protocol/ipmi/commands.ts'
import type { Message } from '#protocol/ipmi/message.ts'
import type { Hardware } from '../redfish/hardware.ts'

export interface BmcUser {
  /** Empty: the user without a name. */
  name: string
  password: string
  /** What a session of this user may have at most. */
  privilege: Privilege
}

export interface BmcOptions {
  hardware: Hardware
  users: readonly BmcUser[]
  /** The BMC's own key (Kg); null: none. */
  key?: Buffer | null
  /** IDs of cipher suites that it opens sessions with. */
  suites?: readonly number[]
  /** Does it know IPMI 2.0? */
  speaks20?: boolean
  /** Of sessions of IPMI 1.5. */
  authTypes?: readonly number[]
  maxSessions?: number
  /** Milliseconds since 1970. */
  now?: () => number
  /** Comes before a command is carried out: a completion code instead, or 'silent' for no answer. */
  before?: (request: Message) => number | 'silent' | undefined
  /** Controllers behind it, by address on any channel: what they answer. */
  behind?: ReadonlyMap<number, (request: Message) => readonly number[]>
  /** The most that one answer carries of a sensor record. */
  sdrBytes?: number
}

export type ResolvedOptions = Required<Omit<BmcOptions, 'before'>> & Pick<BmcOptions, 'before'>

/** The user of that name, if a session may have the privilege. */
export function userFor(
  { users }: ResolvedOptions,
  name: string,
  wanted: number,
): { user: BmcUser; isAllowed: boolean } | undefined {
  const user = users.find(each => each.name === name)
  return user && { user, isAllowed: wanted <= privileges[user.privilege] }
}
