/** `ferrite node ...`: the commands on nodes, each one request (or one per node) plus, with --wait, the wait. */
import { NotFound } from '#lib/fault.ts'
import type { PowerTarget, ProvisionState, Verb } from '#protocol/states.ts'
import { segment } from './client.ts'
import {
  type AnyCommand,
  type AnyInput,
  type Commands,
  type Context,
  command,
  type Item,
  type Options,
} from './command.ts'
import { nodeResource } from './node-resource.ts'
import { UsageError } from './parse.ts'
import { describe, forEach, SomeFailed } from './report.ts'
import { createCommand, deleteCommand, listCommand, show, updateCommand, withoutLinks } from './resource.ts'
import { document } from './values.ts'

const node = { about: 'name or UUID of the node' }
const nodes = { metavar: 'node', many: true, about: 'names or UUIDs of the nodes' } as const

const pathOf = (name: string) => `/v1/nodes/${segment(name)}`

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
  const all: Options = { ...(reaches && waiting), ...options }
  return command({
    about,
    args: { nodes },
    options: all,
    async run(input: AnyInput, context) {
      const names = [input.args.nodes ?? []].flat()
      const request = { target: verb, ...(await body?.(input, context)) }
      const wait = reaches === undefined ? undefined : input.options.wait
      const word = verb === 'active' ? 'deploy' : verb === 'deleted' ? 'undeploy' : verb
      const accepted: string[] = []
      const asked = forEach(names, `${word} node`, async name => {
        await context.api.put(`${pathOf(name)}/states/provision`, request)
        accepted.push(name)
      })
      if (wait === undefined || !reaches) {
        await asked
        return undefined
      }
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
      return undefined
    },
  })
}

function power(about: string, options: Options, target: (input: AnyInput) => PowerTarget): AnyCommand {
  return command({
    about,
    args: { nodes },
    options: {
      'power-timeout': { takes: 'number', metavar: 'seconds', about: 'how long the change may take' },
      ...options,
    },
    async run(input: AnyInput, { api }) {
      const timeout = input.options['power-timeout']
      if (typeof timeout === 'number' && timeout < 1) throw new UsageError('Option --power-timeout needs 1 or more')
      const request = { target: target(input), ...(timeout !== undefined && { timeout }) }
      const names = [input.args.nodes ?? []].flat()
      await forEach(names, 'change the power of node', name => api.put(`${pathOf(name)}/states/power`, request))
      return undefined
    },
  })
}

/** A command that sends the same PUT for every node. */
function put(about: string, path: string, body: unknown): AnyCommand {
  return command({
    about,
    args: { nodes },
    options: {},
    async run({ args }, { api }) {
      await forEach(args.nodes, `change node`, name => api.put(`${pathOf(name)}/${path}`, body))
      return undefined
    },
  })
}

