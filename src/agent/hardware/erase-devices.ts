/**
 * Erases whole disks: by the disk's own secure erase where it has one, else by overwriting. What the node's
 * driver_internal_info asks for decides; a disk that can do nothing of what is allowed fails the step rather than passing
 * as erased. The express form only lets disks erase themselves where that takes seconds, and removes metadata elsewhere.
 *
 * Source: openstack/ironic-python-agent `hardware.py` (order, hints).
 */
import { messageOf } from '#lib/fault.ts'
import { AgentFault } from '../errors.ts'
import type { BlockDevice } from './block-devices.ts'
import { reasonToSkip, wipeMetadata } from './erase-metadata.ts'
import type { StepRun } from './manager.ts'
import { overwrite } from './overwrite.ts'
import { eraseAta, eraseNvme } from './secure-erase.ts'
import { protectedDevices } from './skip-list.ts'

/** What the conductor wants, under the names in driver_internal_info. */
interface EraseHints {
  iterations: number
  zeroize: boolean
  secureAta: boolean
  secureNvme: boolean
  continueIfSecureFailed: boolean
  concurrency: number
}

/** @returns what was done, by device */
export async function eraseDevices(context: StepRun): Promise<Record<string, string>> {
  return await forEachDisk(context, (disk, spared, hints, onBytes) =>
    eraseDisk(disk, { hints, spared, context, onBytes }),
  )
}

/** NVMe drives erase themselves; all others, and those that cannot or fail to, lose their metadata. */
export async function eraseDevicesExpress(context: StepRun): Promise<Record<string, string>> {
  return await forEachDisk(context, async (disk, spared, hints) => {
    await wipeMetadata(disk.name)
    if (!isNvme(disk) || !hints.secureNvme) return 'metadata erased'
    try {
      const done = await eraseNvme(disk.name, { spared, signal: context.signal })
      return done ?? 'metadata erased'
    } catch (error) {
      if (error instanceof AgentFault && error.type === 'ProtectedDeviceError') throw error
      return `metadata erased, since secure erase failed: ${messageOf(error)}`
    }
  })
}

export function readHints(info: Record<string, unknown>): EraseHints {
  const flag = (value: unknown, otherwise: boolean) => (typeof value === 'boolean' ? value : otherwise)
  const count = (value: unknown, otherwise: number) =>
    Number.isInteger(value) && Number(value) >= 0 ? Number(value) : otherwise
  return {
    iterations: count(info.agent_erase_devices_iterations, 1),
    zeroize: flag(info.agent_erase_devices_zeroize, true),
    secureAta: flag(info.agent_enable_ata_secure_erase, true),
    secureNvme: flag(info.agent_enable_nvme_secure_erase, true),
    continueIfSecureFailed: flag(
      info.agent_continue_if_secure_erase_failed ?? info.agent_continue_if_ata_erase_failed,
      false,
    ),
    concurrency: Math.max(1, count(info.disk_erasure_concurrency, 1)),
  }
}

type EraseOne = (
  disk: BlockDevice,
  /** Names of the disks that stay as they are. */
  spared: readonly string[],
  hints: EraseHints,
  onBytes: (bytes: number) => void,
) => Promise<string>

/** Several disks at once, as many as the node allows; all are tried before the first failure counts. */
async function forEachDisk(context: StepRun, erase: EraseOne): Promise<Record<string, string>> {
  const hints = readHints(context.node.driver_internal_info ?? {})
  const disks = await context.hardware.call('listBlockDevices')
  const spared = await protectedDevices(context.node, disks)
  const results: Record<string, string> = {}
  const failures: string[] = []
  const totalBytes = disks.reduce((sum, { size }) => sum + size, 0)
  const doneBytes = new Map<string, number>()
  const report = (name: string, bytes: number) => {
    doneBytes.set(name, bytes)
    const sum = [...doneBytes.values()].reduce((a, b) => a + b, 0)
    context.progress({ phase: 'erase', bytes: sum, total_bytes: totalBytes, detail: [...doneBytes.keys()].join(', ') })
  }
  const queue = [...disks]
  const worker = async () => {
    for (let disk = queue.shift(); disk !== undefined; disk = queue.shift()) {
      const { name, size } = disk
      try {
        const skipped = await reasonToSkip(disk, spared, context)
        results[name] = skipped ?? (await erase(disk, [...spared], hints, bytes => report(name, bytes)))
        report(name, size)
        context.agent.log.info(`Erase ${name}: ${results[name]}`)
      } catch (error) {
        failures.push(`${name}: ${messageOf(error)}`)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(hints.concurrency, disks.length) }, worker))
  if (failures.length > 0) {
    throw new AgentFault(
      'BlockDeviceEraseError',
      `Erasing ${failures.length} of ${disks.length} disks failed: ${failures.join('; ')}`,
    )
  }
  return results
}

interface Erasing {
  hints: EraseHints
  spared: readonly string[]
  context: StepRun
  onBytes: (bytes: number) => void
}

async function eraseDisk(disk: BlockDevice, { hints, spared, context, onBytes }: Erasing): Promise<string> {
  const { name } = disk
  const { signal } = context
  // Proves that nothing uses the disk before a command of the disk itself, which asks nobody, destroys it.
  await wipeMetadata(name)
  try {
    const nvme = isNvme(disk)
    const done = nvme
      ? hints.secureNvme && (await eraseNvme(name, { spared, signal }))
      : hints.secureAta && (await eraseAta(name))
    if (done) return done
  } catch (error) {
    if (!hints.continueIfSecureFailed) {
      throw new AgentFault(
        'BlockDeviceEraseError',
        `secure erase failed, and overwriting instead is not allowed: ${messageOf(error)}`,
      )
    }
    context.agent.log.warn(`Secure erase of ${name} failed, overwriting it instead: ${messageOf(error)}`)
  }
  const { iterations, zeroize } = hints
  return await overwrite(name, { iterations, zeroize, signal, onBytes })
}

const isNvme = ({ name, tran }: BlockDevice) => name.startsWith('/dev/nvme') || tran === 'nvme'
