/**
 * Builds software RAID: partitions the disks, leaving room for the boot loader in front, and makes an array of each row of
 * partitions. It takes empty disks alone; what is on others is deleted by delete.ts or by erasing.
 *
 * Source: openstack/ironic-python-agent `hardware.py`, `raid_utils.py` (layout, names); mdadm(8), sfdisk(8).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../../errors.ts'
import { wantedBootMode, wantedLabel } from '../boot-mode.ts'
import { isReadOnly, isVirtualMedia, openExclusively, partitionsOf, rereadPartitions } from '../device-use.ts'
import type { StepRun } from '../manager.ts'
import { protectedDevices } from '../skip-list.ts'
import { diskOf, freeArrayDevice, listArrays, type MdArray } from './md.ts'
import { isSoftware, notPossible, type Plan, planVolumes, readRaidConfig, type Volume } from './plan.ts'

const gibMib = 1024
/** Room for an EFI system partition of 550 MiB, which lies there once a boot loader is installed. */
const uefiStartMib = 551
/** Room for the partition that GRUB needs on a GPT without UEFI. */
const gptStartMib = 8
const dosStartMib = 1
const addAttempts = 3
const addPauseMs = 500

/**
 * @returns the configuration as it was given; `{}` when it asks for no software RAID
 * @throws AgentFault SoftwareRAIDError
 */
export async function createRaid(config: unknown, context: StepRun): Promise<unknown> {
  if (!isSoftware(config)) return {}
  const { node, agent } = context
  const present = await listArrays()
  const volumes = readRaidConfig(config, node).filter(volume => !isThere(volume, present))
  if (volumes.length === 0) return config
  const plan = planVolumes(volumes, await usableDisks(context))
  await requireEmpty(plan.disks)
  const layout = { label: wantedLabel(node, wantedBootMode(node, agent.settings)), startMib: dosStartMib }
  if (layout.label === 'gpt') {
    layout.startMib = wantedBootMode(node, agent.settings) === 'uefi' ? uefiStartMib : gptStartMib
  }
  for (const disk of plan.disks) await partition(disk, plan, layout)
  for (const [index, volume] of plan.volumes.entries()) {
    context.progress({ phase: 'raid', bytes: index, total_bytes: plan.volumes.length, detail: volume.name ?? '' })
    const device = await createVolume(volume, plan)
    agent.log.info(`${device} is RAID ${volume.level} on ${volume.disks.join(', ')}`)
  }
  return config
}

/** By name alone: the operator protects it by that name, or it was made when this step ran before. */
function isThere({ name }: Volume, arrays: readonly MdArray[]): boolean {
  return name !== null && arrays.some(array => array.name === name)
}

/** Disks that may become members, in their usual order. */
async function usableDisks({ hardware, node }: StepRun) {
  const disks = (await hardware.call('listBlockDevices')).filter(({ name }) => !/^\/dev\/md/.test(name))
  const spared = await protectedDevices(node, disks)
  const usable = await Promise.all(
    disks.map(async ({ name }) => !(spared.has(name) || (await isVirtualMedia(name)) || (await isReadOnly(name)))),
  )
  return disks.filter((_, index) => usable[index])
}

async function requireEmpty(disks: readonly string[]): Promise<void> {
  const used: string[] = []
  for (const disk of disks) {
    await (await openExclusively(disk)).close()
    const partitions = await partitionsOf(disk)
    if (partitions.length > 0) used.push(partitions.join(', '))
  }
  if (used.length > 0) {
    throw notPossible(`there are partitions already (${used.join('; ')}); erase_devices_metadata removes them`)
  }
}

/** A row of partitions, one for each volume that is on this disk; sizes count from the start of the disk. */
async function partition(
  disk: string,
  { volumes }: Plan,
  { label, startMib }: { label: string; startMib: number },
): Promise<void> {
  let fromMib = startMib
  let endMib = 0
  const lines = volumes
    .filter(({ disks }) => disks.includes(disk))
    .map(({ sizeGib }) => {
      if (sizeGib === 'MAX') return `start=${fromMib}MiB, type=raid`
      endMib += sizeGib * gibMib
      const line = `start=${fromMib}MiB, size=${endMib - fromMib}MiB, type=raid`
      fromMib = endMib
      return line
    })
  try {
    await run('sfdisk', ['--quiet', '--wipe', 'always', '--wipe-partitions', 'always', disk], {
      input: `label: ${label}\n${lines.join('\n')}\n`,
    })
  } catch (error) {
    throw new AgentFault('SoftwareRAIDError', `Cannot partition ${disk} for software RAID: ${messageOf(error)}`)
  }
  await rereadPartitions(disk)
}

async function createVolume(volume: Plan['volumes'][number], { volumes }: Plan): Promise<string> {
  const members = await Promise.all(
    volume.disks.map(async disk => {
      const number = volumes.filter(({ disks }) => disks.includes(disk)).indexOf(volume)
      const member = (await partitionsOf(disk))[number]
      if (member === undefined) {
        throw new AgentFault('SoftwareRAIDError', `Partition ${number + 1} of ${disk} did not appear after it was made`)
      }
      return member
    }),
  )
  const device = freeArrayDevice(await listArrays())
  const name = volume.name ?? device.slice('/dev/'.length)
  try {
    const shape = ['--metadata=1', '--level', volume.level, '--name', name, '--raid-devices', String(members.length)]
    await run('mdadm', ['--create', device, '--force', '--run', ...shape, ...members])
  } catch (error) {
    throw new AgentFault('SoftwareRAIDError', `Cannot make ${device} of ${members.join(', ')}: ${messageOf(error)}`)
  }
  await addMissing(device, members)
  return device
}

/** A member that was slow to appear is left out of a new array; it belongs in. */
async function addMissing(device: string, members: readonly string[]): Promise<void> {
  const array = (await listArrays()).find(found => found.device === device)
  for (const member of members.filter(one => !array?.members.includes(one))) {
    for (let attempt = 1; ; attempt++) {
      try {
        await run('mdadm', ['--add', device, member])
        break
      } catch (error) {
        if (attempt === addAttempts) {
          throw new AgentFault(
            'SoftwareRAIDError',
            `${device} was made without ${member} of ${await diskOf(member)}, which cannot be added: ${messageOf(error)}`,
          )
        }
      }
      await sleep(addPauseMs)
    }
  }
}