const deployOptions = {
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

async function deployBody({ options }: AnyInput, { terminal }: Context): Promise<Item> {
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
function stepOptions(kind: 'clean' | 'service') {
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

async function stepBody(kind: 'clean' | 'service', { options }: AnyInput, { terminal }: Context): Promise<Item> {
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

const showNode = command({
  about: 'Show one node',
  args: { node: { about: 'name or UUID of the node, or with --instance the UUID of its instance' } },
  options: {
    instance: { takes: 'nothing', about: 'the argument is the UUID of an instance' },
    fields: { takes: 'words', metavar: 'field', about: 'ask for these fields only' },
  },
  shows: 'one',
  async run({ args, options }, { api }) {
    if (!options.instance) return { kind: 'one', item: await show(nodeResource, args.node, options.fields, api) }
    const query = { instance_uuid: args.node, fields: options.fields?.join(',') }
    const path = options.fields ? '/v1/nodes' : '/v1/nodes/detail'
    const [found] = await api.list(path, 'nodes', { query, limit: undefined })
    if (!found) throw new NotFound(`Cannot show the node of instance ${args.node}: no node has it`)
    return { kind: 'one', item: withoutLinks(found) }
  },
})

/** The target RAID configuration is no field that can be patched; it has a call of its own. */
function setRaid(target: (given: string, context: Context) => Promise<unknown>) {
  return async (input: AnyInput, names: readonly string[], context: Context): Promise<boolean> => {
    const given = input.options['target-raid-config']
    if (given === undefined) return false
    const config = await target(String(given), context)
    await forEach(names, 'set the RAID configuration of node', name =>
      context.api.put(`${pathOf(name)}/states/raid`, config),
    )
    return true
  }
}

const setNode = updateCommand(nodeResource, {
  verb: 'set',
  options: {
    'target-raid-config': { takes: 'text', metavar: 'raid', about: 'RAID to build: JSON, JSON or YAML file, or -' },
    'reset-interfaces': { takes: 'nothing', about: 'with --driver: all interfaces not named go back to defaults' },
  },
  async before(input, names, context) {
    for (const unique of ['name', 'instance-uuid']) {
      if (names.length > 1 && input.options[unique] !== undefined) {
        throw new UsageError(`Option --${unique} fits one node only, found ${names.length}`)
      }
    }
    if (input.options['reset-interfaces'] && input.options.driver === undefined) {
      throw new UsageError('Option --reset-interfaces needs --driver')
    }
    const raid = setRaid((given, { terminal }) => document('the RAID configuration', given, terminal))
    return await raid(input, names, context)
  },
  query: ({ options }) => (options['reset-interfaces'] ? { reset_interfaces: true } : {}),
})

const unsetNode = updateCommand(nodeResource, {
  verb: 'unset',
  options: { 'target-raid-config': { takes: 'nothing', about: 'RAID to build' } },
  before: setRaid(async () => ({})),
})

const validate = command({
  about: "Check a node's interfaces and what they need",
  args: { node },
  options: {},
  shows: 'list',
  async run({ args }, { api }) {
    const found = Object.entries(await api.get(`${pathOf(args.node)}/validate`))
    const items = found.map(([name, result]) => ({ Interface: name, Result: '', Reason: '', ...titled(result) }))
    const order = (a: { Interface: string }, b: { Interface: string }) => (a.Interface < b.Interface ? -1 : 1)
    return { kind: 'list', columns: ['Interface', 'Result', 'Reason'], items: items.toSorted(order) }
  },
})

/** `result` and `reason` under the capitalised names that validate's columns have. */
function titled(result: unknown): Item {
  const entries = typeof result === 'object' && result !== null ? Object.entries(result) : []
  return Object.fromEntries(entries.map(([key, value]) => [key.charAt(0).toUpperCase() + key.slice(1), value]))
}

const bootDeviceShow = command({
  about: 'Show what a node boots from',
  args: { node },
  options: { supported: { takes: 'nothing', about: 'show what it could boot from' } },
  shows: 'one',
  async run({ args, options }, { api }) {
    const path = `${pathOf(args.node)}/management/boot_device`
    if (!options.supported) return { kind: 'one', item: await api.get(path) }
    const { supported_boot_devices: devices } = await api.get(`${path}/supported`)
    return { kind: 'one', item: { supported_boot_devices: Array.isArray(devices) ? devices.join(', ') : devices } }
  },
})

const bootDeviceSet = command({
  about: 'Choose what nodes boot from next',
  args: { nodes, device: { about: 'pxe, disk, cdrom, bios, safe, wanboot, ... as the hardware supports' } },
  options: { persistent: { takes: 'nothing', about: 'for all boots to come' } },
  async run({ args, options }, { api }) {
    const body = { boot_device: args.device, persistent: options.persistent ?? false }
    await forEach(args.nodes, 'set the boot device of node', name =>
      api.put(`${pathOf(name)}/management/boot_device`, body),
    )
    return undefined
  },
})

const bootModeSet = command({
  about: 'Choose the firmware mode nodes boot in',
  args: { nodes, boot_mode: { choices: ['uefi', 'bios'], about: 'uefi or bios' } },
  options: {},
  async run({ args }, { api }) {
    await forEach(args.nodes, 'set the boot mode of node', name =>
      api.put(`${pathOf(name)}/states/boot_mode`, { target: args.boot_mode }),
    )
    return undefined
  },
})

const maintenanceSet = command({
  about: 'Put nodes into maintenance',
  args: { nodes },
  options: { reason: { takes: 'text', about: 'why' } },
  async run({ args, options }, { api }) {
    const body = { reason: options.reason ?? null }
    await forEach(args.nodes, 'put into maintenance node', name => api.put(`${pathOf(name)}/maintenance`, body))
    return undefined
  },
})

const maintenanceUnset = command({
  about: 'Take nodes out of maintenance',
  args: { nodes },
  options: {},
  async run({ args }, { api }) {
    await forEach(args.nodes, 'take out of maintenance node', name => api.delete(`${pathOf(name)}/maintenance`))
    return undefined
  },
})

const consoleShow = command({
  about: "Show a node's console",
  args: { node },
  options: {},
  shows: 'one',
  async run({ args }, { api }) {
    return { kind: 'one', item: await api.get(`${pathOf(args.node)}/states/console`) }
  },
})

const traitList = command({
  about: "List a node's traits",
  args: { node },
  options: {},
  shows: 'list',
  async run({ args }, { api }) {
    const { traits } = await api.get(`${pathOf(args.node)}/traits`)
    const items = Array.isArray(traits) ? traits.map((trait: unknown) => ({ traits: trait })) : []
    return { kind: 'list', columns: ['traits'], items }
  },
})

const traits = { metavar: 'trait', many: true, about: 'CUSTOM_... or a standard trait' } as const

const traitAdd = command({
  about: 'Give a node traits',
  args: { node, traits },
  options: {},
  async run({ args }, { api, terminal }) {
    await forEach(args.traits, `give node ${args.node} the trait`, async trait => {
      await api.put(`${pathOf(args.node)}/traits/${segment(trait)}`)
      terminal.out.write(`Added trait ${trait}\n`)
    })
    return undefined
  },
})

const traitRemove = command({
  about: 'Take traits from a node',
  args: { node, traits: { ...traits, optional: true } },
  options: { all: { takes: 'nothing', about: 'take all traits' } },
  async run({ args, options }, { api, terminal }) {
    if (options.all ? args.traits.length > 0 : args.traits.length === 0) {
      throw new UsageError('Name the traits to take, or use --all instead')
    }
    const path = `${pathOf(args.node)}/traits`
    if (options.all) {
      await api.delete(path)
      terminal.out.write('Removed all traits\n')
      return undefined
    }
    await forEach(args.traits, `take from node ${args.node} the trait`, async trait => {
      await api.delete(`${path}/${segment(trait)}`)
      terminal.out.write(`Removed trait ${trait}\n`)
    })
    return undefined
  },
})

export const commands: Commands = {
  create: createCommand(nodeResource),
  list: listCommand(nodeResource),
  show: showNode,
  set: setNode,
  unset: unsetNode,
  delete: deleteCommand(nodeResource),
  validate,
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
  'power on': power('Power nodes on', {}, () => 'power on'),
  'power off': power(
    'Power nodes off',
    { soft: { takes: 'nothing', about: 'ask the operating system to shut down' } },
    ({ options }) => (options.soft ? 'soft power off' : 'power off'),
  ),
  reboot: power(
    'Reboot nodes',
    { soft: { takes: 'nothing', about: 'ask the operating system to reboot' } },
    ({ options }) => (options.soft ? 'soft rebooting' : 'rebooting'),
  ),
  'maintenance set': maintenanceSet,
  'maintenance unset': maintenanceUnset,
  'boot device set': bootDeviceSet,
  'boot device show': bootDeviceShow,
  'boot mode set': bootModeSet,
  'secure boot on': put('Turn secure boot on', 'states/secure_boot', { target: true }),
  'secure boot off': put('Turn secure boot off', 'states/secure_boot', { target: false }),
  'console enable': put("Start nodes' consoles", 'states/console', { enabled: true }),
  'console disable': put("Stop nodes' consoles", 'states/console', { enabled: false }),
  'console show': consoleShow,
  'inject nmi': put('Send nodes a non-maskable interrupt', 'management/inject_nmi', {}),
  'trait list': traitList,
  'trait add': traitAdd,
  'trait remove': traitRemove,
  'add trait': traitAdd,
  'remove trait': traitRemove,
}
