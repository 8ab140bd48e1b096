/**
 * The hardware manager of ramdisks that can run containers: one step, which fetches a container and runs it, and those that
 * the ramdisk declares (container-steps.ts). Which containers may run is the conductor's to say (`[agent_containers]`);
 * until it has said so, none may but those of the ramdisk.
 *
 * Source: openstack/ironic-python-agent `hardware_managers/container.py` (names, order, policy).
 */
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { ContainerPolicy } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import type { DeclaredStep } from './container-steps.ts'
import type { HardwareManager, Step, StepRun } from './manager.ts'

const runners = ['podman', 'docker']

/** @param declared steps of the ramdisk's own */
export function containerManager(declared: readonly DeclaredStep[] = []): HardwareManager {
  return {
    className: 'ContainerHardwareManager',
    version: { name: 'ContainerHardwareManager', version: '2' },
    steps: [genericStep, { ...genericStep, step: 'container_clean_step' }, ...declared.map(declaredStep)],
    evaluate: async () => ((await canRunContainers()) ? 2 : 0),
    methods: {},
  }
}

/** Is there a program on this machine that runs containers? */
export async function canRunContainers(): Promise<boolean> {
  return (await Promise.all(runners.map(isThere))).some(Boolean)
}

async function isThere(runner: string): Promise<boolean> {
  return await run(runner, ['--version']).then(
    () => true,
    () => false,
  )
}

const offer = { priority: 0, abortable: true }

/** It has an older name, under which runbooks may ask for it. */
const genericStep: Step = {
  step: 'generic_container_step',
  interface: 'deploy',
  offered: { clean: offer, deploy: { priority: 0 }, service: offer },
  argsinfo: {
    container_url: { description: 'The container to run.', required: true },
    pull_options: { description: 'Options for fetching it.', required: false },
    run_options: { description: 'Options for running it.', required: false },
  },
  run: runContainer,
}

function declaredStep({ name, image, priority, abortable, ...declared }: DeclaredStep): Step {
  return {
    step: name,
    interface: declared.interface,
    rebootRequested: declared.reboot_requested,
    // Deploying would run what has a priority, on every machine.
    offered: {
      clean: { priority, abortable },
      deploy: { priority: 0, abortable },
      service: { priority: 0, abortable },
    },
    run: (_args, context) => {
      const policy = context.agent.options.containers ?? withoutPolicy
      const given = (value: DeclaredStep['run_options']) => (value?.length ? [value].flat() : null)
      const pullOptions = words(given(declared.pull_options) ?? policy.pull_options)
      const runOptions = words(given(declared.run_options) ?? policy.run_options)
      return pullAndRun({ runner: policy.runner, name: plain(image), pullOptions, runOptions }, context)
    },
  }
}

/** What stock agents do unless they are told otherwise. */
const withoutPolicy: Pick<ContainerPolicy, 'runner' | 'pull_options' | 'run_options'> = {
  runner: 'podman',
  pull_options: [],
  run_options: ['--rm', '--network=host'],
}

async function runContainer(args: Record<string, unknown>, context: StepRun): Promise<string> {
  const policy = policyOf(context.agent)
  const { name, isListed } = allowed(args.container_url, policy)
  // Of a container that the operator listed the options are the operator's, too.
  const pullOptions = (isListed ? null : optionsOf('pull_options', args)) ?? words(policy.pull_options)
  const runOptions = (isListed ? null : optionsOf('run_options', args)) ?? words(policy.run_options)
  return await pullAndRun({ runner: policy.runner, name, pullOptions, runOptions }, context)
}

interface Container {
  runner: string
  name: string
  pullOptions: readonly string[]
  runOptions: readonly string[]
}

/** @returns what it printed */
async function pullAndRun(
  { runner, name, pullOptions, runOptions }: Container,
  { signal, progress }: StepRun,
): Promise<string> {
  try {
    progress({ phase: 'pull', bytes: 0, total_bytes: null })
    await run(runner, ['pull', ...pullOptions, name], { signal })
    progress({ phase: 'run', bytes: 0, total_bytes: null })
    const { stdout } = await run(runner, ['run', ...runOptions, name], { signal })
    return stdout
  } catch (error) {
    throw new AgentFault('CommandExecutionError', `The container ${name} failed: ${messageOf(error)}`)
  }
}

/** @throws AgentFault while the conductor has not said what may run */
function policyOf({ options }: AgentContext): ContainerPolicy {
  if (options.containers !== null) return options.containers
  throw refused('the conductor has not said which containers may run')
}

/** What the runner calls it, and whether it is on the list. @throws AgentFault for what may not run */
function allowed(url: unknown, policy: ContainerPolicy): { name: string; isListed: boolean } {
  if (typeof url !== 'string' || !/^[a-z0-9][\w./:@-]*$/i.test(plain(url))) {
    throw refused(`container_url is ${JSON.stringify(url)}, expected the name of a container`)
  }
  const name = plain(url)
  const isListed = policy.allowed_containers.map(plain).includes(name)
  if (isListed || policy.allow_arbitrary_containers) return { name, isListed }
  throw refused(`${name} is not among [agent_containers] allowed_containers`)
}

/** The runner knows no such scheme. */
const plain = (reference: string) => reference.replace(/^(?:docker|oci):\/\//, '')

function optionsOf(name: string, args: Record<string, unknown>): string[] | null {
  const value = args[name] ?? null
  if (value === null) return null
  if (typeof value === 'string') return words([value])
  if (Array.isArray(value) && value.every(one => typeof one === 'string')) return words(value)
  throw refused(`${name} is ${JSON.stringify(value)}, expected a list of texts`)
}

/** One text may hold several options. */
function words(options: readonly string[]): string[] {
  return options.flatMap(option => option.split(' ')).filter(Boolean)
}

function refused(why: string): AgentFault {
  return new AgentFault('InvalidCommandParamsError', `Cannot run a container: ${why}`)
}
