/**
 * Whether a deployed machine came up: its instance was to boot from its disk, and its firmware asked for a boot from the
 * network instead. Nobody can look into an instance; what its firmware asks for is seen.
 */
import { clockTime, isFirmware } from '#boot/diagnosis/words.ts'
import type { Node } from '#db/nodes.ts'
import { bootRecord, lastPowerOn } from '#db/sightings.ts'
import type { Explanation } from '#protocol/why.ts'
import { actionsOf } from './actions.ts'
import type { WhyWorld } from './explain.ts'

type Reason = Omit<Explanation, 'node_uuid' | 'provision_state'>

export async function ofInstance({ db, context }: WhyWorld, node: Node): Promise<Reason | undefined> {
  if (node.provision_state !== 'active' || node.power_state !== 'power on') return undefined
  const since = await lastPowerOn(db, node.uuid)
  if (since === null) return undefined
  const { hops } = await bootRecord(db, node.uuid, since)
  const asked = hops.filter(({ hop }) => hop.startsWith('dhcp '))
  const last = asked.findLast(({ data }) => isFirmware(data.client))
  // A system that asked afterwards has booted, be it after a detour.
  if (!last || asked.some(({ at, data }) => at > last.at && !isFirmware(data.client))) return undefined
  const ctx = await context(node)
  if (await ctx.interfaces.boot.servesInstance?.(ctx)) return undefined
  const cause = 'instance-not-booted'
  return {
    verdict: 'failed',
    cause,
    summary:
      'The node is deployed, but its firmware asked for a boot from the network, and no system was heard of since',
    evidence: [
      `at ${clockTime(last.at)} its firmware asked for an address, as "${last.data.client}"`,
      `switched on at ${clockTime(since)}`,
    ],
    actions: [...(actionsOf[cause] ?? [])],
  }
}
