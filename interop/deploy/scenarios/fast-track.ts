/** Inspection, cleaning and deployment of a machine that is switched on once and rebooted once, into its instance. */
import assert from 'node:assert/strict'
import type { Scenario } from '../scenario.ts'
import type { DeployWorld } from '../world.ts'

export default {
  name: 'fast-track',
  title: 'fast track: inspect, clean, deploy with one power-on and one reboot, as the BMC counts them',
  packages: [],
  machine: { config: { deploy: { fast_track: 'true' }, inspector: { power_off: 'false' } } },
  async run(world) {
    const { lab } = world
    await lab.enrol()
    await lab.bring('manage', 'manageable')
    await lab.service.api.create('/v1/ports', { node_uuid: lab.uuid, address: lab.machine.nics[0]?.mac })
    const began = performance.now()
    await lab.bring('inspect', 'manageable')
    await counted(world, 'after inspection', { power_ons: 1, forced_offs: 0, guest_offs: 0 })
    await lab.bring('provide', 'available')
    await counted(world, 'after cleaning', { power_ons: 1, forced_offs: 0, guest_offs: 0 })
    await world.deploy(world.imageAt(`file://${world.image.raw}`), { hostname: 'fast-1' })
    // The reboot: the agent switches the machine off, the BMC switches it on.
    await counted(world, 'after deployment', { power_ons: 2, forced_offs: 0, guest_offs: 1 })
    world.notes.push(`inspected, cleaned and deployed in ${((performance.now() - began) / 1000).toFixed(0)} s`)
    world.notes.push('power-ons 2 (one of them of the reboot), resets 0, forced power-offs 0')
  },
} satisfies Scenario

async function counted({ lab }: DeployWorld, when: string, wanted: Record<string, number>): Promise<void> {
  const { counters } = await lab.status()
  const { power_ons, forced_offs, guest_offs, resets } = counters
  assert.deepEqual({ power_ons, forced_offs, guest_offs, resets }, { ...wanted, resets: 0 }, when)
}
