/** Which nodes a verb is for: those named, or all, or all that the service finds by filters. */
import type { Verb } from '#protocol/states.ts'
import type { AnyInput, Context, Options } from './command.ts'
import { UsageError } from './parse.ts'

export const selectionOptions = {
  all: { takes: 'nothing', group: 'selection', about: 'every node to which this can be done' },
  where: {
    takes: 'repeat',
    metavar: 'field=value',
    about: 'every node that the service lists by this filter, such as resource_class=big; may be repeated',
  },
} satisfies Options

/**
 * The nodes as they were named, or, in the order of their names, those that the filters find and that the verb fits.
 * @throws UsageError
 */
export async function selectedNodes(
  input: AnyInput,
  verb: Verb,
  { api, reporter }: Pick<Context, 'api' | 'reporter'>,
): Promise<string[]> {
  const named = [input.args.nodes ?? []].flat()
  const { all, where } = input.options
  if (all === undefined && where === undefined) {
    if (named.length > 0) return named
    throw new UsageError('Missing argument <node>: name nodes, or give --all or --where')
  }
  if (named.length > 0) throw new UsageError('Give names of nodes, or --all or --where, not both')
  const query: Record<string, string> = {}
  for (const pair of [where ?? []].flat().map(String)) {
    const [, field, value] = /^([a-z_]+)=(.+)$/.exec(pair) ?? []
    if (field === undefined || value === undefined) {
      throw new UsageError(`Wrong value for option --where: found "${pair}", expected <field>=<value>`)
    }
    query[field] = value
  }
  const found = await api.list('/v1/nodes', 'nodes', { query, limit: 0 })
  const { isProvisionState, verbTarget } = await import('#protocol/states.ts')
  const fit = found.filter(({ provision_state }) => {
    const state = String(provision_state)
    return isProvisionState(state) && verbTarget(state, verb) !== undefined
  })
  const left = found.length - fit.length
  if (left > 0) reporter.notice(`Leaving out ${left} of ${found.length} nodes: they are in other states`)
  const byName = new Intl.Collator('en', { numeric: true })
  return fit.map(({ name, uuid }) => String(name ?? uuid)).sort(byName.compare)
}
