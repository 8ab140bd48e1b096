/**
 * Runs inspection rules over what an inspection found: highest priority first, each rule's actions where all of its
 * conditions hold. The first failure ends the inspection, and then nothing of what rules did is kept. It reads no
 * database and writes nothing: what comes out is what is to be written.
 *
 * Source: Ironic ironic/common/inspection_rules/engine.py, base.py (behaviour restated).
 */
import type { Node, NodePatch } from '#db/nodes.ts'
import type { Port, PortPatch } from '#db/ports.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { type InspectionRule, type RuleArguments, ruleActions, ruleOperators } from '#protocol/inspection-rule.ts'
import { type ActionName, type ActionTools, actions, InspectionRefused } from './actions.ts'
import { Draft } from './draft.ts'
import { type OperatorName, operators } from './operators.ts'
import { fill, fillOrNull, type Scope, secretFields, withoutNodeSecrets } from './placeholders.ts'

/** A rule could not be used, or refused the machine. */
export class RuleFailed extends Fault {
  readonly status = 400
  readonly code = 'inspection-rule'
}

export interface RuleSubject {
  readonly node: Node
  readonly ports: readonly Port[]
  readonly inventory: Readonly<Record<string, unknown>>
  readonly pluginData: Readonly<Record<string, unknown>>
}

export interface RuleTools extends ActionTools {
  readonly log: Log
  /** [inspection_rules] mask_secrets */
  readonly maskSecrets: 'always' | 'never' | 'sensitive'
  /** Keys of driver_info that hold secrets. */
  readonly secretKeys: ReadonlySet<string>
}

/** What one rule did, for the log of events. A sensitive one tells neither what it asked nor what it did. */
export interface RuleTold {
  readonly uuid: string
  readonly description: string | null
  /** Its actions, as `set-attribute /driver_info/x`; null: its conditions did not all hold. */
  readonly did: readonly string[] | null
  /** The condition that did not hold. */
  readonly unmet?: string
}

export interface RulesOutcome {
  readonly node: NodePatch
  readonly ports: readonly { uuid: string; patch: PortPatch }[]
  /** Null: as it was. */
  readonly pluginData: Record<string, unknown> | null
  readonly told: readonly RuleTold[]
}

/** @throws RuleFailed naming the rule, and what of it failed */
export async function runRules(
  rules: readonly InspectionRule[],
  subject: RuleSubject,
  tools: RuleTools,
): Promise<RulesOutcome> {
  const draft = new Draft(subject)
  const told: RuleTold[] = []
  for (const rule of rules.toSorted((one, next) => next.priority - one.priority)) {
    const shows = tools.maskSecrets === 'never' || (tools.maskSecrets === 'sensitive' && rule.sensitive)
    const scope: Scope = {
      node: { ...draft.node },
      inventory: subject.inventory,
      plugin_data: draft.pluginData,
      hidden: shows ? new Set() : secretFields,
    }
    told.push(await runRule(rule, draft, scope, tools))
  }
  return {
    node: draft.nodePatch(),
    ports: draft.portPatches(),
    pluginData: draft.pluginDataChanged() ? draft.pluginData : null,
    told,
  }
}

async function runRule(rule: InspectionRule, draft: Draft, scope: Scope, tools: RuleTools): Promise<RuleTold> {
  const { uuid, description } = rule
  for (const condition of rule.conditions) {
    if (conditionHolds(rule, condition, scope)) continue
    tools.log.debug({ node: draft.node.uuid, rule: uuid }, `inspection rule skipped: ${condition.op} does not hold`)
    return { uuid, description, did: null, ...(rule.sensitive ? {} : { unmet: condition.op }) }
  }
  const did: string[] = []
  for (const action of rule.actions) did.push(...(await runAction(rule, action, draft, scope, tools)))
  tools.log.info({ node: draft.node.uuid, rule: uuid, actions: did.length }, 'inspection rule applied')
  return { uuid, description, did: rule.sensitive ? [] : did }
}

type Condition = InspectionRule['conditions'][number]
type Line = InspectionRule['actions'][number]

