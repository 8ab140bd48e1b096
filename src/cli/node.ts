/** `ferrite node ...`: registering nodes, looking at them, changing them. Their verbs are in node-provision.ts. */
import { NotFound } from '#lib/fault.ts'
import { type AnyInput, type Commands, type Context, command, type Item } from './command.ts'
import { node, nodePath } from './node-path.ts'
import { reboot } from './node-power.ts'
import { provisioning } from './node-provision.ts'
import { resource } from './node-resource.ts'
import { UsageError } from './parse.ts'
import { forEach } from './report.ts'
import { fieldsOption, resourceCommands, show, updateCommand, withoutLinks } from './resource.ts'
import { document } from './values.ts'

const showNode = command({
  about: 'Show one node',
  args: { node: { about: 'name or UUID of the node, or with --instance the UUID of its instance' } },
  options: {
    instance: { takes: 'nothing', about: 'the argument is the UUID of an instance' },
    fields: fieldsOption,
  },
  shows: 'one',
  async run({ args, options }, { api }) {
    if (!options.instance) return { kind: 'one', item: await show(resource, args.node, options.fields, api) }
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
      context.api.put(`${nodePath(name)}/states/raid`, config),
    )
    return true
  }
}

const setNode = updateCommand(resource, 'set', {
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

const unsetNode = updateCommand(resource, 'unset', {
  options: { 'target-raid-config': { takes: 'nothing', about: 'RAID to build' } },
  before: setRaid(async () => ({})),
})

const validate = command({
  about: "Check a node's interfaces and what they need",
  args: { node },
  options: {},
  shows: 'list',
  async run({ args }, { api }) {
    const found = Object.entries(await api.get(`${nodePath(args.node)}/validate`))
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

const childrenList = command({
  about: 'List the nodes that are parts of a node',
  args: { node },
  options: {},
  shows: 'list',
  async run({ args }, { api }) {
    const { children } = await api.get(`${nodePath(args.node)}/children`)
    const items = Array.isArray(children) ? children.map((child: unknown) => ({ children: child })) : []
    return { kind: 'list', columns: ['children'], items }
  },
})

const unlock = command({
  about: 'Take a node from whoever holds it; its work goes on from its record',
  args: { node },
  options: {},
  shows: 'one',
  async run({ args }, { api }) {
    return { kind: 'one', item: await api.create(`${nodePath(args.node)}/unlock`, {}) }
  },
})

const why = command({
  about: 'Say why a node is where it is, what was seen that says so, and what to do',
  args: { node },
  options: {},
  shows: 'one',
  async run({ args }, { api }) {
    return { kind: 'one', item: await api.get(`${nodePath(args.node)}/why`) }
  },
})

export const commands: Commands = {
  ...resourceCommands(resource),
  show: showNode,
  set: setNode,
  unset: unsetNode,
  validate,
  ...provisioning,
  reboot,
  unlock,
  why,
  'children list': childrenList,
}
