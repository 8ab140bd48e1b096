/**
 * Inspection rules that an operator keeps in a file: always there, in no answer of the API. What is wrong with the file
 * is told with its name and the rule's place in it.
 *
 * Source: Ironic ironic/common/inspection_rules/engine.py, get_built_in_rules (behaviour restated).
 */
import { readFile } from 'node:fs/promises'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { parse } from 'yaml'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { type InspectionRule, RuleAction, RuleCondition } from '#protocol/inspection-rule.ts'
import { ruleMisfit } from '#protocol/rule-check.ts'

/** Any priority; the UUID is a name that the file gives, or is made up. */
const BuiltInRule = Type.Object(
  {
    uuid: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    priority: Type.Optional(Type.Integer()),
    sensitive: Type.Optional(Type.Boolean()),
    phase: Type.Optional(Type.Enum(['main'])),
    conditions: Type.Optional(Type.Array(RuleCondition, { maxItems: 1000 })),
    actions: Type.Array(RuleAction, { minItems: 1, maxItems: 1000 }),
  },
  { additionalProperties: false },
)
const validator = Compile(BuiltInRule)

/** @param path null: there are none. @throws InvalidInput naming the file, the rule and what is wrong */
export async function readBuiltInRules(path: string | null): Promise<InspectionRule[]> {
  if (path === null || path === '') return []
  const attempt = `Cannot read [inspection_rules] built_in_rules ${path}`
  const entries = await entriesOf(path, attempt)
  let nameless = 0
  return entries.map((entry, at) => {
    const rule = checked(entry, `${attempt}: rule ${at + 1}`)
    return {
      uuid: rule.uuid ?? `00000000-0000-0000-0000-${(nameless++).toString(16).padStart(12, '0')}`,
      description: rule.description ?? null,
      priority: rule.priority ?? 0,
      phase: rule.phase ?? 'main',
      sensitive: rule.sensitive ?? false,
      conditions: rule.conditions ?? [],
      actions: rule.actions,
    }
  })
}

async function entriesOf(path: string, attempt: string): Promise<unknown[]> {
  let found: unknown
  try {
    found = parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new InvalidInput(`${attempt}: ${messageOf(error)}`, { cause: error })
  }
  if (found === null || found === undefined) return []
  if (!Array.isArray(found)) throw new InvalidInput(`${attempt}: found no list, expected a list of rules`)
  return found
}

function checked(entry: unknown, attempt: string): Static<typeof BuiltInRule> {
  if (!validator.Check(entry)) {
    const [error] = validator.Errors(entry)
    throw new InvalidInput(`${attempt}${error?.instancePath ?? ''}: ${error?.message ?? 'it does not fit'}`)
  }
  const misfit = ruleMisfit(entry)
  if (misfit !== undefined) throw new InvalidInput(`${attempt}: cannot use ${misfit}`)
  return entry
}
