/** The verbs of a node's life: manage, clean, deploy and the others, each with --wait where it leads to one state. */
import type { ProvisionState, Verb } from '#protocol/states.ts'
import {
  type AnyCommand,
  type AnyInput,
  type Commands,
  type Context,
  command,
  type Item,
  type Options,
  type OptionValue,
} from './command.ts'
import { anyNodes, nodePath } from './node-path.ts'
import { UsageError } from './parse.ts'
import { describe, forEach, SomeFailed } from './report.ts'
import { selectedNodes, selectionOptions } from './selection.ts'
import { document } from './values.ts'
import { inWaves, waveOptions, wavesOf } from './waves.ts'

interface Provision {
  readonly about: string
  /** The state that ends the wait; absent where the verb has no single one. */
  readonly reaches?: ProvisionState
  readonly options?: Options
  /** What the request carries beside the target. */
  body?(input: AnyInput, context: Context): Promise<Item>
}

/** A verb of states/provision for one or more nodes. */
function provision(verb: Verb, { about, reaches, options = {}, body }: Provision): AnyCommand {
  const waiting: Options = {
    wait: {
      takes: 'number?',
      metavar: 'seconds',
      about: `wait until the node is ${reaches}; 0 or no number waits as long as it takes`,
    },
  }
  const all: Options = { ...(reaches && { ...waiting, ...waveOptions }), ...options, ...selectionOptions }
  return command({
    about,
    args: { nodes: anyNodes },
    options: all,
    async run(input: AnyInput, context) {
      const names = await selectedNodes(input, verb, context)
      const request = { target: verb, ...(await body?.(input, context)) }
      const size = (option: 'canary' | 'wave') => {
        const given = reaches === undefined ? undefined : input.options[option]
        return given === undefined ? undefined : Number(given)
      }
      const waves = { canary: size('canary'), wave: size('wave') }
      const inTurn = waves.canary !== undefined || waves.wave !== undefined
      // A wave is over when its nodes have arrived.
      const given = reaches === undefined ? undefined : input.options.wait
      const wait = given === undefined && inTurn ? 0 : given
      await inWaves(
        wavesOf(names, waves),
        wave => ask(wave, request, wait, context),
        name => name,
      )
      return undefined
    },
  })

  /** Asks for the verb on each node, and waits for those that took it. */
  async function ask(names: readonly string[], request: Item, wait: OptionValue | undefined, context: Context) {
    const word = verb === 'active' ? 'deploy' : verb === 'deleted' ? 'undeploy' : verb
    const accepted: string[] = []
    const asked = forEach(names, `${word} node`, async name => {
      await context.api.put(`${nodePath(name)}/states/provision`, request)
      accepted.push(name)
    })
    if (wait === undefined || !reaches) return await asked
    // Nodes that took the request are waited for, also when others did not.
    const refused = await asked.then(
      () => undefined,
      (error: unknown) => error,
    )
    if (refused && accepted.length === 0) throw refused
    if (refused) context.reporter.notice(describe(refused))
    const { waitForState } = await import('./wait.ts')
    await waitForState(accepted, { state: reaches, timeoutMs: Number(wait) * 1000, context })
    if (refused) throw new SomeFailed(`Not every node could be asked to ${word}, see above`)
  }
}

export const deployOptions = {
  'config-drive': {
    takes: 'text',
    metavar: 'drive',
    about:
      'JSON object with meta_data, user_data, network_data; or a file, directory or URL; or a packed image as text',
  },
  'deploy-steps': {
    takes: 'text',
    metavar: 'steps',
    about: 'list of steps as JSON, JSON or YAML file, or - for stdin',
  },
} satisfies Options

export async function deployBody({ options }: AnyInput, { terminal }: Context): Promise<Item> {
  const body: Record<string, unknown> = {}
  if (typeof options['config-drive'] === 'string') {
    const { configDrive } = await import('./config-drive.ts')
    body.configdrive = await configDrive(options['config-drive'])
  }
  if (typeof options['deploy-steps'] === 'string') {
    body.deploy_steps = await document('deploy steps', options['deploy-steps'], terminal)
  }
  return body
}

/** Steps, or a runbook that holds them: for `clean` and `service`. */
export function stepOptions(kind: 'clean' | 'service') {
  return {
    [`${kind}-steps`]: {
      takes: 'text',
      metavar: 'steps',
      group: 'steps',
      about: 'list of steps as JSON, JSON or YAML file, or - for standard input',
    },
    runbook: { takes: 'text', group: 'steps', about: 'runbook that holds the steps' },
    'disable-ramdisk': { takes: 'nothing', about: 'do not boot the ramdisk; only steps that need none can run' },
  } satisfies Options
}

export async function stepBody(kind: 'clean' | 'service', { options }: AnyInput, { terminal }: Context): Promise<Item> {
  const steps = options[`${kind}-steps`]
  if (steps === undefined && options.runbook === undefined) {
    throw new UsageError(`Missing option --${kind}-steps or --runbook: one of them is required`)
  }
  return {
    ...(steps !== undefined && { [`${kind}_steps`]: await document(`${kind} steps`, String(steps), terminal) }),
    ...(options.runbook !== undefined && { runbook: options.runbook }),
    ...(options['disable-ramdisk'] && { disable_ramdisk: true }),
  }
}

export const provisioning: Commands = {
  manage: provision('manage', { about: "Verify nodes' BMC access and take them under control", reaches: 'manageable' }),
  inspect: provision('inspect', { about: 'Find out what hardware nodes have', reaches: 'manageable' }),
  provide: provision('provide', { about: 'Clean nodes and make them available', reaches: 'available' }),
  clean: provision('clean', {
    about: 'Run chosen clean steps',
    reaches: 'manageable',
    options: stepOptions('clean'),
    body: (input, context) => stepBody('clean', input, context),
  }),
  deploy: provision('active', {
    about: 'Write an image to nodes and boot it',
    reaches: 'active',
    options: deployOptions,
    body: deployBody,
  }),
  rebuild: provision('rebuild', {
    about: 'Write the image of deployed nodes again',
    reaches: 'active',
    options: deployOptions,
    body: deployBody,
  }),
  undeploy: provision('deleted', { about: 'Tear nodes down, clean them, make them available', reaches: 'available' }),
  abort: provision('abort', { about: 'Stop what waits for the ramdisk or for an operator' }),
  adopt: provision('adopt', { about: 'Take over nodes that run already', reaches: 'active' }),
  rescue: provision('rescue', {
    about: 'Boot deployed nodes into the rescue ramdisk',
    reaches: 'rescue',
    options: { 'rescue-password': { takes: 'text', required: true, about: 'password for logging in there' } },
    body: async ({ options }) => ({ rescue_password: options['rescue-password'] }),
  }),
  unrescue: provision('unrescue', { about: 'Boot rescued nodes from disk again', reaches: 'active' }),
  service: provision('service', {
    about: 'Run chosen service steps on deployed nodes',
    reaches: 'active',
    options: stepOptions('service'),
    body: (input, context) => stepBody('service', input, context),
  }),
  unhold: provision('unhold', { about: 'Let nodes go on that a step holds' }),
}
