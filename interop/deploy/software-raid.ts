/**
 * For scenarios of software RAID: the real mdadm of the ramdisk builds a mirror of a machine's two disks, an image is
 * deployed to it, and the system starts again when one of the disks is new.
 */
import assert from 'node:assert/strict'
import { copyFile, truncate } from 'node:fs/promises'
import { bootLimitMs } from '../../test/vm/world.ts'
import type { DeployWorld } from './world.ts'

const root = { raid_level: '1', size_gb: 'MAX', controller: 'software', volume_name: 'root', is_root_volume: true }

/** Enrols the machine and has the mirror built. @param bootMode what room is left for in front of it */
export async function buildMirror(world: DeployWorld, bootMode: 'bios' | 'uefi'): Promise<void> {
  const { lab } = world
  await world.makeManageable()
  await lab.change('/properties/capabilities', `boot_mode:${bootMode}`)
  await lab.change('/raid_interface', 'agent')
  await lab.service.api.put(`/v1/nodes/${lab.uuid}/states/raid`, { logical_disks: [root] })
  const steps = ['delete_configuration', 'create_configuration'].map(step => ({ interface: 'raid', step }))
  await lab.ask('clean', { clean_steps: steps })
  const node = await lab.reached('manageable', 2 * bootLimitMs)
  assert.equal(node.last_error, null)
  await lab.bring('provide', 'available')
}

/**
 * The first disk of the machine is exchanged for an empty one, and the system starts from what the other has.
 * @param isMoved whether the one that is left takes the place of the first: a BIOS tries that alone
 */
export async function startWithOneDisk(
  world: DeployWorld,
  { hostname, isMoved }: { hostname: string; isMoved: boolean },
): Promise<void> {
  const { lab } = world
  const power = (target: string) => lab.service.api.put(`/v1/nodes/${lab.uuid}/states/power`, { target })
  await power('power off')
  await lab.seen('the machine off', (node, machine) => node.power_state === 'power off' && machine.power === 'Off')
  const [first = '', second = ''] = lab.machine.disks.map(({ file }) => file)
  if (isMoved) await copyFile(second, first)
  const gone = isMoved ? second : first
  const [sizeBytes] = lab.machine.disks.map(disk => disk.size_bytes)
  await truncate(gone, 0)
  await truncate(gone, sizeBytes ?? 0)
  const from = await lab.serialSize()
  const began = performance.now()
  await power('power on')
  await lab.says(new RegExp(`^${hostname} login: `, 'm'), from, 2 * bootLimitMs)
  world.notes.push(`login prompt ${((performance.now() - began) / 1000).toFixed(0)} s after start with one disk`)
}
