/** What the API tells of each request that it answered. */
import { measure } from '#lib/measure.ts'

export const requestsAnswered = measure<{
  /** As declared: `node.list`; `none` where no endpoint was meant. */
  endpoint: string
  method: string
  status: number
  durationMs: number
}>('ferrite:api:answer')
