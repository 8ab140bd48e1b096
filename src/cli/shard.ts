/** `ferrite shard ...`: the names that nodes are divided by, and how many nodes have each. */
import { type Commands, command } from './command.ts'

export const commands: Commands = {
  list: command({
    about: 'List shards and how many nodes each has',
    args: {},
    options: {},
    shows: 'list',
    async run(_, { api }) {
      const items = await api.list('/v1/shards', 'shards', { query: {}, limit: undefined })
      return { kind: 'list', columns: ['name', 'count'], items }
    },
  }),
}
