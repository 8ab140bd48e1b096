/**
 * The console `redfish-graphical`: the machine's screen, keyboard and mouse as its BMC gives them over a WebSocket that
 * speaks RFB, passed on to viewers of VNC by the API's own WebSocket. Each viewer gets a connection of its own; nothing
 * listens on a port, since RFB itself asks nobody who they are. Ironic's starts a browser in a container that shows the
 * BMC's web page, for BMCs whose screens speak only to that; those are not reached here.
 *
 * Source: RFC 6143 (RFB); openbmc/bmcweb, kvm_websocket (raw RFB over WebSocket);
 * ironic/drivers/modules/graphical_console.py (type of its access).
 */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { messageOf } from '#lib/fault.ts'
import { withoutSlashesAtEnd } from '#lib/slashes.ts'
import type { ConsoleInterface } from '../bmc-interfaces.ts'
import { type OfferedConsoles, offeredConsoles } from '../console/offered.ts'
import { HardwareFault, type NodeContext } from '../driver.ts'
import { clientOf } from './clients.ts'
import { checkSockets, screenSocket } from './console-ways.ts'
import { validateDriverInfo } from './driver-info.ts'

/** What the BMC gives as a screen is something else. */
export class NotAScreen extends HardwareFault {
  override readonly code = 'console-not-rfb'
}

const KEY = Symbol('screens')
/** A server speaks first, its version. */
const greetingLimitMs = 30_000

interface Screen {
  console_interface: string | null
  viewers: Set<Duplex>
}

/** Those that are offered, by node. */
class Screens extends Map<string, Screen> implements OfferedConsoles, AsyncDisposable {
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.keys()].map(uuid => this.stop(uuid)))
  }

  list(): Iterable<{ uuid: string; console_interface: string | null }> {
    return [...this].map(([uuid, { console_interface }]) => ({ uuid, console_interface }))
  }

  async stop(uuid: string): Promise<void> {
    for (const viewer of this.get(uuid)?.viewers ?? []) viewer.destroy()
    this.delete(uuid)
  }
}

function screensOf(ctx: Pick<NodeContext, 'shared'>): Screens {
  return ctx.shared(KEY, () => {
    const made = new Screens()
    offeredConsoles(ctx).add(made)
    return made
  })
}

async function validate(ctx: NodeContext): Promise<void> {
  await validateDriverInfo(ctx)
  checkSockets(ctx)
}

export default {
  validate,

  async start(ctx) {
    await validate(ctx)
    const screens = screensOf(ctx)
    const { uuid, console_interface } = ctx.node
    const running = screens.get(uuid)
    if (running) {
      running.console_interface = console_interface
      return
    }
    const screen = await openScreen(ctx)
    screen.destroy()
    // Somebody else may have been quicker, and has viewers already.
    if (!screens.has(uuid)) screens.set(uuid, { console_interface, viewers: new Set() })
  },

  stop: ctx => screensOf(ctx).stop(ctx.node.uuid),

  async access({ node, config, shared }) {
    if (!screensOf({ shared }).has(node.uuid)) return null
    const api = withoutSlashesAtEnd(config.ferrite.api_url).replace(/^http/, 'ws')
    return { type: 'vnc', url: `${api}/v1/nodes/${node.uuid}/states/console/stream` }
  },

  stream(ctx) {
    const viewers = screensOf(ctx).get(ctx.node.uuid)?.viewers
    return viewers ? viewer => void show(ctx, viewers, viewer) : null
  },
} satisfies ConsoleInterface

/** Until either goes. RFB has no word for what is wrong, so that a viewer hears of it by the end of the connection. */
async function show(ctx: NodeContext, viewers: Set<Duplex>, viewer: Duplex): Promise<void> {
  viewers.add(viewer)
  viewer.on('error', () => viewer.destroy())
  viewer.once('close', () => viewers.delete(viewer))
  try {
    // The call that asked for the stream may be over long before the stream is.
    const screen = await openScreen({ ...ctx, signal: AbortSignal.timeout(2 * greetingLimitMs) })
    viewer.once('close', () => screen.destroy())
    screen.once('close', () => viewer.destroy())
    if (viewer.destroyed) screen.destroy()
    else viewer.pipe(screen).pipe(viewer)
  } catch (error) {
    ctx.log.warn({ node: ctx.node.uuid }, `the screen cannot be shown: ${messageOf(error)}`)
    viewer.destroy()
  }
}

/** Connected, and seen to speak RFB; nothing that it said is lost. @throws NotAScreen */
async function openScreen(ctx: NodeContext): Promise<Duplex> {
  const path = await screenSocket(ctx)
  const client = clientOf(ctx)
  const screen = await client.openSocket(path, ctx.signal)
  const gone = new AbortController()
  screen.once('close', () => gone.abort(new Error('the connection ended')))
  const limit = AbortSignal.any([ctx.signal, gone.signal, AbortSignal.timeout(greetingLimitMs)])
  screen.on('error', () => screen.destroy())
  try {
    while (screen.readableLength < 4) await once(screen, 'readable', { signal: limit })
    const said: Buffer = screen.read()
    screen.unshift(said)
    if (said.toString('latin1', 0, 4) === 'RFB ') return screen
    throw new NotAScreen(
      `Cannot show the screen of node ${ctx.node.uuid}: ${path} of the BMC at ${client.origin} says ` +
        `${JSON.stringify(said.toString('latin1', 0, 20))}, expected RFB, the protocol of VNC`,
    )
  } catch (error) {
    screen.destroy()
    if (error instanceof NotAScreen) throw error
    throw new NotAScreen(
      `Cannot show the screen of node ${ctx.node.uuid}: ${path} of the BMC at ${client.origin} says nothing, or closes: ` +
        `${messageOf(error)}`,
      { cause: error },
    )
  }
}
