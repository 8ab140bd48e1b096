/** A disk that the machine reaches by two paths: it is one disk to the agent, which writes and registers it as such. */
import assert from 'node:assert/strict'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'multipath',
  title: 'inspected, metadata erased and deployed, whole disk with config drive, UEFI, to a disk of two paths',
  packages: [],
  machine: {
    machine: { disks: [{ bus: 'scsi', paths: 2, sizeGib: 5 }] },
    config: { DEFAULT: { default_inspect_interface: 'agent' } },
  },
  async run(world) {
    const { lab } = world
    await world.makeManageable()
    await lab.bring('inspect', 'manageable')
    const { inventory } = await lab.service.api.get(`/v1/nodes/${lab.uuid}/inventory`)
    const { disks } = inventory as { disks: { name: string; wwn: string | null }[] } // as the agent tells it
    assert.deepEqual(
      disks.map(({ name, wwn }) => [/^\/dev\/dm-\d+$/.test(name), wwn]),
      [[true, lab.machine.disks[0]?.wwn]],
    )
    world.notes.push(`the inventory has ${disks[0]?.name} alone`)
    await lab.bring('provide', 'available')
    const image = world.imageAt(`file://${world.image.raw}`)
    await world.deploy(image, { hostname: 'multipath' })
    await lab.ask('deleted')
    await lab.reached('available')
    await lab.bring('manage', 'manageable')
    await lab.ask('clean', { clean_steps: [{ interface: 'deploy', step: 'erase_devices_metadata' }] })
    assert.equal((await lab.reached('manageable')).last_error, null)
    world.notes.push('metadata erased with partitions on it')
  },
} satisfies Scenario
