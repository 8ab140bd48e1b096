/**
 * What was written to this machine since it booted, kept in the store: the answer to `get_partition_uuids`, and a mark
 * while a disk is being written, so that a restarted process can clean up after the one that died.
 */
import { readFile } from 'node:fs/promises'
import { Type } from 'typebox'
import { messageOf } from '#lib/fault.ts'
import { PartitionUuids } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { openExclusively, rereadPartitions } from '../hardware/device-use.ts'
import { zero } from '../hardware/erase-metadata.ts'
import type { Store } from '../store.ts'

const Writing = Type.Object({
  device: Type.String(),
  /** The program that writes, when it is not this process. */
  pid: Type.Union([Type.Integer(), Type.Null()]),
})
const WRITING = 'writing.json'
const UUIDS = 'partition-uuids.json'
const START_BYTES = 1024 * 1024

export function partitionUuids(store: Store): PartitionUuids {
  return store.read(UUIDS, PartitionUuids) ?? {}
}

export function keepPartitionUuids(store: Store, uuids: PartitionUuids): void {
  store.write(UUIDS, uuids)
}

export function markWriting(store: Store, device: string, pid: number | null): void {
  store.write(WRITING, { device, pid })
}

export function unmarkWriting(store: Store): void {
  store.remove(WRITING)
}

/**
 * After a crash in the middle of writing: stops the program that went on without us and takes the half image's
 * partition table away, so that the machine cannot boot from it.
 */
export async function cleanUpAfterCrash({ store, log }: AgentContext): Promise<void> {
  const left = store.read(WRITING, Writing)
  if (left === null) return
  log.warn(`The agent process died while it wrote to ${left.device}; making sure the disk does not boot`)
  try {
    if (left.pid !== null) await killConverter(left.pid)
    await unbootable(left.device)
    unmarkWriting(store)
  } catch (error) {
    log.error(`Cannot clean up ${left.device}: ${messageOf(error)}`)
  }
}

/** Takes the start of a disk away: partition table and boot code. */
export async function unbootable(device: string): Promise<void> {
  const handle = await openExclusively(device)
  try {
    await zero(handle, 0, START_BYTES)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rereadPartitions(device)
}

async function killConverter(pid: number): Promise<void> {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
  if (name.trim() !== 'qemu-img') return // ended, and the number may be another program's by now
  process.kill(pid, 'SIGKILL')
}
