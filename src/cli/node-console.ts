/** `ferrite node console ...`: the serial console that the service offers for a node. */
import { type Commands, command } from './command.ts'
import { node, nodePath, putCommand } from './node-path.ts'

const consoleShow = command({
  about: "Show a node's console",
  args: { node },
  options: {},
  shows: 'one',
  async run({ args }, { api }) {
    return { kind: 'one', item: await api.get(`${nodePath(args.node)}/states/console`) }
  },
})

export const commands: Commands = {
  enable: putCommand("Start nodes' consoles", 'start the console of node', 'states/console', { enabled: true }),
  disable: putCommand("Stop nodes' consoles", 'stop the console of node', 'states/console', { enabled: false }),
  show: consoleShow,
}
