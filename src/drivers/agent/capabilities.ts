/** Capabilities of node and instance that a deployment reads: is each of them a value that means something? */
import { InvalidInput } from '#lib/fault.ts'
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

/** Capabilities are an object, or text like `boot_mode:uefi,secure_boot:true`. */
function capabilitiesOf(value: unknown): Record<string, string> {
  if (typeof value === 'string') {
    return Object.fromEntries(
      value
        .split(',')
        .filter(Boolean)
        .map(pair => {
          const at = pair.indexOf(':')
          return at < 0 ? [pair.trim(), ''] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
        }),
    )
  }
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, String(inner)]))
}
