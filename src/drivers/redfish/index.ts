/** Servers with a BMC that speaks Redfish. */
import { ansibleDriverInfo } from '../ansible/driver-info.ts'
import type { HardwareType } from '../driver.ts'
import { generic } from '../generic/interfaces.ts'
import { ipmiDriverInfo } from '../ipmi/driver-info.ts'
import { redfishDriverInfo } from './driver-info.ts'

/** Serial consoles by IPMI ask for it, and nothing else does. */
const ipmi_address = { description: 'Address of the BMC for the console ipmitool-socat, which needs it.' }

export default {
  name: 'redfish',
  driverInfo: { ...redfishDriverInfo, ...ipmiDriverInfo, ipmi_address, ...ansibleDriverInfo },
  interfaces: {
    ...generic,
    bios: { redfish: () => import('./bios.ts'), ...generic.bios },
    boot: {
      ...generic.boot,
      'redfish-virtual-media': () => import('./virtual-media.ts'),
      'redfish-https': () => import('./https-boot.ts'),
    },
    console: {
      'redfish-graphical': () => import('./graphical-console.ts'),
      'ipmitool-socat': () => import('../ipmi/console.ts'),
      'redfish-serial': () => import('./serial-console.ts'),
      ...generic.console,
    },
    firmware: { redfish: () => import('./firmware.ts'), ...generic.firmware },
    inspect: { redfish: () => import('./inspect.ts'), ...generic.inspect },
    management: { redfish: () => import('./management.ts'), ...generic.management },
    power: { redfish: () => import('./power.ts') },
    raid: { redfish: () => import('./raid.ts'), ...generic.raid },
    vendor: { redfish: () => import('./vendor.ts'), ...generic.vendor },
  },
} satisfies HardwareType
