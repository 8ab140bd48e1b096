/** Sessions that a BMC holds: few, and each forgotten after a minute of silence. Source: IPMI v2.0 rev 1.1, 6.12.15. */
import { randomInt } from 'node:crypto'
import { privileges } from '#protocol/ipmi/commands.ts'
import type { Message } from '#protocol/ipmi/message.ts'
import type { Seal } from '#protocol/ipmi/sealing.ts'

const silentMs = 60_000

export class BmcSession {
  readonly seal: Seal
  readonly mostPrivilege: number
  /** It begins as a user's. */
  privilege: number
  answers: Message[] = []
  /** Sends a payload of Serial over LAN to where the last message came from. */
  push: (payload: Buffer) => void = () => {}
  #answered: Message | undefined

  constructor(seal: Seal, mostPrivilege: number) {
    this.seal = seal
    this.mostPrivilege = mostPrivilege
    this.privilege = Math.min(mostPrivilege, privileges.USER)
  }

  isRepeated(request: Message): boolean {
    const last = this.#answered
    return (
      last?.seq === request.seq &&
      last.command === request.command &&
      last.netFn === request.netFn &&
      Buffer.from(last.data).equals(request.data)
    )
  }

  remember(request: Message, answers: Message[]): void {
    this.#answered = request
    this.answers = answers
  }
}

export class Sessions {
  readonly #sessions = new Map<number, { session: BmcSession; usedAtMs: number }>()
  readonly #options: { maxSessions: number; now: () => number }
  /** Sessions that were opened so far. */
  opened = 0

  constructor(options: { maxSessions: number; now: () => number }) {
    this.#options = options
  }

  get size(): number {
    this.#forget()
    return this.#sessions.size
  }

  get isFull(): boolean {
    return this.size >= this.#options.maxSessions
  }

  freeId(): number {
    for (;;) {
      const id = randomInt(1, 0xffffffff)
      if (!this.#sessions.has(id)) return id
    }
  }

  add(id: number, session: BmcSession): void {
    this.opened += 1
    this.#sessions.set(id, { session, usedAtMs: this.#options.now() })
  }

  get(id: number): BmcSession | undefined {
    this.#forget()
    const held = this.#sessions.get(id)
    if (held) held.usedAtMs = this.#options.now()
    return held?.session
  }

  close(id: number): boolean {
    return this.#sessions.delete(id)
  }

  /** As after a restart of the BMC. */
  clear(): void {
    this.#sessions.clear()
  }

  #forget(): void {
    const before = this.#options.now() - silentMs
    for (const [id, { usedAtMs }] of this.#sessions) if (usedAtMs < before) this.#sessions.delete(id)
  }
}
