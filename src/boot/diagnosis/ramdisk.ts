/** Kernel and ramdisk were fetched, and no agent came: whether the kernel ran at all shows in who asks for addresses. */
import type { BootRecord } from '#protocol/boot.ts'
import type { BootSetting } from '../diagnosis.ts'
import { ofDamage } from './damage.ts'
import { foreignServer } from './network.ts'
import { clockTime, type Diagnosis, isFirmware, reached } from './words.ts'

export function ofRamdisk(record: BootRecord, setting: BootSetting): Diagnosis | undefined {
  // From virtual media it comes without a trace.
  if (!reached(record, 'ramdisk') && setting.bootsFrom === 'network') return undefined
  return (
    unknownAgent(record) ??
    rebooting(record) ??
    talking(record, setting) ??
    addressed(record, setting) ??
    (reached(record, 'ramdisk') ? (ofDamage(setting, 'kernel and ramdisk') ?? silence(setting)) : undefined)
  )
}

function silence(setting: BootSetting): Diagnosis {
  return setting.managed ? silentKernel : silentRamdisk(setting)
}

function unknownAgent({ strangers, macs, hops }: BootRecord): Diagnosis | undefined {
  const asked = strangers.filter(one => one.asked === 'lookup')
  const fetchedAt = hops.find(({ hop }) => hop === 'ramdisk')?.at ?? ''
  // Whoever asked before this machine had its ramdisk runs on another one.
  const others = asked.filter(({ at }) => at < fetchedAt).map(one => one.macs.join())
  const stranger = asked.findLast(one => !others.includes(one.macs.join()))
  if (!stranger) return undefined
  return {
    cause: 'unknown-mac-looked-up',
    summary: `An agent with the MAC addresses ${stranger.macs.join(', ')}, which no port has, looked for its node`,
    evidence: [`at ${clockTime(stranger.at)}; the node's ports have ${macs.join(', ')}`],
    actions: [
      'correct the address of the port, if that agent runs on this machine',
      'see that the ramdisk has a driver for the card of the port: it names those that it sees',
    ],
  }
}

/** It fetched everything more than once, although its power was switched on once. */
function rebooting({ hops }: BootRecord): Diagnosis | undefined {
  const starts = hops.filter(({ hop }) => hop === 'ramdisk')
  const [first, last] = [starts[0], starts.at(-1)]
  if (!first || !last || first === last) return undefined
  return {
    cause: 'reboot-loop',
    summary: `The machine fetched kernel and ramdisk ${starts.length} times since it was switched on: it reboots before its agent can call`,
    evidence: [`the ramdisk was fetched first at ${clockTime(first.at)} and last at ${clockTime(last.at)}`],
    actions: [
      'see the console: the kernel panics and reboots, a watchdog of the BMC strikes, or the firmware restarts',
    ],
  }
}

/** Nothing but its log came. */
function talking({ lastWords }: BootRecord, { apiUrl }: BootSetting): Diagnosis | undefined {
  if (lastWords.length === 0) return undefined
  const says = (words: RegExp) => lastWords.some(line => words.test(line))
  const told = says(/Kernel panic|kernel BUG at|BUG: unable to/)
    ? panicked
    : says(ofNetwork)
      ? silentAgent(apiUrl)
      : deadAgent
  return { ...told, evidence: [...lastWords] }
}

/** Whoever says so has tried to reach the API. */
const ofNetwork =
  /Cannot (reach|fetch)|\b(ECONN|EHOST|ENET|EAI_|ENOTFOUND|ETIMEDOUT)|look.?up|heartbeat|timed out|unreachable|resolv|certificate/i

const panicked: Diagnosis = {
  cause: 'kernel-panicked',
  summary: 'The ramdisk ran and sent its log, until its kernel panicked',
  evidence: [],
  actions: ["read the ramdisk's log and the console: a driver, or a part that is broken"],
}

const deadAgent: Diagnosis = {
  cause: 'agent-not-started',
  summary: 'The ramdisk runs and sends its log, but its agent never asked for its node',
  evidence: [],
  actions: [
    "read the ramdisk's log: the agent failed at its start, or what it waits for (a disk, its settings) does not come",
    'build the ramdisk anew, if what it says of itself cannot be: "ferrite ramdisk build --force"',
  ],
}

/** The ramdisk's own request for an address is no firmware's. */
function addressed(record: BootRecord, { apiUrl }: BootSetting): Diagnosis | undefined {
  const { hops } = record
  const from = hops.findLastIndex(({ hop }) => hop === 'ramdisk')
  const asked = hops.slice(from + 1).filter(({ hop, data }) => hop.startsWith('dhcp ') && !isFirmware(data.client))
  const last = asked.findLast(({ hop }) => hop === 'dhcp ack')
  if (last)
    return {
      ...silentAgent(apiUrl),
      evidence: [`the ramdisk took the address ${last.data.ip} at ${clockTime(last.at)}`],
    }
  if (asked.length === 0) return undefined
  const foreign = foreignServer(record)
  if (foreign) return foreign
  return {
    cause: 'ramdisk-without-address',
    summary: 'The ramdisk runs and asked for an address, but took none',
    evidence: [`asked first at ${clockTime(asked[0]?.at ?? '')}`],
    actions: ['see the DHCP log: the range is used up, or its answers do not reach the machine (VLAN, spanning tree)'],
  }
}

const silentAgent = (apiUrl: string): Diagnosis => ({
  cause: 'agent-silent',
  summary: `The ramdisk runs and has the network, but its agent never reached the API at ${apiUrl}`,
  evidence: [],
  actions: [
    'see that the machine reaches ipa-api-url of its kernel command line, as [ferrite] api_url or [service_catalog] endpoint_override says: routes, firewall, name resolution',
    'read the ramdisk log, or the console: the agent may have failed at its start',
  ],
})

const silentKernel: Diagnosis = {
  cause: 'kernel-silent',
  summary: 'The machine fetched kernel and ramdisk, but what it started never asked for an address',
  evidence: ['no DHCP request followed that is not of its firmware'],
  actions: [
    'see the console: the kernel panicked, is of another architecture or not signed (secure boot), or has too little memory',
    'see whether the ramdisk has a driver for this network card',
  ],
}

/** Somebody else's DHCP server knows more. */
const silentRamdisk = ({ apiUrl }: BootSetting): Diagnosis => ({
  cause: 'ramdisk-silent',
  summary: 'The machine fetched kernel and ramdisk, but its agent never looked the node up',
  evidence: ['DHCP is not run by Ferrite, so whether the ramdisk asked for an address is not seen here'],
  actions: [
    `see the console log: the kernel did not boot, the ramdisk got no address, or it cannot reach the API at ${apiUrl}`,
  ],
})
