/** Nothing was seen of the machine: what its BMC says, and who else asked, tell why. */
import type { BootRecord } from '#protocol/boot.ts'
import type { BootSetting } from '../diagnosis.ts'
import { ofProgress } from './progress.ts'
import { clockTime, type Diagnosis, lastTrouble, whoOf } from './words.ts'

export function nothingSeen(record: BootRecord, setting: BootSetting): Diagnosis {
  const nothing = setting.managed
    ? `No DHCP request of ${whoOf(record.macs)} reached interface ${setting.dhcpInterface ?? '?'}`
    : `Nothing was fetched from Ferrite by ${whoOf(record.macs)}`
  const found =
    ofProgress(nothing, setting.bmc?.firmware?.progress) ??
    withoutLink(nothing, record, setting) ??
    disabledPort(record) ??
    otherCards(nothing, record, setting) ??
    wrongDevice(nothing, record, setting) ??
    unknownCard(record) ??
    (setting.managed ? noDhcp(nothing) : unseen(nothing))
  return { ...found, evidence: [...found.evidence, ...record.switchPorts.map(connected)] }
}

function connected({ mac, switchName, portName }: BootRecord['switchPorts'][number]): string {
  return `${mac} is known to be connected to port ${portName} of switch ${switchName}`
}

function withoutLink(nothing: string, { macs }: BootRecord, { bmc }: BootSetting): Diagnosis | undefined {
  const without = macs.filter(mac => bmc?.macsWithoutLink.includes(mac))
  if (without.length === 0 || without.length < macs.length) return undefined
  return {
    cause: 'link-down',
    summary: `${nothing}: the network card has no link`,
    evidence: [`the BMC says that ${without.join(', ')} has no link`],
    actions: ['look at the cable and at the switch port: not plugged, switched off, or another speed'],
  }
}

function otherCards(nothing: string, record: BootRecord, { bmc }: BootSetting): Diagnosis | undefined {
  const { macs, strangers } = record
  const real = bmc?.macs ?? []
  if (real.length === 0) return undefined
  const own = strangers.find(one => one.asked === 'dhcp' && one.macs.some(mac => real.includes(mac)))
  if (!own && macs.some(mac => real.includes(mac))) return undefined
  return {
    cause: 'wrong-port-address',
    summary: `${nothing}: the machine has no such NIC, its BMC names ${real.join(', ')}`,
    evidence: own ? [`at ${clockTime(own.at)} ${own.macs.join(', ')} asked for an address`] : [],
    actions: ['the port has the wrong MAC address, or driver_info names the BMC of another machine: correct it'],
  }
}

function disabledPort({ askedInVain }: BootRecord): Diagnosis | undefined {
  const last = askedInVain.at(-1)
  if (!last) return undefined
  return {
    cause: 'port-not-enabled',
    summary: `The machine asked for an address on ${last.mac}, whose port has pxe_enabled false`,
    evidence: askedInVain.slice(-3).map(({ at, mac }) => `at ${clockTime(at)}: DHCP request of ${mac}`),
    actions: ['set pxe_enabled on that port, or change the boot order'],
  }
}

function wrongDevice(nothing: string, record: BootRecord, { bmc }: BootSetting): Diagnosis | undefined {
  const lost = lastTrouble(record, 'boot device lost')
  const device = bmc?.bootDevice
  const elsewhere = device && device !== 'pxe' && device !== 'uefihttp'
  if (!lost && !elsewhere) return undefined
  return {
    cause: 'wrong-boot-device',
    summary: `${nothing}: the machine boots from something else`,
    evidence: [
      ...(lost ? [`the BMC took the boot device, and told ${lost.found ?? 'none'} when it was asked afterwards`] : []),
      ...(elsewhere ? [`the BMC says that the machine boots from "${device}"`] : []),
    ],
    actions: [
      'the BMC did not keep the boot device: set it, or the boot order of the firmware, by hand, and see whether the firmware obeys it; newer firmware of the BMC may',
    ],
  }
}

function unknownCard({ strangers, macs }: BootRecord): Diagnosis | undefined {
  const asked = strangers.filter(one => one.asked === 'dhcp')
  const last = asked.at(-1)
  if (!last) return undefined
  return {
    cause: 'unknown-mac-asked',
    summary: `A machine asked for an address on MAC address ${last.macs.join(', ')}, which no port has, and none on ${whoOf(macs)}`,
    evidence: asked.slice(-5).map(one => `at ${clockTime(one.at)}: DHCP request of ${one.macs.join(', ')}`),
    actions: ["correct the port's address, if that is this machine"],
  }
}

const noDhcp = (nothing: string): Diagnosis => ({
  cause: 'no-dhcp',
  summary: nothing,
  evidence: [],
  actions: [
    'the machine does not boot from that network card (boot order, cable, VLAN), or the port has the wrong MAC address',
  ],
})

const unseen = (nothing: string): Diagnosis => ({
  cause: 'nothing-fetched',
  summary: nothing,
  evidence: ['DHCP is not run by Ferrite, so its part of the boot is not seen here'],
  actions: [`DHCP is not run by Ferrite, so look at the DHCP server's log first`],
})
