/**
 * The hardware types that this version has, by name. A type is loaded when a configuration enables it.
 * To add one, write its folder (redfish/ is the example to follow) and a line here.
 */
import type { HardwareType } from './driver.ts'

export const knownHardwareTypes: Readonly<Record<string, () => Promise<{ default: HardwareType }>>> = {
  redfish: () => import('./redfish/index.ts'),
  ipmi: () => import('./ipmi/index.ts'),
  snmp: () => import('./snmp/index.ts'),
  'manual-management': () => import('./manual-management/index.ts'),
  'fake-hardware': () => import('./fake/index.ts'),
}
