/**
 * The serial console `redfish-serial`: the machine's serial port by a WebSocket of its BMC, or by Serial over LAN where
 * Redfish tells of that, offered like any other serial console. Ironic has no such thing.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { ConsoleInterface } from '../bmc-interfaces.ts'
import { consolesOf } from '../console/console-servers.ts'
import type { SerialEvents, SerialLine } from '../console/serial-console.ts'
import type { NodeContext } from '../driver.ts'
import { clientOf as ipmiClientOf } from '../ipmi/clients.ts'
import { openSol } from '../ipmi/sol.ts'
import { clientOf } from './clients.ts'
import { checkSockets, serialWay } from './console-ways.ts'
import { bmcSettings, validateDriverInfo } from './driver-info.ts'

async function validate(ctx: NodeContext): Promise<void> {
  await validateDriverInfo(ctx)
  checkSockets(ctx)
}

export default {
  validate,

  async start(ctx) {
    await validate(ctx)
    const consoles = consolesOf(ctx)
    // Asked when somebody switches it on, and again for each line, but not each time that it is found running.
    if (consoles.url(ctx.node.uuid) === null) await serialWay(ctx)
    const { redfish_serial_socket: socket } = ctx.node.driver_info
    const secret = JSON.stringify([bmcSettings(ctx), socket])
    await consoles.start(ctx, {
      port: null,
      key: createHash('sha256').update(secret).digest('base64'),
      open: (events, signal) => openLine({ ...ctx, signal }, events),
    })
  },

  stop: ctx => consolesOf(ctx).stop(ctx.node.uuid),

  async access(ctx) {
    const url = consolesOf(ctx).url(ctx.node.uuid)
    return url === null ? null : { type: 'socat', url }
  },

  stream: ctx => consolesOf(ctx).stream(ctx.node.uuid),
} satisfies ConsoleInterface

async function openLine(ctx: NodeContext, events: SerialEvents): Promise<SerialLine> {
  const way = await serialWay(ctx)
  if (way.kind === 'ipmi') return await openSol(ipmiClientOf(overIpmi(ctx, way.port)), events, { signal: ctx.signal })
  const stream = await clientOf(ctx).openSocket(way.path, ctx.signal)
  let isOver = false
  const over = (why: string) => {
    if (!isOver) events.end(why)
    isOver = true
  }
  stream.on('error', error => over(error.message))
  stream.on('data', (characters: Buffer) => events.data(characters))
  stream.on('close', () => over('the BMC closed it'))
  return {
    get unsentBytes() {
      return stream.writableLength
    },
    write: characters => void stream.write(characters),
    async close() {
      isOver = true
      if (stream.closed) return
      const closed = once(stream, 'close')
      stream.destroy()
      await closed
    },
  }
}

/** The same BMC and account; settings for IPMI that the node has of its own count. */
function overIpmi(ctx: NodeContext, port: number | null): NodeContext {
  const { origin, username, password } = bmcSettings(ctx)
  const told = {
    ipmi_address: new URL(origin).hostname,
    ipmi_username: username,
    ipmi_password: password,
    ...(port === null ? {} : { ipmi_port: port }),
  }
  return { ...ctx, node: { ...ctx.node, driver_info: { ...told, ...ctx.node.driver_info } } }
}
