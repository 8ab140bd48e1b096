/** The instance is a kernel and a ramdisk: nothing is written, and each boot fetches them anew. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { bootLimitMs } from '../../../test/vm/world.ts'
import { forLightSystem, hostnameWord, makeLightSystem } from '../light-system.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'ramdisk',
  title: 'ramdisk: kernel and ramdisk of instance_info over iPXE, rebooted with the service away, undeployed',
  packages: forLightSystem,
  machine: { config: { DEFAULT: { enabled_deploy_interfaces: 'direct,ramdisk' } } },
  async run(world) {
    const { lab } = world
    const { kernel, ramdisk } = await makeLightSystem(join(lab.imageFolder, 'light'))
    await world.makeAvailable()
    await lab.change('/deploy_interface', 'ramdisk')
    const files = { kernel: `file://${kernel}`, ramdisk: `file://${ramdisk}` }
    await lab.change('/instance_info', { ...files, ramdisk_kernel_arguments: hostnameWord('lamp-1') })
    const began = performance.now()
    let from = await lab.serialSize()
    await lab.bring('active', 'active')
    await lab.says(/^lamp-1 login: /m, from, bootLimitMs)
    world.notes.push(`login prompt after ${((performance.now() - began) / 1000).toFixed(0)} s`)
    assert.equal((await lab.status()).counters.power_ons, 1)

    // A service of a new life serves it as before.
    await lab.startService()
    from = await lab.serialSize()
    await lab.service.api.put(`/v1/nodes/${lab.uuid}/states/power`, { target: 'rebooting' })
    await lab.says(/^lamp-1 login: /m, from, bootLimitMs)
    await lab.seen('the end of the reboot', node => node.reservation === null && node.target_power_state === null)
    world.notes.push('again after a reboot by a service started anew')
    await lab.bring('deleted', 'available')
    assert.equal((await lab.status()).power, 'Off')
  },
} satisfies Scenario
