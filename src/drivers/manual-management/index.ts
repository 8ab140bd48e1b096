/**
 * Machines without a BMC, or with one that nobody has the password of: somebody switches them on once, the agent that
 * then runs on them does the rest, as long as one flow goes on with the ramdisk of the one before (fast track).
 *
 * Source: drivers, "Hardware types" and "Agent power" (ironic/drivers/generic.py restated).
 */
import { ansibleDriverInfo } from '../ansible/driver-info.ts'
import type { HardwareType } from '../driver.ts'
import { generic } from '../generic/interfaces.ts'

export default {
  name: 'manual-management',
  driverInfo: ansibleDriverInfo,
  interfaces: {
    ...generic,
    deploy: { ...generic.deploy, noop: () => import('../generic/noop-deploy.ts') },
    management: { ...generic.management, fake: () => import('../fake/management.ts') },
    power: { agent: () => import('../agent/agent-power.ts'), fake: () => import('../fake/power.ts') },
  },
} satisfies HardwareType
