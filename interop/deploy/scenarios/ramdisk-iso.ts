/** The instance is an ISO, which iPXE gives the firmware as a disk. */
import { join } from 'node:path'
import { bootLimitMs } from '../../../test/vm/world.ts'
import { forLightSystem, makeLightIso } from '../light-system.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'ramdisk-iso',
  title: 'ramdisk: boot_iso of instance_info by sanboot of iPXE',
  packages: forLightSystem,
  machine: { config: { DEFAULT: { enabled_deploy_interfaces: 'direct,ramdisk' } } },
  async run(world) {
    const { lab } = world
    const iso = await makeLightIso(join(lab.imageFolder, 'light'), 'iso-1')
    await world.makeAvailable()
    await lab.change('/deploy_interface', 'ramdisk')
    await lab.change('/instance_info', { boot_iso: `file://${iso}` })
    const began = performance.now()
    const from = await lab.serialSize()
    await lab.bring('active', 'active')
    await lab.says(/^iso-1 login: /m, from, bootLimitMs)
    world.notes.push(`login prompt after ${((performance.now() - began) / 1000).toFixed(0)} s`)
  },
} satisfies Scenario
