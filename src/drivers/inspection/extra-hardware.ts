/**
 * Hook extra-hardware: the lists that hardware-detect made become objects in plugin_data.extra, where rules can find
 * their values.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/extra_hardware.py (behaviour restated).
 */
import type { Hook, Plain } from './hook.ts'

export const extraHardware: Hook = {
  run({ ctx, pluginData }) {
    const { log, node, config } = ctx
    const strict = config.inspector.extra_hardware_strict
    if (!('data' in pluginData)) return
    const { data } = pluginData
    const isValid = Array.isArray(data) && data.every(one => Array.isArray(one) && (!strict || one.length === 4))
    if (!isValid) {
      log.warn({ node: node.uuid }, 'the extra hardware data has no form that is known, and rules will not find it')
      if (strict) delete pluginData.data
      return
    }
    pluginData.extra = converted(data as unknown[][]) // lists, as just asked
    delete pluginData.data
  },
}

/** Of `[device, name, key, value]`; what has another form is left out. */
function converted(items: readonly (readonly unknown[])[]): Plain {
  const extra: Plain = {}
  for (const [device, name, key, value] of items) {
    if (typeof device !== 'string' || typeof name !== 'string' || typeof key !== 'string') continue
    if ([device, name, key].includes('__proto__') || value === undefined) continue
    const inDevice = (Object.hasOwn(extra, device) ? extra[device] : {}) as Record<string, Plain> // as made here
    const inName = Object.hasOwn(inDevice, name) ? (inDevice[name] ?? {}) : {}
    extra[device] = { ...inDevice, [name]: { ...inName, [key]: whole(value) } }
  }
  return extra
}

/** A text of digits is a number. */
function whole(value: unknown): unknown {
  if (typeof value === 'number') return Math.trunc(value)
  return typeof value === 'string' && /^\s*[-+]?\d{1,15}\s*$/.test(value) ? Number(value) : value
}
