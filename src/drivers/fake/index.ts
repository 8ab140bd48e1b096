/**
 * Hardware that is not there: for trying the service out, for tests, and for the simulation. Any enabled implementation
 * fits it, so that a real deploy interface can run over fake power.
 */
import type { HardwareType } from '../driver.ts'
import { generic } from '../generic/interfaces.ts'

const plain = <const N extends 'bios' | 'console' | 'firmware' | 'raid' | 'storage' | 'vendor'>(name: N) => ({
  fake: async () => ({ default: (await import('./plain.ts')).plain[name] }),
})

export default {
  name: 'fake-hardware',
  driverInfo: {},
  anyInterface: true,
  interfaces: {
    bios: { ...plain('bios'), ...generic.bios },
    boot: { fake: () => import('./boot.ts'), ...generic.boot },
    console: { ...plain('console'), ...generic.console },
    deploy: { fake: () => import('./deploy.ts'), ...generic.deploy },
    firmware: { ...plain('firmware'), ...generic.firmware },
    inspect: { fake: () => import('./inspect.ts'), ...generic.inspect },
    management: { fake: () => import('./management.ts'), ...generic.management },
    network: generic.network,
    power: { fake: () => import('./power.ts') },
    raid: { ...plain('raid'), ...generic.raid },
    rescue: { fake: () => import('./rescue.ts'), ...generic.rescue },
    storage: { ...plain('storage'), ...generic.storage },
    vendor: { ...plain('vendor'), ...generic.vendor },
  },
} satisfies HardwareType
