/**
 * What lies between a node as it is and as it is wanted: changes of its fields, then verbs one after the other. Pure; it
 * is asked anew after each verb, so it needs no memory. An instance is never torn down or written over on the way.
 */
import { maskedValue } from '#protocol/takeover.ts'
import type { Item } from '../command.ts'
import type { WantedNode, WantedState } from './description.ts'

export interface Operation {
  readonly op: 'add' | 'remove'
  readonly path: string
  readonly value?: unknown
}

/** What of the wanted fields is otherwise. What a service masks cannot be compared and counts as equal. */
export function changesOf(wanted: Item, found: Item, { secretsToo = false } = {}): Operation[] {
  const operations: Operation[] = []
  for (const [name, value] of Object.entries(wanted)) compare(`/${name}`, value, found[name], operations, secretsToo)
  return operations
}

function compare(path: string, wanted: unknown, found: unknown, operations: Operation[], secretsToo: boolean): void {
  if (found === maskedValue && !secretsToo) return
  if (isItem(wanted) && isItem(found) && Object.keys(wanted).length > 0) {
    for (const [key, value] of Object.entries(wanted)) {
      const inner = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
      compare(inner, value, found[key], operations, secretsToo)
    }
    return
  }
  if (wanted === null) {
    if (found !== undefined && found !== null) operations.push({ op: 'remove', path })
  } else if (!same(wanted, found)) operations.push({ op: 'add', path, value: wanted })
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every(key => same((a as Item)[key], (b as Item)[key])) // both objects
}

export type NextVerb = { readonly verb: string } | { readonly refusal: string } | undefined

/** The verb that brings a node nearer to its wanted state; undefined when it is there. */
export function nextVerb(wanted: Pick<WantedNode, 'state' | 'inspect'>, node: Item): NextVerb {
  const { state } = wanted
  const now = String(node.provision_state)
  if (state === undefined) return undefined
  const unseen = wanted.inspect && node.inspection_finished_at === null
  if (now === 'manageable' && unseen && state !== 'enroll') return { verb: 'inspect' }
  if (now === state) return undefined
  const verb = towards[state][now]
  if (verb !== undefined) return { verb }
  const instance = now === 'active' || node.instance_uuid ? '; it holds an instance, which "node undeploy" ends' : ''
  return { refusal: `it is in state "${now}", from which apply does not lead to "${state}"${instance}` }
}

/** By wanted state: what to do in which state. What is not here is left to people. */
const towards: Readonly<Record<WantedState, Readonly<Record<string, string>>>> = {
  enroll: {},
  manageable: { enroll: 'manage', available: 'manage', 'clean failed': 'manage', 'inspect failed': 'manage' },
  available: { enroll: 'manage', manageable: 'provide', 'clean failed': 'manage', 'inspect failed': 'manage' },
  active: {
    ...{ enroll: 'manage', manageable: 'provide', 'clean failed': 'manage', 'inspect failed': 'manage' },
    ...{ available: 'active', 'deploy failed': 'active' },
  },
}

function isItem(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
