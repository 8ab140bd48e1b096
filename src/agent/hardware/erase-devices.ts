/**
 * Erases whole disks: by the disk's own secure erase where it has one, else by overwriting. What the node's
 * driver_internal_info asks for decides; a disk that can do nothing of what is allowed fails the step rather than passing
 * as erased.
 *
 * Source: openstack/ironic-python-agent `hardware.py` (order, hints); NVM Express 1.4 `Format NVM`, `Identify
 * Controller` (OACS, FNA); hdparm(8).
 */
import { randomFillSync } from 'node:crypto'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'
import type { BlockDevice } from './block-devices.ts'
import { deviceSize, openExclusively, rereadPartitions } from './device-use.ts'
import { reasonToSkip, wipeMetadata } from './erase-metadata.ts'
import type { StepRun } from './manager.ts'

const BLOCK_BYTES = 4 * 1024 * 1024

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
  const hints = readHints(context.node.driver_internal_info ?? {})
  const disks = await context.hardware.call('listBlockDevices')
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
        const skipped = await reasonToSkip(disk, context)
        results[name] = skipped ?? (await eraseDisk(disk, hints, context, bytes => report(name, bytes)))
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

async function eraseDisk(
  disk: BlockDevice,
  hints: EraseHints,
  context: StepRun,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const { name } = disk
  // Proves that nothing uses the disk before a command of the disk itself, which asks nobody, destroys it.
  await wipeMetadata(name)
  try {
    const secure = name.startsWith('/dev/nvme')
      ? hints.secureNvme && (await nvmeFormat(name))
      : hints.secureAta && (await ataSecureErase(name))
    if (secure) return secure
  } catch (error) {
    if (!hints.continueIfSecureFailed) {
      throw new AgentFault(
        'BlockDeviceEraseError',
        `secure erase failed, and overwriting instead is not allowed: ${messageOf(error)}`,
      )
    }
    context.agent.log.warn(`Secure erase of ${name} failed, overwriting it instead: ${messageOf(error)}`)
  }
  return await overwrite(name, hints, context.signal, onBytes)
}

/** Formats the namespace with a cryptographic erase where offered; false when the drive cannot format. */
async function nvmeFormat(device: string): Promise<string | false> {
  const { stdout } = await run('nvme', ['id-ctrl', device, '-o', 'json'])
  const controller = JSON.parse(stdout) as { oacs?: unknown; fna?: unknown } // only two numbers are read, checked here
  const [oacs, fna] = [Number(controller.oacs ?? 0), Number(controller.fna ?? 0)]
  if ((oacs & 0b10) === 0) return false
  const cryptographic = (fna & 0b100) !== 0
  await run('nvme', ['format', device, '--ses', cryptographic ? '2' : '1', '--force'])
  return cryptographic ? 'NVMe format with cryptographic erase' : 'NVMe format with user data erase'
}

/** What the security section of `hdparm -I` says. */
export function ataSecurity(text: string): {
  supported: boolean
  enabled: boolean
  locked: boolean
  frozen: boolean
  enhanced: boolean
} {
  const section = /^Security:\s*$((?:\n[ \t].*)*)/m.exec(text)?.[1] ?? ''
  const says = (word: string) => section.split('\n').some(line => line.replace(/\s+/g, ' ').trim() === word)
  return {
    supported: says('supported'),
    enabled: says('enabled'),
    locked: says('locked'),
    frozen: says('frozen'),
    enhanced: says('supported: enhanced erase'),
  }
}

async function ataSecureErase(device: string): Promise<string | false> {
  const read = async () => ataSecurity((await run('hdparm', ['-I', device])).stdout)
  let state: ReturnType<typeof ataSecurity>
  try {
    state = await read()
    // Disks behind SAS adapters may claim what the adapter then does not pass on.
    const { stdout } = await run('smartctl', ['-d', 'ata', device, '-g', 'security', '--json=c'])
    if (/unavailable/i.test(stdout)) return false
  } catch {
    return false // no ATA disk
  }
  if (!state.supported) return false
  if (state.frozen)
    throw new AgentFault('BlockDeviceEraseError', 'the firmware has frozen the security state of the disk')
  if (state.locked) {
    for (const password of ['NULL', '']) {
      await run('hdparm', ['--user-master', 'u', '--security-unlock', password, device]).catch(() => {})
    }
    state = await read()
    if (state.locked) throw new AgentFault('BlockDeviceEraseError', 'the disk is locked with an unknown password')
  }
  if (!state.enabled) await run('hdparm', ['--user-master', 'u', '--security-set-pass', 'NULL', device])
  const erase = state.enhanced ? '--security-erase-enhanced' : '--security-erase'
  await run('hdparm', ['--user-master', 'u', erase, 'NULL', device])
  if ((await read()).enabled)
    throw new AgentFault('BlockDeviceEraseError', 'the disk still has a password after its erase')
  return state.enhanced ? 'ATA enhanced secure erase' : 'ATA secure erase'
}

/** Random passes, then zeros. Nothing asked for is nothing done, and that is an error. */
async function overwrite(
  device: string,
  { iterations, zeroize }: EraseHints,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const passes = [...Array<'random'>(iterations).fill('random'), ...(zeroize ? ['zero' as const] : [])]
  if (passes.length === 0) {
    throw new AgentFault(
      'BlockDeviceEraseError',
      'neither secure erase nor a pass of overwriting is allowed by the node',
    )
  }
  const sizeBytes = await deviceSize(device)
  const handle = await openExclusively(device)
  try {
    const block = Buffer.alloc(BLOCK_BYTES)
    for (const [number, pass] of passes.entries()) {
      for (let at = 0; at < sizeBytes; ) {
        signal.throwIfAborted()
        if (pass === 'random') randomFillSync(block)
        else block.fill(0)
        const { bytesWritten } = await handle.write(block, 0, Math.min(BLOCK_BYTES, sizeBytes - at), at)
        at += bytesWritten
        onBytes(Math.floor((number * sizeBytes + at) / passes.length))
      }
      await handle.sync()
    }
  } finally {
    await handle.close()
  }
  await rereadPartitions(device)
  return `overwritten ${iterations} times with random data${zeroize ? ' and once with zeros' : ''}`
}
