/**
 * The log of a ramdisk as it reaches the service while the ramdisk runs: pieces, numbered within a boot. Ironic has
 * nothing like it; our ramdisk sends it where the kernel parameter names an address, and nobody else does.
 */
import { type Static, Type } from 'typebox'
import { uuidPattern } from './field.ts'

/** Kernel parameter: the URL that pieces are posted to. */
export const logUrlParameter = 'ferrite-log-url'

/** Characters of a piece, at most. */
export const longestPiece = 65_536

export const LogPiece = Type.Object(
  {
    boot_id: Type.String({ pattern: uuidPattern }),
    /** From 0. A piece that came before is the same one. */
    piece: Type.Integer({ minimum: 0, maximum: 10_000_000 }),
    text: Type.String({ minLength: 1, maxLength: longestPiece }),
    /** MAC addresses of the machine: who it is, as for a look-up. */
    addresses: Type.Array(Type.String(), { maxItems: 64 }),
    /** Once it is known. */
    node_uuid: Type.Optional(Type.String({ pattern: uuidPattern })),
    agent_token: Type.Optional(Type.String({ maxLength: 255 })),
  },
  { additionalProperties: false },
)
export type LogPiece = Static<typeof LogPiece>

/** A boot whose log is kept. */
export const LoggedBoot = Type.Object({
  boot_id: Type.String(),
  began_at: Type.String(),
  updated_at: Type.String(),
  size_bytes: Type.Integer(),
})
export type LoggedBoot = Static<typeof LoggedBoot>

/** A boot's log, from a piece on. */
export const BootLog = Type.Object({
  boot_id: Type.String(),
  text: Type.String(),
  /** Ask for what comes after it next; null where there was nothing. */
  last_piece: Type.Union([Type.Integer(), Type.Null()]),
})
export type BootLog = Static<typeof BootLog>
