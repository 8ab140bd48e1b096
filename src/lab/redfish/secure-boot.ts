/** The switch of UEFI secure boot: what it shows, and how it is turned. It counts from the next power-on. */
import type { Hardware } from './hardware.ts'
import { RedfishError } from './messages.ts'
import { type Resource, resource, SYSTEM } from './resources.ts'

/** Source: DMTF DSP2046, SecureBoot. */
export function secureBoot(hardware: Hardware): Resource {
  const state = hardware.secureBoot?.() ?? { enabled: false, current: false }
  return resource(`${SYSTEM}/SecureBoot`, 'SecureBoot.v1_1_0.SecureBoot', 'UEFI secure boot', {
    SecureBootEnable: state.enabled,
    SecureBootCurrentBoot: state.current ? 'Enabled' : 'Disabled',
    SecureBootMode: hardware.secureBoot ? 'UserMode' : 'SetupMode',
  })
}

export function patchSecureBoot(hardware: Hardware, body: Readonly<Record<string, unknown>>): void {
  const { SecureBootEnable: enable, ...others } = body
  for (const [name, value] of Object.entries(others)) {
    throw new RedfishError(
      Object.hasOwn(secureBoot(hardware), name) ? 'PropertyNotWritable' : 'PropertyUnknown',
      name,
      `${value}`,
    )
  }
  if (typeof enable !== 'boolean') {
    throw new RedfishError('PropertyValueTypeError', JSON.stringify(enable ?? null), 'SecureBootEnable', 'a boolean')
  }
  if (!hardware.setSecureBoot) throw new RedfishError('PropertyNotWritable', 'SecureBootEnable')
  hardware.setSecureBoot(enable)
}
