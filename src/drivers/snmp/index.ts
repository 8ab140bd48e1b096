/**
 * Machines whose power is an outlet of a PDU that speaks SNMP. Nothing else of them can be reached, so their boot order
 * is set by hand: network first, then the disk.
 *
 * Source: drivers, "Removed or legacy hardware types" (ironic/drivers/snmp.py restated). Ironic had it until 35.
 */
import { ansibleDriverInfo } from '../ansible/driver-info.ts'
import type { HardwareType } from '../driver.ts'
import { generic } from '../generic/interfaces.ts'
import { snmpDriverInfo } from './driver-info.ts'

export default {
  name: 'snmp',
  driverInfo: { ...snmpDriverInfo, ...ansibleDriverInfo },
  interfaces: {
    ...generic,
    management: { ...generic.management, fake: () => import('../fake/management.ts') },
    power: { snmp: () => import('./power.ts') },
  },
} satisfies HardwareType
