/**
 * One outlet of a PDU: its state read, and told to change. Which kind of PDU it is may have to be asked of it; that is
 * remembered until an answer shows that another one stands there now.
 */
import type { PowerState } from '#protocol/states.ts'
import type { NodeContext } from '../driver.ts'
import { ask, PduRefused, PduUnreadable, tell } from './client.ts'
import { type PduSettings, pduSettings } from './driver-info.ts'
import { type Pdu, pdus, recognised } from './pdus.ts'

export interface Outlet {
  /** For messages: "Outlet 3 of the PDU at 192.0.2.9:161". */
  readonly name: string
  /** `null` where the PDU has another word than on and off. */
  state(signal: AbortSignal): Promise<PowerState | null>
  set(target: 'power on' | 'power off', signal: AbortSignal): Promise<void>
}

const sysObjectId = '1.3.6.1.2.1.1.2.0'
/** What PDUs said that they are, by address. */
const kindsKey = Symbol('kinds of PDUs')

/** The node's outlet. @throws InvalidInput when driver_info is not complete */
export async function outletOf(ctx: NodeContext): Promise<Outlet> {
  const settings = pduSettings(ctx)
  const { host, port, outlet } = settings
  const address = `${host}:${port}`
  const name = `Outlet ${outlet} of the PDU at ${address}`
  const known = ctx.shared(kindsKey, () => new Map<string, Pdu>())

  /** Works with what the PDU is known to be; one that then refuses is asked once more what it is. */
  async function withPdu<T>(signal: AbortSignal, work: (pdu: Pdu) => Promise<T>): Promise<T> {
    const given = settings.kind === null ? undefined : pdus[settings.kind]
    const pdu = given ?? known.get(address)
    try {
      if (pdu) return await work(pdu)
    } catch (error) {
      if (given || !(error instanceof PduRefused)) throw error
    }
    const found = await recognise(settings, address, signal)
    known.set(address, found)
    return work(found)
  }

  return {
    name,
    state: signal =>
      withPdu(signal, async pdu => {
        const value = await ask(settings, pdu.state(outlet), `the state of outlet ${outlet}`, signal)
        if (typeof value !== 'number') {
          throw new PduUnreadable(`${name} has a state that is no number; check snmp_driver`)
        }
        if (pdu.on.includes(value)) return 'power on'
        if (pdu.off.includes(value)) return 'power off'
        ctx.log.warn({ node: ctx.node.uuid, value }, `${name} is in a state that is neither on nor off`)
        return null
      }),
    set: (target, signal) =>
      withPdu(signal, async pdu => {
        const { object, value } = target === 'power on' ? pdu.switchOn : pdu.switchOff
        await tell(settings, { object: object(outlet), value, what: `"${target}" for outlet ${outlet}` }, signal)
      }),
  }
}

async function recognise(settings: PduSettings, address: string, signal: AbortSignal): Promise<Pdu> {
  const id = await ask(settings, sysObjectId, 'what it is (sysObjectID)', signal)
  const found = typeof id === 'string' ? recognised(id) : undefined
  if (found) return found
  const names = Object.entries(pdus).flatMap(([name, { systemId }]) => (systemId === null ? [] : [name]))
  throw new PduUnreadable(
    `The PDU at ${address} says that it is ${JSON.stringify(id)}; expected one of ${names.join(', ')}. ` +
      'Set snmp_driver to what it is',
  )
}
