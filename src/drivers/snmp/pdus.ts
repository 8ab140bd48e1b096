/**
 * The PDUs whose outlets we can switch, as data: which object tells the state of an outlet, which one switches it, and
 * what the numbers mean. Nothing is asked here.
 *
 * Source: the makers' MIBs (APC PowerNet-MIB, Aten PE-MIB, Baytech MRP, CyberPower CPS-MIB, Eaton EPDU-MIB, Geist
 * GEIST-V5-MIB, Raritan PDU2-MIB, Server Technology Sentry3-MIB and Sentry4-MIB, Teltronix); names and the choice of
 * objects: drivers, "snmp" (ironic/drivers/modules/snmp.py restated).
 */

export interface Pdu {
  /** Its sysObjectID begins so; null: it is not recognised, its name has to be given. */
  systemId: string | null
  /** The object of an outlet, by its number. */
  state: (outlet: number) => string
  /** Values of it. */
  on: readonly number[]
  off: readonly number[]
  switchOn: Command
  switchOff: Command
}

interface Command {
  object: (outlet: number) => string
  value: number
}

const enterprises = '1.3.6.1.4.1'

/** The usual kind: one object that is read and written. */
function simple(pdu: { systemId: string | null; object: string; after?: string; on: number; off: number }): Pdu {
  const { systemId, object, after = '', on, off } = pdu
  const of = (outlet: number) => `${enterprises}.${object}.${outlet}${after}`
  return {
    systemId: systemId && `${enterprises}.${systemId}`,
    state: of,
    on: [on],
    off: [off],
    switchOn: { object: of, value: on },
    switchOff: { object: of, value: off },
  }
}

/** One object that tells and one that is told. @param pdu.at what stands between the object and the outlet's number */
function parted(pdu: {
  state: string
  command: string
  at: string
  on: readonly number[]
  off: readonly number[]
  say: { on: number; off: number }
}): Pdu {
  const { state, command, at, on, off, say } = pdu
  const under = (object: string) => (outlet: number) => `${enterprises}.${object}${at}.${outlet}`
  return {
    systemId: null,
    state: under(state),
    on,
    off,
    switchOn: { object: under(command), value: say.on },
    switchOff: { object: under(command), value: say.off },
  }
}

const masterSwitch = simple({ systemId: '318.1.1.4', object: '318.1.1.4.4.2.1.3', on: 1, off: 2 })

/** By the names that `snmp_driver` takes. */
export const pdus: Readonly<Record<string, Pdu>> = {
  apc: masterSwitch,
  apc_masterswitch: masterSwitch,
  apc_masterswitchplus: simple({ systemId: '318.1.1.6', object: '318.1.1.6.5.1.1.5', on: 1, off: 3 }),
  apc_rackpdu: simple({ systemId: '318.1.1.12', object: '318.1.1.12.3.3.1.1.4', on: 1, off: 2 }),
  aten: simple({ systemId: '21317', object: '21317.1.3.2.2.2.2', after: '.0', on: 2, off: 1 }),
  baytech_mrp27: simple({ systemId: null, object: '4779.1.3.5.3.1.3.1', on: 1, off: 0 }),
  cyberpower: simple({ systemId: '3808', object: '3808.1.1.3.3.3.1.1.4', on: 1, off: 2 }),
  eatonpower: {
    systemId: `${enterprises}.534`,
    state: outlet => `${enterprises}.534.6.6.7.6.6.1.2.${outlet}`,
    // What is pending has not happened yet.
    on: [1, 2],
    off: [0, 3],
    // Each command has an object of its own that takes a delay in seconds.
    switchOn: { object: outlet => `${enterprises}.534.6.6.7.6.6.1.4.${outlet}`, value: 0 },
    switchOff: { object: outlet => `${enterprises}.534.6.6.7.6.6.1.3.${outlet}`, value: 0 },
  },
  raritan_pdu2: parted({
    state: '13742.6.4.1.2.1.3',
    command: '13742.6.4.1.2.1.2',
    at: '.1',
    on: [7],
    off: [8],
    say: { on: 1, off: 0 },
  }),
  servertech_sentry3: parted({
    state: '1718.3.2.3.1.5',
    command: '1718.3.2.3.1.11',
    at: '.1.1',
    on: [1, 2],
    off: [0, 3],
    say: { on: 1, off: 2 },
  }),
  servertech_sentry4: parted({
    state: '1718.4.1.8.5.1.1',
    command: '1718.4.1.8.5.1.2',
    at: '.1.1',
    // idleOn, pendOn, on; pendOff, off.
    on: [3, 8, 11],
    off: [9, 10],
    say: { on: 1, off: 2 },
  }),
  teltronix: simple({ systemId: '23620', object: '23620.1.2.2.1.4', on: 2, off: 1 }),
  vertivgeist_pdu: parted({
    state: '21239.5.2.3.5.1.4',
    command: '21239.5.2.3.5.1.6',
    at: '',
    on: [1, 3],
    off: [2, 4],
    say: { on: 2, off: 4 },
  }),
}

/** The PDU that this sysObjectID belongs to: the one whose own is the longest beginning of it. */
export function recognised(sysObjectId: string): Pdu | undefined {
  const fitting = Object.values(pdus).filter(
    ({ systemId }) => systemId !== null && `${sysObjectId}.`.startsWith(`${systemId}.`),
  )
  return fitting.sort((a, b) => (b.systemId ?? '').length - (a.systemId ?? '').length)[0]
}
