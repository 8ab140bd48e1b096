/**
 * Root device hints as the conductor sees them: are they such that an agent could read them? Which disk they mean only
 * the agent knows.
 *
 * Source: openstack/ironic device hints (parse_root_device_hints of the device hints, restated).
 */
import { InvalidInput } from '#lib/fault.ts'
import type { NodeContext } from '../driver.ts'

const texts = [
  'by_path',
  'hctl',
  'model',
  'name',
  'serial',
  'vendor',
  'wwn',
  'wwn_vendor_extension',
  'wwn_with_extension',
]
const known = [...texts, 'rotational', 'size'].sort()

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
  for (const [name, value] of Object.entries(hints)) {
    const expected = problemWith(name, value)
    if (expected)
      throw new InvalidInput(`${cannot}: ${where} has ${name} ${JSON.stringify(value)}; expected ${expected}`)
  }
}

/** What would be right instead; undefined when it is right. */
function problemWith(name: string, value: unknown): string | undefined {
  if (!known.includes(name)) return `one of the hints ${known.join(', ')}`
  // An operator and its values are read by the agent.
  const operator = typeof value === 'string' && /^\s*(<|>|=|!=|s[!=<>]|<in>|<or>|<all-in>|<range-in>)/.test(value)
  if (name === 'size' && !operator && !(Number.isInteger(Number(value)) && Number(value) > 0)) {
    return 'a positive number of GiB, or an operator and a number'
  }
  if (name === 'rotational' && !/^(true|false|yes|no|on|off|[01tfyn])$/i.test(String(value))) return 'true or false'
  if (texts.includes(name) && (typeof value !== 'string' || value === '')) return 'a text'
  return undefined
}
