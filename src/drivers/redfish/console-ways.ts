/**
 * How one gets at a machine's serial port and screen through its BMC. Redfish tells of the first in so many words; of the
 * second only that there is one: where it is an operator says, or OpenBMC's path is taken.
 *
 * Source: DMTF DSP0268, ComputerSystem, SerialConsole and GraphicalConsole; openbmc/bmcweb (path of the screen).
 */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import { type NodeContext, Unsupported } from '../driver.ts'
import { textOf } from '../settings.ts'
import { reader } from './client.ts'
import { clientOf } from './clients.ts'
import { systemIdOf } from './driver-info.ts'
import { Amount, Maybe, Text } from './maybe.ts'

const Service = Maybe(Type.Object({ ServiceEnabled: Maybe(Type.Boolean()), Port: Amount, ConsoleURI: Text }))

const withConsoles = reader(
  'system',
  Type.Object({
    SerialConsole: Maybe(Type.Object({ WebSocket: Service, IPMI: Service, SSH: Service, Telnet: Service })),
    GraphicalConsole: Maybe(
      Type.Object({
        ServiceEnabled: Maybe(Type.Boolean()),
        ConnectTypesSupported: Maybe(Type.Array(Type.String())),
      }),
    ),
  }),
)

/** To a serial port: a WebSocket of the BMC, or Serial over LAN; null: at IPMI's usual port. */
export type SerialWay = { kind: 'socket'; path: string } | { kind: 'ipmi'; port: number | null }

const screenPath = '/kvm/0'

/** @throws Unsupported naming what the BMC offers instead */
export async function serialWay(ctx: NodeContext): Promise<SerialWay> {
  const own = socketOf(ctx, 'redfish_serial_socket')
  if (own !== null) return { kind: 'socket', path: own }
  const { origin, resource } = await readConsoles(ctx)
  const { WebSocket: socket, IPMI: ipmi, ...others } = resource.SerialConsole ?? {}
  if (socket?.ConsoleURI && socket.ServiceEnabled !== false) return { kind: 'socket', path: socket.ConsoleURI }
  if (ipmi?.ServiceEnabled) return { kind: 'ipmi', port: ipmi.Port ?? null }
  const offered = Object.entries({ ...(socket && { WebSocket: socket }), ...(ipmi && { IPMI: ipmi }), ...others })
    .filter(([, service]) => service !== null && service !== undefined)
    .map(([name, service]) => `${name} (${service?.ServiceEnabled ? 'on' : 'off'})`)
  throw new Unsupported(
    `Cannot offer a serial console of node ${ctx.node.uuid}: its BMC at ${origin} tells ` +
      `${offered.length === 0 ? 'of none' : `of ${offered.join(', ')}`}; expected WebSocket or IPMI switched on there, or the ` +
      'path of its WebSocket as driver_info/redfish_serial_socket',
  )
}

/** Path of the WebSocket that speaks RFB, the protocol of VNC. @throws Unsupported */
export async function screenSocket(ctx: NodeContext): Promise<string> {
  const own = socketOf(ctx, 'redfish_graphical_socket')
  if (own !== null) return own
  const { origin, resource } = await readConsoles(ctx)
  const { ServiceEnabled: isOn, ConnectTypesSupported: types } = resource.GraphicalConsole ?? {}
  if (isOn !== false && types?.includes('KVMIP')) return screenPath
  const found = resource.GraphicalConsole
    ? `one that is ${isOn ? 'on' : 'off'}, by ${types?.join(', ') || 'nothing'}`
    : 'none'
  throw new Unsupported(
    `Cannot offer the screen of node ${ctx.node.uuid}: its BMC at ${origin} tells of ${found}; expected a GraphicalConsole ` +
      'by KVMIP that is on, or the path of its WebSocket as driver_info/redfish_graphical_socket',
  )
}

/** Checks the form of both settings. @throws InvalidInput */
export function checkSockets(ctx: NodeContext): void {
  for (const name of ['redfish_serial_socket', 'redfish_graphical_socket']) socketOf(ctx, name)
}

/** Always of the BMC itself: it is told our credentials. */
function socketOf({ node }: NodeContext, name: string): string | null {
  const path = textOf(node.driver_info, name)
  if (path === null || /^\/[^/\s]\S*$/.test(path)) return path
  throw new InvalidInput(
    `Cannot offer a console of node ${node.uuid}: driver_info/${name} is ${JSON.stringify(path)}, expected a path of the BMC such as ${screenPath}`,
  )
}

async function readConsoles(ctx: NodeContext) {
  const client = clientOf(ctx)
  const path = await client.systemPath(systemIdOf(ctx.node), ctx.signal)
  // A session that is too old for a WebSocket is renewed by the way.
  const { resource } = await client.get(path, withConsoles, { signal: ctx.signal, fresh: true })
  return { origin: client.origin, resource }
}
