/**
 * Capabilities of a node or an instance, as both sides read them. Pure.
 * Source: ironic/drivers/utils.py, ironic-python-agent `utils.py`.
 */

/** By name. Capabilities are an object, or text like `boot_mode:uefi,secure_boot:true`; anything else has none. */
export function capabilitiesOf(value: unknown): Record<string, string> {
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
