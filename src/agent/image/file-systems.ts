/** Makes empty file systems and swap areas on partitions. Which ones are possible depends on the ramdisk's programs. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'

/** @throws AgentFault FileSystemNotSupported when this ramdisk cannot make such a file system */
export async function requireFileSystemTool(type: string): Promise<void> {
  const program = programFor(type)
  const found = (process.env.PATH ?? '').split(':').some(folder => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  if (found) return
  throw new AgentFault('FileSystemNotSupported', `Cannot make a file system ${type}: the ramdisk has no ${program}`)
}

/**
 * @param uuid for FAT and ext4: that of a file system whose place it takes
 * @throws AgentFault FileSystemNotSupported, DeploymentError
 */
export async function makeFileSystem(
  type: string,
  partition: string,
  { label, uuid = null }: { label: string; uuid?: string | null },
): Promise<void> {
  await requireFileSystemTool(type)
  const fat = type === 'vfat' || type === 'msdos' || type === 'fat'
  const same = uuid === null ? [] : fat ? ['-i', uuid.replace('-', '')] : ['-U', uuid]
  const force = /^ext[234]$/.test(type) ? ['-q', '-F'] : type === 'xfs' || type === 'btrfs' ? ['-f'] : []
  try {
    await run(programFor(type), [...force, ...same, fat ? '-n' : '-L', label, partition])
  } catch (error) {
    throw new AgentFault('DeploymentError', `Cannot make a ${type} on ${partition}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function programFor(type: string): string {
  if (type === 'swap') return 'mkswap'
  if (/^[a-z0-9]{1,16}$/.test(type)) return `mkfs.${type}`
  throw new AgentFault('FileSystemNotSupported', `Cannot make a file system ${JSON.stringify(type)}: not a name of one`)
}
