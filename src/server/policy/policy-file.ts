/**
 * The files with which operators put rules of their own in force: names to rules, YAML or JSON, as oslo.policy reads
 * them. What is wrong is told with the file, the policy and its text, and then none of the files counts.
 */
import { isScalar, parseDocument } from 'yaml'
import { closest } from '#lib/closest.ts'
import { InvalidInput } from '#lib/fault.ts'
import { formerNamedRules, formerRule } from './former-rules.ts'
import { namedRules, policies, stepPolicy } from './policies.ts'
import { NoRule, parseRule, type Rule } from './rule.ts'

/** All rules in force, by name. */
export type Rules = ReadonlyMap<string, Rule>

export interface PolicyText {
  readonly path: string
  readonly text: string
}

export interface ReadRules {
  readonly rules: Rules
  /** For the log: what has no effect as it stands. */
  readonly warnings: readonly string[]
}

/** @param formerToo what was enough before tokens had scopes is enough */
export function defaultRules({ formerToo = false } = {}): Rules {
  const rules = new Map<string, Rule>()
  const named = { ...namedRules, ...formerNamedRules }
  for (const [name, rule] of Object.entries(named)) rules.set(name, parseRule(rule))
  for (const [name, { rule }] of Object.entries(policies)) {
    const former = formerToo ? formerRule(name) : undefined
    rules.set(name, parseRule(former === undefined ? rule : `(${rule}) or ${former}`))
  }
  return rules
}

/** The defaults with the rules of files in their place, later files before earlier ones. @throws InvalidInput */
export function readRules(files: readonly PolicyText[], defaults = defaultRules()): ReadRules {
  const rules = new Map(defaults)
  const warnings: string[] = []
  const from = new Map<string, string>()
  for (const { path, text } of files) {
    for (const [name, rule] of Object.entries(entriesOf(text, path))) {
      from.set(name, path)
      rules.set(name, ruleOf(path, name, rule))
      if (isKnown(name)) continue
      const near = closest(name, Object.keys(policies))
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      warnings.push(`${path}: there is no policy ${name}, its rule has no effect${hint}`)
    }
  }
  checkReferences(rules, from)
  return { rules, warnings }
}

/** Names of their own are operators' for rules that others ask. */
function isKnown(name: string): boolean {
  return !name.startsWith('baremetal:') || Object.hasOwn(policies, name) || name.startsWith(stepPolicy)
}

function ruleOf(path: string, name: string, rule: unknown): Rule {
  try {
    return parseRule(asText(rule))
  } catch (error) {
    if (!(error instanceof NoRule)) throw error
    const text = typeof rule === 'string' ? rule : JSON.stringify(rule)
    throw unusable(path, `rule of ${name}, ${JSON.stringify(text)}: ${error.message}`)
  }
}

function unusable(path: string | undefined, found: string): InvalidInput {
  return new InvalidInput(`Cannot use the policy file ${path ?? '(defaults)'}: ${found}`)
}

function entriesOf(text: string, path: string): Record<string, unknown> {
  // JSON is YAML too.
  const document = parseDocument(text)
  const [problem] = document.errors
  if (problem) throw new InvalidInput(`Cannot read the policy file ${path}: ${problem.message.split('\n', 1)[0]}`)
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return {}
  const entries: unknown = document.toJS()
  if (typeof entries === 'object' && entries !== null && !Array.isArray(entries))
    return entries as Record<string, unknown> // just tested
  throw unusable(path, 'expected names of policies with their rules')
}

/** A rule as text: the older form is a list of lists, any of which must hold as a whole. */
function asText(rule: unknown): string {
  if (typeof rule === 'string') return rule
  if (!Array.isArray(rule)) throw new NoRule(`found ${JSON.stringify(rule)}, expected a rule as text`)
  if (rule.length === 0) return ''
  return rule
    .map(inner => (Array.isArray(inner) ? inner : [inner]).map(String).join(' and '))
    .map(inner => `(${inner === '' ? '@' : inner})`)
    .join(' or ')
}

/**
 * Rules that ask rules which do not exist, or each other in a circle.
 * @param from files by the rules that they hold
 */
function checkReferences(rules: Rules, from: ReadonlyMap<string, string>): void {
  const done = new Set<string>()
  const visit = (name: string, above: readonly string[]): void => {
    const asker = above.at(-1) ?? ''
    if (above.includes(name)) {
      throw unusable(from.get(asker), `rules ask each other in a circle: ${[...above, name].join(' → ')}`)
    }
    if (done.has(name)) return
    const rule = rules.get(name)
    if (!rule) throw unusable(from.get(asker), `the rule of ${asker} asks rule:${name}, which does not exist`)
    for (const next of rule.asks) visit(next, [...above, name])
    done.add(name)
  }
  for (const name of rules.keys()) visit(name, [])
}
