/**
 * Steps that the ramdisk's builder declared to be containers, in a file of the ramdisk. Who could write it could as well
 * have changed the agent, so no list of allowed containers applies to them. A file that is not understood ends the agent's
 * start: a machine must not pass as cleaned because a step was left out.
 *
 * Source: openstack/ironic-python-agent `hardware_managers/container.py` (form of the file, which priorities count).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { AgentContext } from '../context.ts'

const OptionWords = Type.Union([Type.String(), Type.Array(Type.String()), Type.Null()])
const DeclaredStep = Type.Object({
  name: Type.String({ pattern: '^[A-Za-z]\\w*$' }),
  image: Type.String({ minLength: 1 }),
  interface: Type.String({ minLength: 1 }),
  /** For automated cleaning; deploying and servicing run such a step when somebody asks for it. */
  priority: Type.Integer({ minimum: 0 }),
  reboot_requested: Type.Boolean(),
  abortable: Type.Boolean(),
  pull_options: Type.Optional(OptionWords),
  run_options: Type.Optional(OptionWords),
})
export type DeclaredStep = Static<typeof DeclaredStep>

const StepsFile = Type.Union([Type.Null(), Type.Object({ steps: Type.Union([Type.Null(), Type.Array(DeclaredStep)]) })])
const reader = Compile(StepsFile)

/**
 * Those of the file that `[container] container_steps_file` names; none where there is no file.
 * @param taken names of steps that exist already, which no container may take the place of
 * @throws InvalidInput
 */
export async function declaredSteps(
  { settings, options }: Pick<AgentContext, 'settings' | 'options'>,
  taken: readonly string[],
): Promise<DeclaredStep[]> {
  const file = options.containerStepsFile ?? join(settings.etcDir, 'ironic-python-agent.d/mysteps.yaml')
  const content = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw wrong(file, messageOf(error))
  })
  if (content === null) return []
  // Few ramdisks have such a file, so the parser is loaded where there is one.
  const { parse } = await import('yaml')
  let found: unknown
  try {
    found = parse(content)
  } catch (error) {
    throw wrong(file, messageOf(error))
  }
  if (!reader.Check(found)) {
    const [first] = reader.Errors(found)
    throw wrong(file, `${first?.instancePath || 'the whole'} ${first?.message}`)
  }
  const steps = found?.steps ?? []
  const names = [...taken, ...steps.map(({ name }) => name)]
  const [twice] = steps.filter(({ name }) => names.indexOf(name) !== names.lastIndexOf(name))
  if (twice !== undefined) throw wrong(file, `there is more than one step ${twice.name}`)
  return [...steps]
}

function wrong(file: string, found: string): InvalidInput {
  return new InvalidInput(
    `Cannot read the container steps of ${file}: found ${found}; expected steps with name, image, interface, priority, ` +
      'reboot_requested and abortable, under names that no other step has',
  )
}
