/**
 * Makes the VLAN interfaces that the options ask for, so that they are in the inventory: by name, or those that the switch
 * of a card announces. It gives them no addresses, and what is there already stays.
 *
 * Source: openstack/ironic-python-agent `netutils.py` (form of the option); IEEE 802.1Q, annex D (VLAN name TLV).
 */
import { existsSync } from 'node:fs'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { AgentContext } from '../context.ts'
import { collectLldp, type Tlvs } from './lldp.ts'
import { listNetworkInterfaces } from './network-interfaces.ts'

export interface Vlan {
  interface: string
  id: number
}

/** Failures are logged: the machine may well be reached by another way. */
export async function makeVlanInterfaces({ options, log }: AgentContext): Promise<void> {
  if (options.vlanInterfaces.length === 0) return
  const cards = await listNetworkInterfaces()
  const asksSwitch = options.vlanInterfaces.some(wish => !wish.includes('.'))
  const heard = asksSwitch && options.collectLldp ? await hear(cards.map(({ name }) => name)) : {}
  const { vlans, problems } = wantedVlans(options.vlanInterfaces, cards, heard)
  for (const problem of problems) log.warn(problem)
  for (const { interface: card, id } of vlans) {
    const name = `${card}.${id}`
    try {
      if (!existsSync(`/sys/class/net/${name}`)) {
        await run('ip', ['link', 'add', 'link', card, 'name', name, 'type', 'vlan', 'id', String(id)])
      }
      await run('ip', ['link', 'set', 'dev', name, 'up'])
      log.info(`The VLAN interface ${name} is up`)
    } catch (error) {
      log.warn(`Making the VLAN interface ${name}: ${messageOf(error)}`)
    }
  }

  async function hear(names: string[]): Promise<Record<string, Tlvs>> {
    const listening = { timeoutMs: options.lldpTimeoutMs, signal: new AbortController().signal }
    return await collectLldp(names, listening).catch(error => {
      log.warn(`VLANs of the switches are not known: ${messageOf(error)}`)
      return {}
    })
  }
}

/**
 * @param wishes `eno1.100`, `aa:bb:cc:dd:ee:ff.100`; `eno1` or `all` for what switches announce
 * @param heard by name of the card
 */
export function wantedVlans(
  wishes: readonly string[],
  cards: readonly { name: string; mac_address: string }[],
  heard: Record<string, Tlvs>,
): { vlans: Vlan[]; problems: string[] } {
  const vlans: Vlan[] = []
  const problems: string[] = []
  for (const wish of wishes) {
    const [, named = wish, number] = /^(.+)\.(\d+)$/.exec(wish) ?? []
    const chosen = cards.filter(
      ({ name, mac_address }) => named === 'all' || name === named || mac_address === named.toLowerCase(),
    )
    const id = Number(number)
    if (chosen.length === 0) problems.push(`ipa-enable-vlan-interfaces: no network card is ${named}`)
    else if (number === undefined) {
      for (const { name } of chosen) {
        for (const announced of announcedVlans(heard[name] ?? [])) vlans.push({ interface: name, id: announced })
      }
    } else if (id < 1 || id > 4094)
      problems.push(`ipa-enable-vlan-interfaces: ${number} is no VLAN, expected 1 to 4094`)
    else vlans.push({ interface: chosen[0]?.name ?? '', id })
  }
  return { vlans, problems }
}

/** Organisation specific entries of IEEE 802.1, of the kind "VLAN name". */
function announcedVlans(tlvs: Tlvs): number[] {
  return tlvs
    .filter(([type, value]) => type === 127 && value.startsWith('0080c203') && value.length >= 12)
    .map(([, value]) => Number.parseInt(value.slice(8, 12), 16))
}
