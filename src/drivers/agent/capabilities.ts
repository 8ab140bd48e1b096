/** Capabilities of node and instance that a deployment reads: is each of them a value that means something? */
import { InvalidInput } from '#lib/fault.ts'
import { capabilitiesOf } from '#protocol/capabilities.ts'
import type { NodeContext } from '../driver.ts'

const bootModes = ['bios', 'uefi']
const flags = ['true', 'false']

/** @throws InvalidInput naming the capability, its value and what is expected */
export function validateCapabilities(ctx: NodeContext): void {
  const { node } = ctx
  const found = { ...capabilitiesOf(node.properties.capabilities), ...capabilitiesOf(node.instance_info.capabilities) }
  const allowed: Record<string, string[]> = { boot_mode: bootModes, secure_boot: flags, disk_label: ['msdos', 'gpt'] }
  for (const [name, values] of Object.entries(allowed)) {
    const value = found[name]
    if (value === undefined || values.includes(value.toLowerCase())) continue
    throw new InvalidInput(`Capability ${name} of node ${node.uuid} is "${value}"; expected ${values.join(' or ')}`)
  }
}