function conditionHolds(rule: InspectionRule, condition: Condition, scope: Scope): boolean {
  const isInverted = condition.op.startsWith('!')
  const name = condition.op.replace(/^!\s*/, '').trim() as OperatorName // by the schema of conditions
  const operator = operators[name]
  const holds = (within: Scope, isLoop: boolean) => {
    try {
      const args = argumentsOf(condition.args, ruleOperators[name])
      // A loop fills numbers into texts: what is compared there is compared as text, as in Ironic.
      const more = isLoop && name === 'eq' ? { force_strings: true } : {}
      const with_ = operator.asksPresence ? fillOrNull : fill
      const filled = filledArguments(args, isLoop ? null : operator.filled, value => with_(value, within))
      return operator.holds({ ...filled, ...more }) !== isInverted
    } catch (error) {
      throw failed(rule, `condition ${condition.op}`, error)
    }
  }
  const items = itemsOf(condition.loop, scope)
  if (items === null) return holds(scope, false)
  const each = (item: unknown) => holds({ ...scope, item }, true)
  switch (condition.multiple ?? 'any') {
    case 'all':
      return items.every(each)
    // Source: the first one that holds decides, and where none does, the first one did not.
    case 'first':
    case 'any':
      return items.some(each)
    case 'last':
      return each(items.at(-1))
  }
}

/** Returns what was done, a line for each time. */
async function runAction(
  rule: InspectionRule,
  line: Line,
  draft: Draft,
  scope: Scope,
  tools: RuleTools,
): Promise<string[]> {
  const name = line.op as ActionName // by the schema of actions
  const action = actions[name]
  // Actions before this one may have changed the node: it is looked at anew each time.
  const fresh = (): Scope => {
    const now = { ...scope, node: { ...draft.node } }
    return action.isShown ? withoutNodeSecrets(now, tools.secretKeys) : now
  }
  const items = itemsOf(line.loop, fresh())
  const did: string[] = []
  for (const item of items ?? [undefined]) {
    const now = items === null ? fresh() : { ...fresh(), item }
    try {
      const args = argumentsOf(line.args, ruleActions[name])
      const filled = filledArguments(args, items === null ? action.filled : null, value => fill(value, now))
      await action.run(draft, filled, tools)
      const about = filled.path ?? filled.name
      did.push(about === undefined ? name : `${name} ${String(about).slice(0, 200)}`)
    } catch (error) {
      throw failed(rule, `action ${line.op}`, error)
    }
  }
  return did
}

/** What a loop goes through; an object is one item. Null: no loop. */
function itemsOf(loop: Line['loop'], scope: Scope): readonly unknown[] | null {
  if (loop === undefined || loop === null) return null
  const items = fill(Array.isArray(loop) ? loop : [loop], scope) as unknown[] // a list is filled in as a list
  return items.length === 0 || (!Array.isArray(loop) && Object.keys(loop).length === 0) ? null : items
}

/** By name; the positional form of older rules is put in order. */
function argumentsOf(args: Line['args'], { required, optional }: RuleArguments): Record<string, unknown> {
  if (!Array.isArray(args)) return args
  const names = [...required, ...optional]
  return Object.fromEntries(args.slice(0, names.length).map((value, at) => [names[at] ?? '', value]))
}

/** @param which null: all of them */
function filledArguments(
  args: Record<string, unknown>,
  which: readonly string[] | null,
  filled: (value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(args).map(([name, value]) => [name, which === null || which.includes(name) ? filled(value) : value]),
  )
}

function failed(rule: InspectionRule, what: string, error: unknown): unknown {
  if (!(error instanceof Fault)) return error
  const named = `Inspection rule ${rule.uuid}${rule.description ? ` (${rule.description})` : ''}`
  if (error instanceof InspectionRefused) {
    return new RuleFailed(`${named} refuses the machine: ${messageOf(error)}`, { cause: error })
  }
  // What a sensitive rule asks and does is not told.
  const why = rule.sensitive ? '' : `: ${messageOf(error)}`
  return new RuleFailed(`${named} failed at its ${what}${why}`, { cause: error })
}
