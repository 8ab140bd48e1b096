/**
 * Servers with a BMC that speaks IPMI over a LAN. The names of the interfaces are Ironic's, whose driver runs ipmitool;
 * this one speaks the protocol itself.
 */
import { ansibleDriverInfo } from '../ansible/driver-info.ts'
import type { HardwareType } from '../driver.ts'
import { generic } from '../generic/interfaces.ts'
import { ipmiDriverInfo } from './driver-info.ts'

export default {
  name: 'ipmi',
  driverInfo: { ...ipmiDriverInfo, ...ansibleDriverInfo },
  interfaces: {
    ...generic,
    console: { 'ipmitool-socat': () => import('./console.ts'), ...generic.console },
    management: { ipmitool: () => import('./management.ts'), ...generic.management },
    power: { ipmitool: () => import('./power.ts') },
    vendor: { ipmitool: () => import('./vendor.ts'), ...generic.vendor },
  },
} satisfies HardwareType
