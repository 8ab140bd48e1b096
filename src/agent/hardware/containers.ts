/**
 * The hardware manager of ramdisks that can run containers: one step, which fetches a container and runs it. Which
 * containers may run is the conductor's to say (`[agent_containers]`); until it has said so, none may.
 *
 * Source: openstack/ironic-python-agent `hardware_managers/container.py` (names, order, policy).
 */
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { ContainerPolicy } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import type { HardwareManager, Step, StepRun } from './manager.ts'

const runners = ['podman', 'docker']

export function containerManager(): HardwareManager {
  return {
    className: 'ContainerHardwareManager',
    version: { name: 'ContainerHardwareManager', version: '2' },
    steps: [containerStep],
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

const containerStep: Step = {
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

async function runContainer(args: Record<string, unknown>, { agent, signal, progress }: StepRun): Promise<string> {
  const policy = policyOf(agent)
  const { name, isListed } = allowed(args.container_url, policy)
  // Of a container that the operator listed the options are the operator's, too.
  const pullOptions = (isListed ? null : optionsOf('pull_options', args)) ?? words(policy.pull_options)
  const runOptions = (isListed ? null : optionsOf('run_options', args)) ?? words(policy.run_options)
  try {
    progress({ phase: 'pull', bytes: 0, total_bytes: null })
    await run(policy.runner, ['pull', ...pullOptions, name], { signal })
    progress({ phase: 'run', bytes: 0, total_bytes: null })
    const { stdout } = await run(policy.runner, ['run', ...runOptions, name], { signal })
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
  const plain = (reference: string) => reference.replace(/^(?:docker|oci):\/\//, '')
  if (typeof url !== 'string' || !/^[a-z0-9][\w./:@-]*$/i.test(plain(url))) {
    throw refused(`container_url is ${JSON.stringify(url)}, expected the name of a container`)
  }
  const name = plain(url)
  const isListed = policy.allowed_containers.map(plain).includes(name)
  if (isListed || policy.allow_arbitrary_containers) return { name, isListed }
  throw refused(`${name} is not among [agent_containers] allowed_containers`)
}

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
