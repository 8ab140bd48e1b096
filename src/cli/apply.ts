/** `ferrite apply`: makes nodes what a file says of them. The file is read in apply/description.ts, a node's way is in course.ts. */
import { Fault } from '#lib/fault.ts'
import { type Applied, applyNode, NotApplied } from './apply/apply-node.ts'
import { readDescription, type WantedNode } from './apply/description.ts'
import { type Commands, command, type Item } from './command.ts'
import { describe, SomeFailed } from './report.ts'
import { inWaves, waveOptions, wavesOf } from './waves.ts'

export const commands: Commands = {
  '': command({
    about: 'Enrol and deploy what a file describes; what is so already stays as it is',
    args: {},
    options: {
      file: { takes: 'text', short: 'f', required: true, metavar: 'file', about: 'YAML or JSON with the key nodes' },
      plan: { takes: 'nothing', about: 'only say what would be done' },
      'secrets-too': { takes: 'nothing', about: 'send secrets again: what the service masks cannot be compared' },
      ...waveOptions,
    },
    shows: 'list',
    async run({ options }, { api, terminal }) {
      const nodes = await readDescription(options.file ?? '', terminal.env)
      const how = { plan: options.plan === true, secretsToo: options['secrets-too'] === true }
      const items: Item[] = []
      const applyOne = async (wanted: WantedNode): Promise<boolean> => {
        const [row, failed] = await outcomeOf(wanted.name, applyNode(wanted, { api, terminal, ...how }), how.plan)
        items.push(row)
        return failed
      }
      const waves = wavesOf(nodes, { canary: options.canary, wave: options.wave })
      const work = inWaves(
        waves,
        async wave => {
          const failed = await Promise.all(wave.map(applyOne))
          const bad = wave.filter((_, at) => failed[at]).map(({ name }) => name)
          if (bad.length > 0) throw new SomeFailed(`Cannot apply ${bad.join(', ')}; the outcomes say why`)
        },
        ({ name }) => name,
      )
      const failure = await work.then(
        () => undefined,
        (error: unknown) => {
          if (error instanceof Fault) return error
          throw error
        },
      )
      // Nodes of a wave end in any order.
      const place = new Map(nodes.map(({ name }, at) => [name, at]))
      const ordered = items.toSorted((a, b) => Number(place.get(String(a.node))) - Number(place.get(String(b.node))))
      return { kind: 'list', columns: ['node', 'actions', 'outcome'], items: ordered, ...(failure && { failure }) }
    },
  }),
}

/** A row of the result, and whether it tells of a failure. */
async function outcomeOf(node: string, work: Promise<Applied>, plan: boolean): Promise<[row: Item, failed: boolean]> {
  try {
    const { actions } = await work
    const outcome = actions.length === 0 ? 'as it should be' : plan ? 'planned' : 'applied'
    return [{ node, actions: actions.join('; '), outcome }, false]
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const actions = error instanceof NotApplied ? error.actions : []
    return [{ node, actions: actions.join('; '), outcome: describe(error) }, true]
  }
}
