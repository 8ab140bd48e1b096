/** Servers with a BMC that speaks Redfish. */
import { ansibleDriverInfo } from '../ansible/driver-info.ts'
import type { HardwareType } from '../driver.ts'
import { generic } from '../generic/interfaces.ts'
import { redfishDriverInfo } from './driver-info.ts'

export default {
  name: 'redfish',
  driverInfo: { ...redfishDriverInfo, ...ansibleDriverInfo },
  interfaces: {
    ...generic,
    inspect: { redfish: () => import('./inspect.ts'), ...generic.inspect },
    management: { redfish: () => import('./management.ts'), ...generic.management },
    power: { redfish: () => import('./power.ts') },
  },
} satisfies HardwareType
