/** Servers with a BMC that speaks Redfish. */
import type { HardwareType } from '../driver.ts'
import { generic } from '../generic/interfaces.ts'
import { redfishDriverInfo } from './driver-info.ts'

export default {
  name: 'redfish',
  driverInfo: redfishDriverInfo,
  interfaces: {
    ...generic,
    management: { redfish: () => import('./management.ts'), ...generic.management },
    power: { redfish: () => import('./power.ts') },
  },
} satisfies HardwareType
