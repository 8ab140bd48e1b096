/**
 * Reads what a node's driver_info says of burning in. Values go to programs as arguments, so each has to look like what it
 * is; one that does not fails the step before anything is started.
 */
import type { AgentNode } from '#protocol/agent.ts'
import { AgentFault } from '../../errors.ts'

/** Of stress-ng and fio alike: seconds, or a number with a unit. */
const duration = /^\d+[smhdwy]?$/
const memory = /^\d+(\.\d+)?[%bkmgtBKMGT]?$/

export interface BurnInSettings {
  count(key: string, otherwise: number): number
  /** A number of seconds, or such as `12h`. */
  duration(key: string, otherwise: string): string
  /** Bytes with a unit, or a share of all. */
  memory(key: string, otherwise: string): string
  flag(key: string): boolean
  /** A file or folder by its whole path. */
  path(key: string): string | null
  text(key: string): string | null
  /** Whatever stands there. */
  raw(key: string): unknown
}

/** @param prefix of the keys, such as `agent_burnin_cpu_` */
export function burnInSettings(node: AgentNode, prefix: string): BurnInSettings {
  const info = node.driver_info ?? {}
  const read = (key: string) => info[prefix + key] ?? null
  const wrong = (key: string, expected: string) =>
    new AgentFault(
      'CleaningError',
      `Cannot burn in: driver_info ${prefix}${key} is ${JSON.stringify(read(key))}, expected ${expected}`,
    )
  const matching = (key: string, pattern: RegExp, expected: string) => {
    const value = read(key)
    if (value === null) return null
    if (['string', 'number', 'boolean'].includes(typeof value) && pattern.test(String(value))) return String(value)
    throw wrong(key, expected)
  }
  return {
    raw: read,
    count: (key, otherwise) => Number(matching(key, /^\d{1,9}$/, 'a whole number') ?? otherwise),
    duration: (key, otherwise) => matching(key, duration, 'seconds, or a number with s, m, h, d') ?? otherwise,
    memory: (key, otherwise) => matching(key, memory, 'a size such as 2G or 98%') ?? otherwise,
    flag: key => /^(1|true|yes|on)$/i.test(matching(key, /^(1|0|true|false|yes|no|on|off)$/i, 'true or false') ?? ''),
    path: key => matching(key, /^\/[^\0\n]*$/, 'a whole path'),
    text: key => matching(key, /^[^-\0\n][^\0\n]*$/, 'a text'),
  }
}
