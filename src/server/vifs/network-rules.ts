/**
 * The file of trait-based networking: traits, and what is done with the ports of a node that has one of them when it gets a
 * VIF. Everything that is wrong with it is told at once, each with the file, the trait and the field. It chooses no port.
 *
 * Source: ironic/common/trait_based_networking/config_file.py, base.py (keys and their meaning, restated).
 */
import { parseDocument } from 'yaml'
import { Fault } from '#lib/fault.ts'
import { type Fresh, openFresh, textOfFile, versionOfFile } from '#lib/fresh.ts'
import type { Log } from '#lib/log.ts'
import { NoFilter, type PortFilter, parseFilter } from './port-filter.ts'

/** The rules of trait-based networking cannot be used; the message says what is wrong in which file. */
export class NetworkRulesWrong extends Fault {
  readonly status = 500
  readonly code = 'network-rules-wrong'
}

export const actionKinds = ['attach_port', 'attach_portgroup', 'group_and_attach_ports'] as const

export interface PortAction {
  readonly action: (typeof actionKinds)[number]
  readonly filter: PortFilter
  /** Fewer than that and it does nothing; null: one, and no more than one. */
  readonly min_count: number | null
  readonly max_count: number | null
}

/** What is done for nodes with a trait. */
export interface TraitRule {
  readonly trait: string
  readonly actions: readonly PortAction[]
}

/** In the order in which they are tried. */
export type NetworkRules = readonly TraitRule[]

/** The trait of nodes that have none of the others. */
export const defaultTrait = 'CUSTOM_DEFAULT_TBN_TRAIT'
const actionKeys = ['action', 'filter', 'min_count', 'max_count']
const traitPattern = /^CUSTOM_[A-Z0-9_]{1,248}$/
/** Neither side of a group has more. */
const mostPorts = 1000

/** The rules as the file has them now. @throws NetworkRulesWrong for the first look; later the last good ones count */
export function openNetworkRules(path: string, log: Log): Promise<Fresh<NetworkRules>> {
  const noun = `the file of trait-based networking, ${path}`
  return openFresh<NetworkRules>({
    noun,
    log,
    freshForMs: 0,
    version: () => versionOfFile(path, noun),
    load: async () => readNetworkRules(path, await textOfFile(path, noun)),
  })
}

/** @throws NetworkRulesWrong */
export function readNetworkRules(path: string, text: string): NetworkRules {
  const document = parseDocument(text)
  const [broken] = document.errors
  if (broken) throw wrong(path, [broken.message.split('\n', 1)[0] ?? ''])
  const traits: unknown = document.toJS() ?? {}
  if (!isObject(traits)) throw wrong(path, [`found ${shown(traits)}, expected traits with their actions`])
  const problems: string[] = []
  const rules = Object.entries(traits).map(([trait, given]) => {
    const order = orderOf(trait, given, problems)
    return { trait, order, actions: actionsOf(trait, given, problems) }
  })
  if (problems.length > 0) throw wrong(path, problems)
  return rules.toSorted((a, b) => a.order - b.order)
}

function orderOf(trait: string, given: unknown, problems: string[]): number {
  if (!traitPattern.test(trait)) problems.push(`trait ${shown(trait)}: expected a name such as CUSTOM_STORAGE`)
  if (!isObject(given)) {
    problems.push(`trait ${trait}: found ${shown(given)}, expected actions`)
    return 1
  }
  for (const key of Object.keys(given)) {
    if (key !== 'order' && key !== 'actions') {
      problems.push(`trait ${trait}: found the field ${shown(key)}, expected order and actions alone`)
    }
  }
  const { order = 1 } = given
  if (typeof order === 'number' && Number.isInteger(order)) return order
  problems.push(`trait ${trait}, order: found ${shown(order)}, expected a whole number`)
  return 1
}

function actionsOf(trait: string, given: unknown, problems: string[]): PortAction[] {
  if (!isObject(given)) return []
  if (Array.isArray(given.actions) && given.actions.length > 0) {
    return given.actions.flatMap((one: unknown, index) => {
      const action = actionOf(`trait ${trait}, actions[${index}]`, one, problems)
      return action ? [action] : []
    })
  }
  problems.push(`trait ${trait}, actions: found ${shown(given.actions)}, expected a list of one action or more`)
  return []
}

function actionOf(where: string, given: unknown, problems: string[]): PortAction | null {
  if (!isObject(given)) {
    problems.push(`${where}: found ${shown(given)}, expected ${actionKeys.join(', ')}`)
    return null
  }
  for (const key of Object.keys(given)) {
    if (!actionKeys.includes(key)) {
      problems.push(`${where}: found the field ${shown(key)}, expected ${actionKeys.join(', ')}`)
    }
  }
  const action = actionKinds.find(kind => kind === given.action)
  if (!action)
    problems.push(`${where}, action: found ${shown(given.action)}, expected one of ${actionKinds.join(', ')}`)
  const filter = filterOf(where, given.filter, problems)
  const min_count = countOf(`${where}, min_count`, given.min_count, problems)
  const max_count = countOf(`${where}, max_count`, given.max_count, problems)
  if (action === 'group_and_attach_ports' && (min_count === null || min_count < 2)) {
    problems.push(`${where}, min_count: found ${shown(given.min_count)}, expected at least 2 for ${action}`)
  }
  if (max_count !== null && max_count < (min_count ?? 1)) {
    problems.push(`${where}, max_count: found ${max_count}, expected at least min_count, ${min_count ?? 1}`)
  }
  return action && filter ? { action, filter, min_count, max_count } : null
}

function filterOf(where: string, given: unknown, problems: string[]): PortFilter | null {
  try {
    if (typeof given !== 'string') throw new NoFilter(`found ${shown(given)}, expected a filter as text`)
    return parseFilter(given)
  } catch (error) {
    if (!(error instanceof NoFilter)) throw error
    problems.push(`${where}, filter: ${error.message}`)
    return null
  }
}

/** Numbers may stand in quotes, as Ironic reads them. */
function countOf(where: string, given: unknown, problems: string[]): number | null {
  if (given === undefined || given === null) return null
  const count = typeof given === 'string' && /^\d{1,4}$/.test(given) ? Number(given) : given
  if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= mostPorts) return count
  problems.push(`${where}: found ${shown(given)}, expected a whole number from 1 to ${mostPorts}`)
  return null
}

function wrong(path: string, problems: readonly string[]): NetworkRulesWrong {
  return new NetworkRulesWrong(`Cannot use the file of trait-based networking, ${path}: ${problems.join('; ')}`)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const shown = (value: unknown) => (value === undefined ? 'nothing' : (JSON.stringify(value) ?? '').slice(0, 80))
