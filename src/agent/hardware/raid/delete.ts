/**
 * Takes software RAID apart: stops arrays, removes what tells that disks were members, and the partitions that were made
 * for it. Arrays that the operator protects stay, and so does whatever they need on their disks; other arrays on the same
 * disks are only emptied.
 *
 * Source: openstack/ironic-python-agent `hardware.py` (what is kept); mdadm(8).
 */
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../../errors.ts'
import { openExclusively, partitionsOf, rereadPartitions } from '../device-use.ts'
import { wipeMetadata } from '../erase-metadata.ts'
import type { StepRun } from '../manager.ts'
import { protectedDevices, readSkipList } from '../skip-list.ts'
import { assembleArrays, diskOf, isMember, listArrays, type MdArray } from './md.ts'

const passes = 2

export type Fate = 'delete' | 'empty' | 'keep'

/** @throws AgentFault SoftwareRAIDError when an array is still there after two attempts */
export async function deleteRaid(context: StepRun): Promise<void> {
  const { agent, node, hardware } = context
  const disks = (await hardware.call('listBlockDevices')).filter(({ name }) => !/^\/dev\/md/.test(name))
  const visible = disks.map(({ name }) => name)
  const spared = await protectedDevices(node, disks)
  const { volumes } = readSkipList(node)
  let failures: string[] = []
  for (let pass = 1; pass <= passes; pass++) {
    await assembleArrays(agent.settings)
    // An array with a part elsewhere is not this agent's to take apart.
    const arrays = (await listArrays()).filter(array => array.disks.every(disk => visible.includes(disk)))
    const fates = fatesOf(arrays, { volumes, spared })
    failures = []
    const deleted: MdArray[] = []
    for (const array of arrays) {
      const fate = fates.get(array.device)
      agent.log.info(`Array ${array.device} (${array.name ?? 'without a name'}): ${fate}`)
      if (fate === 'empty') await run('wipefs', ['--force', '--all', array.device])
      if (fate === 'delete') {
        await remove(array).then(
          () => deleted.push(array),
          error => failures.push(messageOf(error)),
        )
      }
    }
    // Those that could not be stopped are kept for now, too.
    const kept = arrays.filter(array => !deleted.includes(array))
    for (const disk of visible.filter(name => !spared.has(name))) await forgetMembers(disk, { kept, deleted })
    if (failures.length === 0) return
  }
  throw new AgentFault('SoftwareRAIDError', `Deleting software RAID left some of it: ${failures.join('; ')}`)
}

/**
 * What becomes of each array, by device. Arrays that share a disk with a kept one lose their content only, for the disk's
 * partitions stay; the mirror of the EFI system partition, from which the kept one may be booted, keeps that too.
 */
export function fatesOf(
  arrays: readonly MdArray[],
  { volumes, spared }: { volumes: readonly string[]; spared: ReadonlySet<string> },
): Map<string, Fate> {
  const named = arrays.filter(({ name }) => name !== null && volumes.includes(name))
  const heldDisks = new Set(named.flatMap(({ disks }) => disks))
  // Disks that are protected by hints, and not because such an array is on them.
  const untouchable = new Set([...spared].filter(disk => !heldDisks.has(disk)))
  return new Map(
    arrays.map((array): [string, Fate] => {
      if (named.includes(array) || array.disks.some(disk => untouchable.has(disk))) return [array.device, 'keep']
      if (!array.disks.some(disk => heldDisks.has(disk))) return [array.device, 'delete']
      return [array.device, array.name === 'esp' ? 'keep' : 'empty']
    }),
  )
}

async function remove({ device, members }: MdArray): Promise<void> {
  try {
    // Fails while something of it is in use; its signatures go with its members otherwise.
    await run('mdadm', ['--stop', device])
    for (const member of members) await run('mdadm', ['--zero-superblock', member])
  } catch (error) {
    throw new AgentFault('SoftwareRAIDError', `${device} of ${members.join(', ')}: ${messageOf(error)}`)
  }
}

/** Traces of arrays on a disk that no kept array is on, running or not; and the partitions that were theirs. */
async function forgetMembers(
  disk: string,
  { kept, deleted }: { kept: readonly MdArray[]; deleted: readonly MdArray[] },
): Promise<void> {
  if (kept.some(({ disks }) => disks.includes(disk))) return
  let wasMember = deleted.some(({ disks }) => disks.includes(disk))
  // Partitions first: a superblock at the end of the last one looks like the disk's own.
  for (const device of [...(await partitionsOf(disk)).reverse(), disk]) {
    if (!(await isMember(device))) continue
    wasMember = true
    await (await openExclusively(device)).close()
    await run('mdadm', ['--zero-superblock', device])
  }
  if (!wasMember) return
  await wipeMetadata(await diskOf(disk))
  await rereadPartitions(disk)
}
