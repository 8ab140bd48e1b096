/**
 * Attaches VIFs to a node and takes them off: writes which port or port group has one into its `internal_info`, where
 * network interfaces find it. Where traits decide, it makes the port groups that their rules ask for, and takes them apart
 * when the VIF goes.
 *
 * Source: networking reference, "VIFs"; ironic/drivers/modules/network/common.py (port groups that come and go, restated).
 */
import { randomUUID } from 'node:crypto'
import type { Trx } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { portgroupTable } from '#db/portgroups.ts'
import { updatePort } from '#db/ports.ts'
import { type Place, placesOf, takeVif, writeInfo } from '#db/vifs.ts'
import { Conflict, Fault, InvalidInput } from '#lib/fault.ts'
import type { Fresh } from '#lib/fresh.ts'
import { timestamp } from '#protocol/field.ts'
import { vifOf } from '#protocol/port.ts'
import { portgroupFields } from '#protocol/portgroup.ts'
import type { Call, ServerConfig } from '../endpoint.ts'
import { type NetworkRules, openNetworkRules } from './network-rules.ts'
import { checkUnattached, placeFor, type WantedVif } from './places.ts'
import { type Attachment, planByTraits } from './trait-plan.ts'

type World = Pick<Call, 'db' | 'clock' | 'config' | 'log' | 'conductor'>

/**
 * What the node's network says no to is not attached.
 * @throws InvalidInput where it has no place; Conflict where it has one already; NetworkRulesWrong
 */
export async function attachVif(world: World, node: Node, vif: WantedVif): Promise<void> {
  const network = await world.conductor.networkOfVif(node, vif.id)
  // What the caller tells of the network goes before what is found.
  const known = {
    ...vif,
    ...(network && { ...network, name: vif.name ?? network.name, tags: vif.tags ?? network.tags }),
  }
  if (!(await giveVif(world, node, known))) return
  try {
    await world.conductor.vifAttached(node, vif.id)
  } catch (error) {
    await takeVif(world.db, await placesOf(world.db, node.uuid), { id: vif.id, nowMs: world.clock.now() })
    throw error
  }
}

/** Whether it has a place now. */
async function giveVif(world: World, node: Node, vif: WantedVif): Promise<boolean> {
  const places = await placesOf(world.db, node.uuid)
  checkUnattached(node, places, vif)
  const attachments = await attachmentsFor(world, { node, places, vif })
  for (let attempt = 1; attachments.length > 0; attempt += 1) {
    try {
      await world.db.transaction().execute(async trx => {
        for (const attachment of attachments) await write(world, trx, { node, vif, attachment })
      })
      return true
    } catch (error) {
      // Another group may have the name that chance gave this one.
      if (!(error instanceof Conflict) || attempt >= 3) throw error
    }
  }
  return false
}

/** @throws InvalidInput where none of the node's ports has it */
export async function detachVif(world: World, node: Node, id: string): Promise<void> {
  const places = await placesOf(world.db, node.uuid)
  if (!places.some(({ of }) => vifOf(of) === id)) {
    const shown = JSON.stringify(id.slice(0, 80))
    throw new InvalidInput(`Cannot detach VIF ${shown} from node ${node.uuid}: none of its ports has it`)
  }
  // First, so that it is done again by who asks again.
  await world.conductor.vifDetached(node, id)
  await takeVif(world.db, places, { id, nowMs: world.clock.now() })
}

/** Empty where nothing fits and that is to be no fault. @throws as attachVif() */
async function attachmentsFor(
  world: World,
  given: { node: Node; places: readonly Place[]; vif: WantedVif },
): Promise<readonly Attachment[]> {
  const { node, places, vif } = given
  const { conductor } = world.config
  const isPlaced = vif.port_uuid !== undefined || vif.portgroup_uuid !== undefined
  // Who names a port has decided.
  if (!conductor.enable_trait_based_networking || isPlaced)
    return [{ kind: 'place', place: placeFor(node, places, vif) }]
  const rules = await rulesOf(world)
  const plan = planByTraits({ ...given, rules }, { usesDefault: conductor.trait_based_networking_enable_default_trait })
  if (plan.kind === 'attach') {
    world.log.info({ node: node.uuid }, `VIF ${vif.id} is attached by the rule of ${plan.trait}`)
    return plan.attachments
  }
  const message = `Cannot attach VIF ${vif.id} to node ${node.uuid}: ${plan.found}`
  if (conductor.trait_based_networking_raise_when_no_match) throw new InvalidInput(message)
  world.log.warn({ node: node.uuid }, message)
  return []
}

/** One reader of the file for each service. */
const readers = new WeakMap<ServerConfig, Promise<Fresh<NetworkRules>>>()

/** Says what is wrong with the file when the service starts, before somebody's VIF is refused for it. */
export async function checkNetworkRules(world: Pick<World, 'config' | 'log'>): Promise<void> {
  if (!world.config.conductor.enable_trait_based_networking) return
  try {
    await rulesOf(world)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    world.log.error({}, `${error.message}; VIFs are refused until that is mended`)
  }
}

async function rulesOf({ config, log }: Pick<World, 'config' | 'log'>): Promise<NetworkRules> {
  const opening = readers.get(config) ?? openNetworkRules(config.conductor.trait_based_networking_config_file, log)
  readers.set(config, opening)
  try {
    return await (await opening).read()
  } catch (error) {
    // The next one looks again.
    readers.delete(config)
    throw error
  }
}

async function write(
  world: World,
  trx: Trx,
  { node, vif, attachment }: { node: Node; vif: WantedVif; attachment: Attachment },
): Promise<void> {
  if (attachment.kind === 'place') {
    const { place } = attachment
    const internal_info = { ...place.of.internal_info, tenant_vif_port_id: vif.id }
    await writeInfo(trx, place, { internal_info, nowMs: world.clock.now() })
    return
  }
  const { ports } = attachment
  const uuid = randomUUID()
  const initial = Object.entries(portgroupFields).flatMap(([name, field]) =>
    'initial' in field ? [[name, structuredClone(field.initial)]] : [],
  )
  await portgroupTable.insert(trx, {
    ...Object.fromEntries(initial),
    uuid,
    name: `tbn_dyn_portgroup_${randomUUID().slice(0, 8)}`,
    node_uuid: node.uuid,
    dynamic_portgroup: true,
    mode: world.config.DEFAULT.default_portgroup_mode,
    physical_network: ports[0]?.physical_network ?? null,
    internal_info: { tenant_vif_port_id: vif.id },
    created_at: timestamp(world.clock.now()),
  })
  for (const port of ports) await updatePort(trx, port.uuid, { portgroup_uuid: uuid }, world.clock.now())
}
