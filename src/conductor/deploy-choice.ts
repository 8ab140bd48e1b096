/**
 * Which deploy interface a deployment uses where the node leaves the choice open (`autodetect`): the first of
 * [DEFAULT] autodetect_deploy_interfaces that fits what instance_info asks for, else the last. The node has the chosen
 * one until its instance is gone and it is clean.
 *
 * Source: ironic/drivers/modules/autodetect.py (restated). Beyond Ironic: a deployment that is made again is chosen for
 * again, because another image may be why.
 */
import type { Node, NodePatch } from '#db/nodes.ts'
import type { NodeContext } from '#drivers/driver.ts'
import type { Registry } from '#drivers/registry.ts'

/** Of flows by these verbs the image may be another one than before. */
const choosing: readonly string[] = ['deploy', 'adopt']

/** The node as its deployment is to see it; the same object where nothing is chosen. @param kind of the flow */
export async function withChosenDeploy(ctx: NodeContext, registry: Registry, kind: string): Promise<Node> {
  const node = ownDeploy(ctx.node)
  if (!choosing.includes(kind) || !registry.interface(node, 'deploy').choosesAnother) return ctx.node
  const names = ctx.config.DEFAULT.autodetect_deploy_interfaces
  for (const name of names) {
    const candidate = { ...node, deploy_interface: name }
    if (await registry.interface(candidate, 'deploy').supportsDeploy?.(ctx)) return candidate
  }
  const last = names.at(-1) ?? node.deploy_interface
  ctx.log.warn({ candidates: names }, `no deploy interface says that it fits the image, so ${last} has to`)
  return { ...node, deploy_interface: last }
}

/** Fields that the start of a flow writes, for a node as withChosenDeploy() gave it. */
export function chosenPatch(now: Node, chosen: Node): NodePatch {
  if (chosen.deploy_interface === now.deploy_interface) return {}
  const { deploy_interface } = ownDeploy(now)
  const driver_internal_info = { ...now.driver_internal_info, original_deploy_interface: deploy_interface }
  return { deploy_interface: chosen.deploy_interface, driver_internal_info }
}

/** Fields that give a node without an instance its own deploy interface back. */
export function ownDeployPatch(node: Node): NodePatch {
  if (node.driver_internal_info.original_deploy_interface === undefined) return {}
  const { deploy_interface, driver_internal_info } = ownDeploy(node)
  return { deploy_interface, driver_internal_info }
}

/** The node without a choice. */
function ownDeploy(node: Node): Node {
  const { original_deploy_interface: own, ...driver_internal_info } = node.driver_internal_info
  return typeof own === 'string' ? { ...node, deploy_interface: own, driver_internal_info } : node
}
