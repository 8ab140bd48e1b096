/**
 * UEFI or BIOS: which one a node is to boot in, and seeing to it that its firmware does.
 * Source: boot facts, "Boot mode and secure boot" (ironic/drivers/modules/boot_mode_utils.py restated).
 */

import type { Node } from '#db/nodes.ts'
import { type NodeContext, Unsupported } from '#drivers/driver.ts'
import { Fault, InvalidInput } from '#lib/fault.ts'
import { capabilitiesOf } from '#protocol/capabilities.ts'
import { type BootMode, bootModes } from '#protocol/states.ts'

/**
 * The mode asked for by the instance, else by the node's capabilities; null when nobody asks for one.
 * @throws InvalidInput for a value that is no boot mode
 */
export function requestedBootMode(node: Pick<Node, 'instance_info' | 'properties' | 'uuid'>): BootMode | null {
  const places = [
    ['instance_info/capabilities', capabilitiesOf(node.instance_info.capabilities).boot_mode],
    ['instance_info/deploy_boot_mode', node.instance_info.deploy_boot_mode],
    ['properties/capabilities', capabilitiesOf(node.properties.capabilities).boot_mode],
  ] as const
  const found = places.find(([, value]) => value !== undefined && value !== null && value !== '')
  if (found === undefined) return null
  const mode = bootModes.find(each => each === String(found[1]).toLowerCase())
  if (mode) return mode
  throw new InvalidInput(
    `Cannot boot node ${node.uuid}: ${found[0]} asks for boot mode ${JSON.stringify(found[1])}; expected ${bootModes.join(' or ')}`,
  )
}

/**
 * The mode that a disk written for this node has to start by: as asked for, where secure boot asks for UEFI; else the one
 * that the firmware has; `[deploy] default_boot_mode` when the BMC cannot tell.
 */
export async function deployBootMode(ctx: NodeContext): Promise<BootMode> {
  const { instance_info, properties } = ctx.node
  if ([instance_info, properties].some(asksForSecureBoot)) return 'uefi'
  const present = async () =>
    ctx.interfaces.management.getBootMode(ctx).catch(error => {
      if (!(error instanceof Fault)) throw error
      ctx.log.info({}, `the boot mode is not known: ${error.message}`)
      return null
    })
  return requestedBootMode(ctx.node) ?? (await present()) ?? ctx.config.deploy.default_boot_mode
}

/**
 * Changes the firmware's boot mode when another one is asked for than it has. Where the management interface can neither
 * tell nor set it (IPMI cannot), the operator has seen to it.
 */
export async function syncBootMode(ctx: NodeContext): Promise<void> {
  const wanted = requestedBootMode(ctx.node)
  if (wanted === null) return
  const { management } = ctx.interfaces
  const present = await management.getBootMode(ctx)
  if (present === wanted) return
  await management.setBootMode(ctx, wanted).catch(error => {
    if (present !== null || !(error instanceof Unsupported)) throw error
    ctx.log.info({ wanted }, `the boot mode stays as it is: ${error.message}`)
  })
}

/**
 * Sees to it that the firmware starts nothing unsigned while the instance runs, where the instance asks for that, and puts
 * it back afterwards. It counts from the next boot on.
 * @throws Unsupported when it is asked for and cannot be had
 */
export async function putSecureBoot(ctx: NodeContext, enabled: boolean): Promise<void> {
  if (!asksForSecureBoot(ctx.node.instance_info)) return
  checkSecureBoot(ctx)
  await ctx.interfaces.management.setSecureBoot?.(ctx, enabled)
}

/** @throws Unsupported when the instance asks for secure boot and the management interface cannot set it */
export function checkSecureBoot({ node, interfaces }: NodeContext): void {
  if (!asksForSecureBoot(node.instance_info) || interfaces.management.setSecureBoot) return
  throw new Unsupported(
    `Cannot boot the instance of node ${node.uuid} with secure boot: instance_info/capabilities asks for it, and the management interface ${node.management_interface} cannot set it`,
  )
}

const asksForSecureBoot = ({ capabilities }: { capabilities?: unknown }) =>
  capabilitiesOf(capabilities).secure_boot?.toLowerCase() === 'true'
