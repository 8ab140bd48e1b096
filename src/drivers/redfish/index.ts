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
    bios: { redfish: () => import('./bios.ts'), ...generic.bios },
    boot: {
      ...generic.boot,
      'redfish-virtual-media': () => import('./virtual-media.ts'),
      'redfish-https': () => import('./https-boot.ts'),
    },
    firmware: { redfish: () => import('./firmware.ts'), ...generic.firmware },
    inspect: { redfish: () => import('./inspect.ts'), ...generic.inspect },
    management: { redfish: () => import('./management.ts'), ...generic.management },
    power: { redfish: () => import('./power.ts') },
    raid: { redfish: () => import('./raid.ts'), ...generic.raid },
    vendor: { redfish: () => import('./vendor.ts'), ...generic.vendor },
  },
} satisfies HardwareType
