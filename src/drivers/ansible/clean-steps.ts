/**
 * The file that declares the clean steps of a node: a list of names with priorities and arguments, in Ironic's form. Read
 * anew whenever steps are asked for, so that an edited file counts at once.
 *
 * Source: deploy interfaces, "ansible" (ironic/drivers/modules/ansible/playbooks/clean_steps.yaml, form restated).
 */
import { readFileSync } from 'node:fs'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { parse } from 'yaml'
import { InvalidInput, messageOf } from '#lib/fault.ts'

const Argument = Type.Object({
  value: Type.Optional(Type.Unknown()),
  required: Type.Optional(Type.Boolean()),
  description: Type.Optional(Type.String()),
})
const CleanStep = Type.Object({
  name: Type.String({ minLength: 1 }),
  interface: Type.Optional(Type.Literal('deploy')),
  priority: Type.Optional(Type.Integer({ minimum: 0 })),
  abortable: Type.Optional(Type.Boolean()),
  args: Type.Optional(Type.Record(Type.String(), Argument)),
})
export type CleanStep = Static<typeof CleanStep>

const CleanSteps = Type.Array(CleanStep)
const cleanSteps = Compile(CleanSteps)

/** @throws InvalidInput naming the file and what is wrong in it */
export function readCleanSteps(path: string): CleanStep[] {
  const cannot = `Cannot read the clean steps in ${path} (driver_info ansible_clean_steps_config)`
  let content: unknown
  try {
    // Small, and asked for where nothing may wait.
    content = parse(readFileSync(path, 'utf8')) ?? []
  } catch (error) {
    throw new InvalidInput(`${cannot}: ${messageOf(error).split('\n')[0]}`, { cause: error })
  }
  if (cleanSteps.Check(content)) return content
  const [first] = Value.Errors(CleanSteps, content)
  throw new InvalidInput(
    `${cannot}: found at ${first?.instancePath || 'the top'} something that ${first?.message}; ` +
      'expected a list of steps with name, priority, interface deploy and args',
  )
}

/** The arguments a step runs with: those given, else the file's. @throws InvalidInput when a required one has neither */
export function argumentsOf(step: CleanStep, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(step.args ?? {}).map(([name, { value, required }]) => {
    const chosen = given[name] ?? value
    if (chosen === undefined && required) throw new InvalidInput(`Cannot run step ${step.name}: it needs ${name}`)
    return [name, chosen] as const
  })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}
