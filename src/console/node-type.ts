/** The API's objects as TypeScript sees them, read off the declarations of their fields; nothing of it is in the bundle. */
import type { Static } from 'typebox'
import type { Field } from '#protocol/field.ts'
import type { historyFields } from '#protocol/history.ts'
import type { nodeFields } from '#protocol/node.ts'
import type { portFields } from '#protocol/port.ts'

type Of<F extends Record<string, Field>> = { readonly [K in keyof F]: Static<F[K]['schema']> }

export type Node = Of<typeof nodeFields>
export type Port = Of<typeof portFields>
export type HistoryEntry = Of<typeof historyFields>

/** GET /v1/conductors/detail has more; this is what pages show. */
export interface Conductor {
  readonly hostname: string
  readonly conductor_group: string
  readonly alive: boolean
  readonly updated_at?: string | null
}
