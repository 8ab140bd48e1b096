/** Who opens a session, and how the BMC is called in what is told of it. */
import type { Privilege } from '#protocol/ipmi/commands.ts'

export interface Credentials {
  /** Host and port, for messages. */
  bmc: string
  /** At most 16 bytes; empty: the user without a name. */
  user: Buffer
  /** At most 20 bytes, 16 with IPMI 1.5. */
  password: Buffer
  /** The BMC's own key (Kg), at most 20 bytes; null: it has none. */
  bmcKey: Buffer | null
  privilege: Privilege
}
