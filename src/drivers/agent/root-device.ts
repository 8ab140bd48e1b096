/**
 * Root device hints as the conductor sees them: are they such that an agent could read them? Which disk they mean only
 * the agent knows.
 *
 * Source: openstack/ironic device hints (parse_root_device_hints of the device hints, restated).
 */
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { readRootDeviceHints } from '#protocol/root-device-hints.ts'
import type { NodeContext } from '../driver.ts'

/** The instance's hints count before the node's. @throws InvalidInput naming the hint and what is expected */
export function validateRootDevice({ node }: Pick<NodeContext, 'node'>): void {
  const [where, hints] =
    node.instance_info.root_device === undefined
      ? ['properties/root_device', node.properties.root_device]
      : ['instance_info/root_device', node.instance_info.root_device]
  if (hints === undefined || hints === null) return
  const cannot = `Cannot choose a root disk for node ${node.uuid}`
  if (typeof hints !== 'object' || Array.isArray(hints)) {
    throw new InvalidInput(`${cannot}: ${where} is ${JSON.stringify(hints)}, expected an object of hints`)
  }
  try {
    readRootDeviceHints(hints as Record<string, unknown>) // an object, as was asked above
  } catch (error) {
    throw new InvalidInput(`${cannot} by ${where}: ${messageOf(error)}`, { cause: error })
  }
}
