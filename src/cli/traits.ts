/** The traits of a node or a runbook: list, add, remove. */
import { segment } from './client.ts'
import { command } from './command.ts'
import { UsageError } from './parse.ts'
import { forEach } from './report.ts'
import type { Resource } from './resource.ts'

const traits = { metavar: 'trait', many: true, about: 'CUSTOM_... or a standard trait' } as const

export function traitCommands({ name, path }: Pick<Resource, 'name' | 'path'>) {
  const owner = { metavar: name, about: `name or UUID of the ${name}` }
  const pathOf = (ident: string) => `${path}/${segment(ident)}/traits`
  return {
    list: command({
      about: `List the traits of a ${name}`,
      args: { owner },
      options: {},
      shows: 'list',
      async run({ args }, { api }) {
        const { traits } = await api.get(pathOf(args.owner))
        const items = Array.isArray(traits) ? traits.map((trait: unknown) => ({ traits: trait })) : []
        return { kind: 'list', columns: ['traits'], items }
      },
    }),
    add: command({
      about: `Give a ${name} traits`,
      args: { owner, traits },
      options: {},
      async run({ args }, { api, terminal }) {
        await forEach(args.traits, `give ${name} ${args.owner} the trait`, async trait => {
          await api.put(`${pathOf(args.owner)}/${segment(trait)}`)
          terminal.out.write(`Added trait ${trait}\n`)
        })
        return undefined
      },
    }),
    remove: command({
      about: `Take traits from a ${name}`,
      args: { owner, traits: { ...traits, optional: true } },
      options: { all: { takes: 'nothing', about: 'take all traits' } },
      async run({ args, options }, { api, terminal }) {
        if (options.all ? args.traits.length > 0 : args.traits.length === 0) {
          throw new UsageError('Name the traits to take, or use --all instead')
        }
        if (options.all) {
          await api.delete(pathOf(args.owner))
          terminal.out.write('Removed all traits\n')
          return undefined
        }
        await forEach(args.traits, `take from ${name} ${args.owner} the trait`, async trait => {
          await api.delete(`${pathOf(args.owner)}/${segment(trait)}`)
          terminal.out.write(`Removed trait ${trait}\n`)
        })
        return undefined
      },
    }),
  }
}
