/** `ferrite node indicator ...`: the lamps of a machine. */
import { segment } from './client.ts'
import { type Commands, command } from './command.ts'
import { node, nodePath } from './node-path.ts'

const indicator = { about: 'name@component, as the list has it' }
const pathOf = (args: { node: string; indicator: string }) =>
  `${nodePath(args.node)}/management/indicators/${segment(args.indicator)}`

export const commands: Commands = {
  list: command({
    about: "List a node's indicators",
    args: { node },
    options: {},
    shows: 'list',
    async run({ args }, { api }) {
      const path = `${nodePath(args.node)}/management/indicators`
      const items = await api.list(path, 'indicators', { query: {}, limit: undefined })
      return { kind: 'list', columns: ['name', 'readonly', 'states'], items }
    },
  }),
  show: command({
    about: 'Show the state of an indicator',
    args: { node, indicator },
    options: {},
    shows: 'one',
    run: async ({ args }, { api }) => ({ kind: 'one', item: await api.get(pathOf(args)) }),
  }),
  set: command({
    about: 'Turn an indicator on or off',
    args: { node, indicator, state: { choices: ['on', 'off', 'blinking'], about: 'on, off or blinking' } },
    options: {},
    async run({ args }, { api }) {
      await api.put(pathOf(args), { state: args.state })
      return undefined
    },
  }),
}
