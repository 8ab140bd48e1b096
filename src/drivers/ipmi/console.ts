/**
 * The serial console `ipmitool-socat`: a TCP port to the machine's serial port. The name is Ironic's, which runs ipmitool
 * under socat; this one speaks Serial over LAN itself and starts no process.
 *
 * Source: drivers, "IPMI" and "Consoles" (ironic/drivers/modules/ipmitool.py, IPMISocatConsole, restated).
 */
import { createHash } from 'node:crypto'
import { InvalidInput } from '#lib/fault.ts'
import type { ConsoleInterface } from '../bmc-interfaces.ts'
import { consolesOf } from '../console/console-servers.ts'
import type { NodeContext } from '../driver.ts'
import { clientOf } from './clients.ts'
import { bmcSettings, terminalPort, validateDriverInfo } from './driver-info.ts'
import { openSol } from './sol.ts'

async function validate(ctx: NodeContext): Promise<void> {
  await validateDriverInfo(ctx)
  if (bmcSettings(ctx).version === '2.0') return
  throw new InvalidInput(
    `Cannot offer a serial console of node ${ctx.node.uuid}: ipmi_protocol_version is 1.5, which has none; expected 2.0`,
  )
}

export default {
  validate,

  async start(ctx) {
    await validate(ctx)
    const port = terminalPort(ctx)
    const { bmcKey, ...settings } = bmcSettings(ctx)
    const secret = JSON.stringify([settings, bmcKey?.toString('hex'), port])
    await consolesOf(ctx).start(ctx, {
      port,
      key: createHash('sha256').update(secret).digest('base64'),
      open: (events, signal) => openSol(clientOf(ctx), events, { signal }),
    })
  },

  stop: ctx => consolesOf(ctx).stop(ctx.node.uuid),

  async access(ctx) {
    const url = consolesOf(ctx).url(ctx.node.uuid)
    return url === null ? null : { type: 'socat', url }
  },

  stream: ctx => consolesOf(ctx).stream(ctx.node.uuid),
} satisfies ConsoleInterface
