/**
 * Whether conditions and actions of an inspection rule have the arguments that they need: asked when a rule is stored,
 * and when the file with built-in ones is read. Pure.
 */
import { type RuleArguments, ruleActions, ruleOperators } from './inspection-rule.ts'
import { checkRuleRegex } from './rule-regex.ts'

interface Line {
  readonly op: string
  readonly args: readonly unknown[] | Readonly<Record<string, unknown>>
}

/** What does not fit, as `the condition eq: values is missing, expected …`; undefined where all fits. */
export function ruleMisfit(rule: Readonly<Record<string, unknown>>): string | undefined {
  const { conditions = [], actions = [] } = rule as { conditions?: Line[]; actions?: Line[] } // by their schemas
  for (const one of conditions) {
    const misfit = lineMisfit('condition', one, ruleOperators, one.op.replace(/^!/, '')) ?? regexMisfit(one)
    if (misfit !== undefined) return misfit
  }
  for (const one of actions) {
    const misfit = lineMisfit('action', one, ruleActions, one.op)
    if (misfit !== undefined) return misfit
  }
  return undefined
}

function lineMisfit(
  kind: string,
  { op, args }: Line,
  known: Readonly<Record<string, RuleArguments>>,
  name: string,
): string | undefined {
  const { required, optional } = known[name]! // the schema of op has these names only
  const all = [...required, ...optional]
  const misfit = (found: string) =>
    `the ${kind} ${op}: ${found}, expected ${required.join(', ')}` +
    (optional.length > 0 ? ` and perhaps ${optional.join(', ')}` : '')
  if (Array.isArray(args)) {
    return args.length < required.length || args.length > all.length
      ? misfit(`found ${args.length} arguments`)
      : undefined
  }
  const missing = required.filter(argument => !Object.hasOwn(args, argument))
  if (missing.length > 0) return misfit(`${missing.join(', ')} is missing`)
  const unknown = Object.keys(args).find(argument => !all.includes(argument))
  return unknown === undefined ? undefined : misfit(`unknown argument ${unknown.slice(0, 80)}`)
}

/** An expression that is none is told of now, not at the first inspection. */
function regexMisfit({ op, args }: Line): string | undefined {
  const at = ruleOperators[op.replace(/^!/, '') as keyof typeof ruleOperators].required.indexOf('regex') // by its schema
  if (at < 0) return undefined
  const regex: unknown = Array.isArray(args) ? args[at] : (args as Readonly<Record<string, unknown>>).regex // no list
  if (typeof regex !== 'string') return `the condition ${op}: expected regex to be a text`
  try {
    checkRuleRegex(regex)
    return undefined
  } catch (error) {
    const found = JSON.stringify(regex.slice(0, 80))
    return `the condition ${op}: found the regex ${found}: ${error instanceof Error ? error.message : String(error)}`
  }
}
