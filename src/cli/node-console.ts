/** `ferrite node console ...`: the serial console, or the screen, that the service offers for a node. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { Conflict, messageOf } from '#lib/fault.ts'
import { type Commands, type Context, command } from './command.ts'
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
    if ((await kindOf(api, args.node)) === 'vnc') {
      throw new Conflict(
        `Cannot show the console of ${args.node} here: it is a screen; ferrite node console view shows it`,
      )
    }
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

const view = command({
  about: "Let a viewer of VNC on this host see a node's screen, and type there; Ctrl-C ends it",
  args: { node },
  options: {
    port: { takes: 'number', about: 'port of this host that the viewer is pointed at; without it, a free one' },
  },
  async run({ args, options }, { api, terminal }) {
    const kind = await kindOf(api, args.node)
    if (kind !== null && kind !== 'vnc') {
      throw new Conflict(
        `Cannot show the screen of ${args.node}: its console is a line; ferrite node console attach shows it`,
      )
    }
    const path = `${nodePath(args.node)}/states/console/stream`
    // Whether it may be seen at all is told before a viewer is started.
    const first = await api.stream(path)
    first.destroy()
    const { interrupted } = terminal
    const server = createServer(viewer => {
      viewer.on('error', () => viewer.destroy())
      api.stream(path).then(
        screen => {
          screen.once('close', () => viewer.destroy())
          viewer.once('close', () => screen.destroy())
          if (viewer.destroyed) screen.destroy()
          else viewer.pipe(screen).pipe(viewer)
        },
        error => {
          terminal.err.write(`${messageOf(error)}\n`)
          viewer.destroy()
        },
      )
      interrupted.addEventListener('abort', () => viewer.destroy(), { once: true })
    })
    const port = await listen(server, options.port ?? 0)
    terminal.err.write(`Point a viewer of VNC at 127.0.0.1::${port} for the screen of ${args.node}; Ctrl-C ends it.\n`)
    if (!interrupted.aborted) await once(interrupted, 'abort')
    server.close()
    return undefined
  },
})

/** @returns what kind of console the node has; null while it is switched off */
async function kindOf(api: Context['api'], ident: string): Promise<string | null> {
  const { console_info: info } = await api.get(`${nodePath(ident)}/states/console`)
  const type = typeof info === 'object' && info !== null && 'type' in info ? info.type : null
  return typeof type === 'string' ? type : null
}

/** Nobody else than this host's users reaches it: a viewer is asked for nothing. */
async function listen(server: Server, port: number): Promise<number> {
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch (error) {
    throw new Conflict(`Cannot offer a screen at port ${port}: ${messageOf(error)}`, { cause: error })
  }
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

export const commands: Commands = {
  attach,
  view,
  enable: putCommand("Start nodes' consoles", 'start the console of node', 'states/console', { enabled: true }),
  disable: putCommand("Stop nodes' consoles", 'stop the console of node', 'states/console', { enabled: false }),
  show: consoleShow,
}
