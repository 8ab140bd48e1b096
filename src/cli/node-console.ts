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

/** Ctrl-], as with telnet: every other key is the machine's. */
const leave = 0x1d

const attach = command({
  about: "Look at a node's serial console, and type there; Ctrl-] ends it",
  args: { node },
  options: {},
  async run({ args }, { api, terminal }) {
    const stream = await api.stream(`${nodePath(args.node)}/states/console/stream`)
    terminal.err.write(`This is the console of ${args.node}; Ctrl-] ends it.\n`)
    const keys = terminal.keys()
    keys.typed.on('data', (bytes: Buffer) => {
      const end = bytes.indexOf(leave)
      if (end !== 0) stream.write(end < 0 ? bytes : bytes.subarray(0, end))
      if (end >= 0) stream.end()
    })
    const decoder = new TextDecoder()
    try {
      for await (const bytes of stream) terminal.out.write(decoder.decode(bytes, { stream: true }))
      terminal.err.write('\nThe console is closed.\n')
    } finally {
      keys.release()
    }
    return undefined
  },
})

export const commands: Commands = {
  attach,
  enable: putCommand("Start nodes' consoles", 'start the console of node', 'states/console', { enabled: true }),
  disable: putCommand("Stop nodes' consoles", 'stop the console of node', 'states/console', { enabled: false }),
  show: consoleShow,
}
